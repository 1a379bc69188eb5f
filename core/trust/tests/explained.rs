//! The classic troubles, as a person reads them. The wording is part of the product: change it here on purpose.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use aldis_pki::{Ca, Template, self_signed};
use aldis_trust::Verdict;
use support::{DAY, DOMAIN, NOW, Question, World, YEAR};

fn server() -> Template {
    Template::server(DOMAIN)
}

/// The first finding, as it is shown.
fn text(question: &Question) -> String {
    match question.ask() {
        Verdict::Refused(refused) => refused.findings[0].to_string(),
        Verdict::Trusted(_) => panic!("trusted"),
    }
}

fn all() -> Vec<(&'static str, Question)> {
    let w = World::new();
    let foreign = Ca::new("Corp Root CA", NOW).unwrap();
    let foreign_issuing = foreign.intermediate(Template::authority("Corp Issuing CA 2")).unwrap();
    let lookalike = Ca::new("Aldis Test Root", NOW).unwrap();
    let mut target = w.question(server().no_names().dns("sip1.hoster.test"));
    target.connected_to = Some("sip1.hoster.test".into());
    let old = w.root.intermediate(Template::authority("Aldis Test Issuing CA 2025").expired(NOW)).unwrap();
    vec![
        ("expired", w.question(server().valid(NOW - YEAR, NOW - 3 * DAY))),
        ("wrong host", w.question(server().no_names().dns("www.other.test").dns("other.test"))),
        ("unknown CA", Question::about(&w.root, foreign.issue(server()).unwrap().chain())),
        (
            "enterprise CA not installed",
            Question::about(&w.root, foreign_issuing.issue(server()).unwrap().chain()),
        ),
        ("missing intermediate", Question::about(&w.root, vec![w.server().certificate()])),
        ("self-signed", Question::about(&w.root, self_signed(server(), NOW).unwrap().chain())),
        ("clock years behind", w.question(server()).at(NOW - 7 * YEAR)),
        ("interception", Question::about(&w.root, lookalike.issue(server()).unwrap().chain())),
        ("wildcard only", w.question(server().no_names().dns("*.example.test")).identity("sip.example.test")),
        ("name of the SRV target only", target),
        ("expired intermediate", Question::about(&w.root, old.issue(server()).unwrap().chain())),
        ("common name only", w.question(server().no_names().common_name(DOMAIN))),
    ]
}

#[test]
fn the_classic_troubles_read_as_they_should() {
    let mut shown = String::new();
    for (name, question) in all() {
        shown.push_str(&format!("## {name}\n{}\n\n", text(&question)));
    }
    println!("{shown}");
    assert_eq!(shown, include_str!("explained.txt"));
}
