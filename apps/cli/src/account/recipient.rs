//! Whom a message is for, as people type it.

use aldis_sip::{Domain, Fault, Scheme, Uri};

/// Why a text is no recipient.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidRecipient {
    /// Nothing was given.
    #[error(
        "The recipient is empty. Give an address such as sip:bob@example.test, or a name of your own domain such as bob."
    )]
    Empty,
    /// Not an address.
    #[error("{text:?} is not an address: {fault}. An address looks like sip:bob@example.test.")]
    NotAnAddress {
        /// What was given.
        text: String,
        /// Where it stops being one.
        fault: Fault,
    },
    /// Not a name.
    #[error(
        "{0:?} is not a name of your domain: it holds characters that a name cannot have. Give a whole address such as \
         sip:bob@example.test."
    )]
    NotAName(String),
    /// Another kind of URI.
    #[error("{0:?} is not a SIP address. Messages go to addresses that begin with sip: or sips:.")]
    NotSip(String),
    /// An address of nobody.
    #[error("{0:?} names a domain and nobody in it. An address looks like sip:bob@example.test.")]
    Nobody(String),
}

/// The address that `text` stands for: a bare name is one of the domain of `own`, the address of record, with its
/// scheme; `bob@example.test` is taken as a sip address.
///
/// # Errors
/// [`InvalidRecipient`], in words for the one who typed it.
pub(crate) fn recipient(text: &str, own: &Uri<'_>) -> Result<Uri<'static>, InvalidRecipient> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InvalidRecipient::Empty);
    }
    let wrong = |fault| InvalidRecipient::NotAnAddress { text: text.into(), fault };
    let uri = match (has_scheme(text), text.contains('@')) {
        (true, _) => Uri::parse(with_a_labels(text)).map_err(wrong)?,
        (false, true) => Uri::parse(with_a_labels(&format!("sip:{text}"))).map_err(wrong)?,
        (false, false) => {
            let (scheme, domain) = (own.scheme_text(), own.host().unwrap_or_default());
            let uri = Uri::parse(format!("{scheme}:{text}@{domain}"))
                .map_err(|_| InvalidRecipient::NotAName(text.into()))?;
            if uri.raw_user() != Some(text) {
                return Err(InvalidRecipient::NotAName(text.into()));
            }
            uri
        }
    };
    if !matches!(uri.scheme(), Scheme::Sip | Scheme::Sips) {
        return Err(InvalidRecipient::NotSip(text.into()));
    }
    if uri.raw_user().is_none() {
        return Err(InvalidRecipient::Nobody(text.into()));
    }
    Ok(uri.into_owned())
}

/// Whether the text begins with a scheme, such as `sip:`.
fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    })
}

/// The address with an international domain as A-labels.
fn with_a_labels(text: &str) -> String {
    if text.is_ascii() {
        return text.into();
    }
    let Some((user, rest)) = text.rsplit_once('@') else { return text.into() };
    let end = rest.find([':', ';', '?']).unwrap_or(rest.len());
    match rest.split_at_checked(end).and_then(|(domain, tail)| Some((Domain::new(domain).ok()?, tail))) {
        Some((domain, tail)) => format!("{user}@{domain}{tail}"),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<String, InvalidRecipient> {
        let own = Uri::parse("sip:alice@example.test").unwrap();
        recipient(text, &own).map(|uri| uri.to_string())
    }

    #[test]
    fn names_and_addresses_are_taken_as_people_type_them() {
        for (text, expected) in [
            ("bob", "sip:bob@example.test"),
            ("+15551234", "sip:+15551234@example.test"),
            (" bob ", "sip:bob@example.test"),
            ("sip:bob@other.test", "sip:bob@other.test"),
            ("SIPS:bob@other.test:5071;x=y", "SIPS:bob@other.test:5071;x=y"),
            ("bob@other.test", "sip:bob@other.test"),
            ("sip:bob@bücher.example:5061", "sip:bob@xn--bcher-kva.example:5061"),
            ("sip:bob@[2001:db8::1]", "sip:bob@[2001:db8::1]"),
        ] {
            assert_eq!(of(text).as_deref(), Ok(expected), "{text:?}");
        }
        let secure = Uri::parse("sips:alice@example.test").unwrap();
        assert_eq!(recipient("bob", &secure).unwrap().as_str(), "sips:bob@example.test");
    }

    #[test]
    fn what_is_no_recipient_is_refused_in_words() {
        for (text, words) in [
            ("", "is empty"),
            ("  ", "is empty"),
            ("sip:bob@", "is not an address"),
            ("sip:@example.test", "is not an address"),
            ("sip:example.test", "nobody in it"),
            ("sip:bob@a..b", "is not an address"),
            ("tel:+15551234", "is not a SIP address"),
            ("mailto:bob@example.test", "is not a SIP address"),
            ("bob smith", "is not a name"),
            ("bob:5061", "is not a SIP address"),
            ("<bob>", "is not a name"),
            ("bob\r\nX: y", "is not a name"),
            ("sip:bob@example.test\r\nX: y", "is not an address"),
            ("sip:bøb@example.test", "is not an address"),
        ] {
            let error = of(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }
}
