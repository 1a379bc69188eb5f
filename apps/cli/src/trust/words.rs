//! A verdict in words, for whoever has to act on it. The library has made safe what strangers wrote; it is made safe once
//! more where it is shown.

use crate::layout::{Table, WIDTH, wrap};
use crate::output::{Output, Style, To};
use crate::{printable, when};
use aldis_trust::{
    CertificateSummary, Code, Finding, MatchedBy, Refused, RevocationStatus, Role, Source, Stage, Trusted,
    Verdict, Who,
};

/// How wide the labels are.
const LABEL: usize = 13;
/// How far details stand from the left.
const INDENT: usize = 2;

/// The whole verdict; `now` is the time that it was made for, in seconds since 1970.
pub(crate) fn verdict(verdict: &Verdict, now: i64, out: &Output) -> String {
    let mut text = match verdict {
        Verdict::Trusted(trusted) => accepted(trusted, now, out),
        Verdict::Refused(refused) => rejected(refused, now, out),
    };
    // What is said about revocation above is enough for a person.
    for warning in verdict.warnings().iter().filter(|warning| warning.code != Code::RevocationUnknown) {
        text.push('\n');
        text.push_str(&headline(out, Style::Bold, "warning:", warning.code.meaning()));
        text.push_str(&finding(warning, INDENT));
    }
    text
}

fn accepted(trusted: &Trusted, now: i64, out: &Output) -> String {
    let mut text = headline(
        out,
        Style::Good,
        "accepted:",
        &format!("The certificate proves {}.", printable::line(&trusted.reference.to_string())),
    );
    let mut table = Table::new(INDENT, LABEL);
    table.row("by", &matched(trusted));
    let expires = seconds(trusted.expires);
    table.row("until", &format!("{}, {}", when::minute(expires), when::from_now(expires, now)));
    table.row("root", root(trusted));
    table.row("revocation", &revocation(trusted));
    if let Some(unknown) = trusted.warnings.iter().find(|warning| warning.code == Code::RevocationUnknown) {
        table.row("", &printable::line(&unknown.advice));
    }
    text.push_str(&table.finish());
    text.push_str("\nThe path, from the server to the root:\n");
    text.push_str(&certificates(&trusted.path, now));
    text
}

/// The name that matched, with its kind.
pub(crate) fn matched(trusted: &Trusted) -> String {
    let name = printable::line(&trusted.matched.value);
    match trusted.matched.by {
        MatchedBy::Dns => format!("the DNS name {name} in the certificate"),
        MatchedBy::SipUri => format!("the SIP URI {name} in the certificate"),
        MatchedBy::ServerName => format!("{name}, which the account accepts for this domain"),
        MatchedBy::Ip => format!("the address {name} in the certificate"),
        MatchedBy::Wildcard => format!("the wildcard {name} in the certificate"),
    }
}

fn root(trusted: &Trusted) -> &'static str {
    match (trusted.root_source, trusted.public_root) {
        (Source::Bundled, _) => "one of the public authorities that aldis carries",
        (Source::System, _) => "an authority that this system trusts",
        (Source::Organisation, true) => "given by you; it is a public authority",
        (Source::Organisation, false) => "given by you",
    }
}

/// What is known about revocation, in a sentence.
pub(crate) fn revocation(trusted: &Trusted) -> String {
    match trusted.revocation {
        RevocationStatus::Proven => "proven: no certificate of the path was withdrawn".into(),
        RevocationStatus::NotChecked => "not looked for".into(),
        RevocationStatus::Unproven => {
            let subject =
                |index: usize| trusted.path.get(index).map(|c| printable::line(&c.subject).into_owned());
            let names: Vec<String> = trusted.unproven.iter().filter_map(|one| subject(one.index)).collect();
            format!("whether {} was withdrawn is not known.", names.join(" or "))
        }
    }
}

fn rejected(refused: &Refused, now: i64, out: &Output) -> String {
    let mut text = String::new();
    for (index, reason) in refused.findings.iter().enumerate() {
        if let Some(repeated) = repeated(&refused.findings, index) {
            text.push_str(&headline(out, Style::Bad, "and", &format!("the same of {repeated}")));
            continue;
        }
        let word = if index == 0 { "refused:" } else { "and:" };
        if index > 0 {
            text.push('\n');
        }
        text.push_str(&headline(out, Style::Bad, word, reason.code.meaning()));
        text.push_str(&finding(reason, INDENT));
    }
    if !refused.presented.is_empty() {
        text.push_str("\nWhat the server presented:\n");
        text.push_str(&certificates(&refused.presented, now));
    }
    text
}

/// The certificate of a finding, if the one before it says the same of another certificate.
pub(crate) fn repeated(findings: &[Finding], index: usize) -> Option<String> {
    let (before, this) = (findings.get(index.checked_sub(1)?)?, findings.get(index)?);
    let certificate = this.certificate.as_ref().filter(|_| before.code == this.code)?;
    Some(which(certificate))
}

fn headline(out: &Output, style: Style, word: &str, rest: &str) -> String {
    let plain = format!("{word} {rest}");
    let mut lines = wrap(&plain, WIDTH);
    if let Some(first) = lines.first_mut() {
        *first = first.replacen(word, &out.styled(To::Results, style, word), 1);
    }
    lines.join("\n") + "\n"
}

/// The evidence of a finding and what to do, without its meaning.
pub(crate) fn finding(finding: &Finding, indent: usize) -> String {
    let mut table = Table::new(indent, LABEL);
    if let Some(certificate) = &finding.certificate {
        table.row("certificate", &which(certificate));
        table.row("SHA-256", &certificate.sha256_hex());
    }
    table.row("field", finding.field);
    table.row("expected", &printable::line(&finding.expected));
    table.row("found", &printable::line(&finding.found));
    table.row("what to do", &printable::line(&finding.advice));
    table.row("who", who(finding.who));
    table.row("code", &format!("{} ({})", finding.code, stage(finding.stage())));
    table.finish()
}

fn which(certificate: &CertificateSummary) -> String {
    let subject = printable::line(&certificate.subject);
    let number = certificate.position;
    match certificate.role {
        Role::Server => format!("the server's own: {subject}"),
        Role::Intermediate => format!("number {number}, an authority's: {subject}"),
        Role::Root => format!("the trusted root: {subject}"),
    }
}

/// Who can do something, in words.
pub(crate) fn who(who: Who) -> &'static str {
    match who {
        Who::User => "you",
        Who::Administrator => "the administrator of the server or of this device",
        Who::Authority => "the authority that issued the certificate",
    }
}

/// A step of the judgement, in words.
pub(super) fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Parse => "reading the certificates",
        Stage::Path => "the way to a trusted root",
        Stage::Revocation => "revocation",
        Stage::Identity => "the server's name",
        Stage::Policy => "what is demanded beyond that",
    }
}

/// The certificates of a chain or path, each with its issuer and validity.
pub(crate) fn certificates(list: &[CertificateSummary], now: i64) -> String {
    let mut table = Table::new(INDENT, 3);
    for certificate in list {
        let (subject, issuer) = (printable::line(&certificate.subject), printable::line(&certificate.issuer));
        table.row(&certificate.position.to_string(), &subject);
        if certificate.role == Role::Root {
            table.row("", "a trusted root");
        } else if subject == issuer {
            table.row("", "issued by itself");
        } else {
            table.row("", &format!("issued by {issuer}"));
        }
        let validity = validity(certificate.not_before, certificate.not_after, now);
        table.row("", &format!("valid {validity}"));
    }
    table.finish()
}

/// A validity, and how it lies to the clock.
pub(crate) fn validity(from: i64, to: i64, now: i64) -> String {
    let dates = format!("{} to {}", when::day(from), when::day(to));
    if now < from {
        format!("{dates}: it begins {}", when::from_now(from, now))
    } else if now > to {
        format!("{dates}: it expired {}", when::from_now(to, now))
    } else {
        format!("{dates}: it expires {}", when::from_now(to, now))
    }
}

fn seconds(time: rustls_pki_types::UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
