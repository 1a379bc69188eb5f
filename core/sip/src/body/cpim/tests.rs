use super::*;

/// RFC 3862 §5.1
const EXAMPLE: &str = "From: MR SANDERS <im:piglet@100akerwood.com>\r\n\
    To: Depressed Donkey <im:eeyore@100akerwood.com>\r\n\
    DateTime: 2000-12-13T13:40:00-08:00\r\n\
    Subject: the weather will be fine today\r\n\
    Subject:;lang=fr beau temps prevu pour aujourd'hui\r\n\
    NS: MyFeatures <mid:MessageFeatures@id.foo.com>\r\n\
    Require: MyFeatures.VitalMessageOption\r\n\
    MyFeatures.VitalMessageOption: Confirmation-requested\r\n\
    MyFeatures.WackyMessageOption: Use-silly-font\r\n\
    \r\n\
    Content-type: text/xml; charset=utf-8\r\n\
    Content-ID: <1234567890@foo.com>\r\n\
    \r\n\
    <body>\r\nHere is the text of my message.\r\n</body>\r\n";

const FEATURES: &str = "mid:MessageFeatures@id.foo.com";

fn parse(body: &str) -> Result<Cpim, CpimError> {
    Cpim::parse(&Bytes::copy_from_slice(body.as_bytes()))
}

fn with_headers(headers: &str) -> Cpim {
    parse(&format!("{headers}\r\nContent-Type: text/plain\r\n\r\nx")).unwrap()
}

fn text() -> MimeHeaders {
    MimeHeaders::new().with("Content-Type", "text/plain").unwrap()
}

/// CPIM-01, CPIM-04
#[test]
fn the_example_of_rfc_3862_is_read() {
    let cpim = parse(EXAMPLE).unwrap();
    assert_eq!(cpim.from().unwrap().name(), "MR SANDERS");
    assert_eq!(cpim.to().map(|to| to.uri().to_owned()).collect::<Vec<_>>(), ["im:eeyore@100akerwood.com"]);
    assert_eq!(cpim.date_time().unwrap(), "2000-12-13T13:40:00-08:00");
    let subjects: Vec<_> = cpim.all(CORE, "Subject").map(|h| (h.parameter("lang"), h.value())).collect();
    assert_eq!(
        subjects,
        [
            (None, "the weather will be fine today".into()),
            (Some("fr".into()), "beau temps prevu pour aujourd'hui".into())
        ]
    );
    assert!(cpim.content_type().is("text", "xml"));
    assert_eq!(cpim.content_headers().get("Content-ID"), Some("<1234567890@foo.com>"));
    assert_eq!(cpim.content(), "<body>\r\nHere is the text of my message.\r\n</body>\r\n");
}

/// CPIM-04
#[test]
fn what_was_read_is_written_byte_for_byte() {
    let body = EXAMPLE.replace("Subject: the", "Subject:  \\u0074he");
    assert_eq!(
        parse(&body).unwrap().to_bytes(),
        EXAMPLE.replace("Subject: the", "Subject:  \\u0074he").as_bytes()
    );
}

/// RFC 5438 §7.1.1: its example lacks the empty line before the fields of the content.
#[test]
fn content_fields_directly_after_the_headers_are_read() {
    let cpim = parse(
        "From: Alice <im:alice@example.com>\r\n\
         To: Bob <im:bob@example.com>\r\n\
         NS: imdn <urn:ietf:params:imdn>\r\n\
         imdn.Message-ID: 34jk324j\r\n\
         DateTime: 2006-04-04T12:16:49-05:00\r\n\
         imdn.Disposition-Notification: positive-delivery, negative-delivery\r\n\
         Content-type: text/plain\r\n\
         Content-length: 12\r\n\
         \r\n\
         Hello World",
    )
    .unwrap();
    let notify = cpim.get(IMDN, "Disposition-Notification").unwrap();
    assert_eq!(notify.value(), "positive-delivery, negative-delivery");
    assert_eq!(cpim.content(), "Hello World");
    assert!(cpim.content_type().is("text", "plain"));
}

/// CPIM-03
#[test]
fn any_prefix_stands_for_its_namespace_once_it_is_declared() {
    for prefix in ["imdn", "x", "Imdn-2"] {
        let cpim =
            with_headers(&format!("NS: {prefix} <urn:ietf:params:imdn>\r\n{prefix}.Message-ID: 1\r\n"));
        assert_eq!(cpim.get(IMDN, "Message-ID").unwrap().value(), "1");
    }
    let early = with_headers("imdn.Message-ID: 1\r\nNS: imdn <urn:ietf:params:imdn>\r\n");
    assert_eq!(early.get(IMDN, "Message-ID"), None);
}

/// CPIM-03
#[test]
fn a_declaration_without_prefix_changes_the_default_for_what_follows() {
    let cpim = with_headers(
        "Subject: a\r\nNS: <urn:x>\r\nSubject: b\r\nNS: c <urn:ietf:params:cpim-headers:>\r\nc.Subject: c\r\n",
    );
    let values =
        |namespace| cpim.all(namespace, "Subject").map(|h| h.value().into_owned()).collect::<Vec<_>>();
    assert_eq!(values(CORE), ["a", "c"]);
    assert_eq!(values("urn:x"), ["b"]);
}

/// CPIM-03
#[test]
fn a_prefix_declared_anew_means_the_new_namespace() {
    let cpim = with_headers("NS: p <urn:x>\r\np.A: 1\r\nNS: p <urn:y>\r\np.A: 2\r\n");
    assert_eq!(cpim.get("urn:x", "A").unwrap().value(), "1");
    assert_eq!(cpim.get("urn:y", "A").unwrap().value(), "2");
}

/// CPIM-01
#[test]
fn names_match_in_their_exact_case() {
    let cpim = with_headers("from: <im:a@b>\r\nns: p <urn:x>\r\n");
    assert_eq!(cpim.from(), None);
    assert_eq!(cpim.get(CORE, "from").unwrap().value(), "<im:a@b>");
    assert_eq!(cpim.headers()[1].declaration(), None);
}

/// CPIM-03
#[test]
fn required_names_that_nobody_understands_are_listed() {
    let cpim = parse(EXAMPLE).unwrap();
    assert_eq!(cpim.not_understood(|_, _| false), ["MyFeatures.VitalMessageOption"]);
    let vital = |namespace: &str, name: &str| namespace == FEATURES && name == "VitalMessageOption";
    assert_eq!(cpim.not_understood(vital), [] as [&str; 0]);
    let cpim = with_headers("NS: p <urn:x>\r\nRequire: p.a, Subject ,q.b,\r\nrequire: p.c\r\n");
    let core = |namespace: &str, name: &str| namespace == CORE && name == "Subject" || name == "b";
    assert_eq!(cpim.not_understood(core), ["p.a", "q.b"]);
}

/// CPIM-02
#[test]
fn escapes_are_undone_in_values_and_kept_in_lines() {
    let cpim = with_headers("Subject: a\\u000db \\\\ \\\"c\\\"\r\n");
    let subject = cpim.get(CORE, "Subject").unwrap();
    assert_eq!(subject.value(), "a\rb \\ \"c\"");
    assert_eq!(subject.line(), "Subject: a\\u000db \\\\ \\\"c\\\"");
}

/// CPIM-01
#[test]
fn a_line_that_breaks_the_rules_is_told_by_its_place() {
    for (line, why) in [
        (" folded", "it begins with a space"),
        ("Subject: a\tb", "it holds a control character"),
        ("\tSubject: a", "it holds a control character"),
        ("Subject a", "it has no colon"),
        ("Sub ject: a", "its name is none"),
        (": a", "its name is none"),
        (".a: b", "its name is none"),
        ("a.: b", "its name is none"),
        ("a.b.c: d", "its name is none"),
        ("Subject:;lang a", "a parameter is malformed"),
        ("Subject:;lang= a", "a parameter is malformed"),
        ("Subject:;=fr a", "a parameter is malformed"),
    ] {
        let body = format!("A: b\r\n{line}\r\n\r\nContent-Type: text/plain\r\n\r\n");
        assert_eq!(parse(&body), Err(CpimError::Malformed { at: 6, why }), "{line}");
    }
    let not_utf8 = Bytes::from_static(b"A: \xff\r\n\r\nContent-Type: text/plain\r\n\r\n");
    assert_eq!(Cpim::parse(&not_utf8), Err(CpimError::Malformed { at: 0, why: "it is not UTF-8" }));
}

#[test]
fn spacing_and_line_ends_that_others_get_wrong_are_read() {
    let body = "A:b\nC:   d  \n\nContent-Type: text/plain\n\nx\n";
    let cpim = parse(body).unwrap();
    assert_eq!(cpim.get(CORE, "A").unwrap().value(), "b");
    assert_eq!(cpim.get(CORE, "C").unwrap().value(), "d");
    assert_eq!(cpim.content(), "x\n");
}

#[test]
fn parameters_may_be_quoted() {
    let cpim = with_headers("Subject:;x=\"a; \\\"b\\\"\";lang=en hi\r\n");
    let subject = cpim.get(CORE, "Subject").unwrap();
    assert_eq!(subject.parameter("x").unwrap(), "a; \"b\"");
    assert_eq!(subject.parameter("lang").unwrap(), "en");
    assert_eq!(subject.parameter("LANG"), None);
    assert_eq!(subject.value(), "hi");
}

/// CPIM-04
#[test]
fn content_without_a_type_is_refused() {
    for body in ["", "From: <im:a@b>\r\n", "From: <im:a@b>\r\n\r\n", "A: b\r\n\r\nX: y\r\n\r\nhello"] {
        assert_eq!(parse(body), Err(CpimError::NoContentType), "{body:?}");
    }
    assert_eq!(Cpim::new(MimeHeaders::new(), "x"), Err(CpimError::NoContentType));
    let malformed = parse("A: b\r\n\r\nhello\r\n\r\n");
    assert_eq!(malformed, Err(CpimError::Content(HeaderError::Malformed { at: 0 })));
}

/// BODY-06
#[test]
fn headers_are_limited() {
    let content = "\r\nContent-Type: text/plain\r\n\r\n";
    let full = "A: b\r\n".repeat(MAX_HEADERS);
    let mut cpim = parse(&format!("{full}{content}")).unwrap();
    assert_eq!(parse(&format!("{full}A: b\r\n{content}")), Err(CpimError::TooMany));
    assert_eq!(cpim.push("A", "b"), Err(CpimError::TooMany));
}

/// CPIM-01, CPIM-02, IMDN-01
#[test]
fn a_message_is_written_as_rfc_3862_has_it() {
    let mut cpim = Cpim::new(text(), "hi\r\n\0\u{ff}").unwrap();
    cpim.push_address("From", &Address::new("Doe, Jane", "sip:jane@example.test").unwrap()).unwrap();
    cpim.push_address("To", &Address::new("", "sip:bob@example.test").unwrap()).unwrap();
    cpim.declare("imdn", IMDN).unwrap();
    cpim.push("imdn.Message-ID", " a\r\nX: y ").unwrap();
    cpim.push("Subject", "").unwrap();
    assert_eq!(
        String::from_utf8(cpim.to_bytes()).unwrap(),
        "From: \"Doe, Jane\" <sip:jane@example.test>\r\n\
         To: <sip:bob@example.test>\r\n\
         NS: imdn <urn:ietf:params:imdn>\r\n\
         imdn.Message-ID: a\\r\\nX: y\r\n\
         Subject:\r\n\
         \r\n\
         Content-Type: text/plain\r\n\
         \r\n\
         hi\r\n\0\u{ff}"
    );
}

#[test]
fn names_and_prefixes_that_cannot_be_written_are_refused() {
    let mut cpim = Cpim::new(text(), "").unwrap();
    for name in ["", "a b", "a:", "a\r\n", ".a", "a.", "é", "Content-Type", "content-x"] {
        let unwritable = CpimError::Unwritable { what: "header name", found: name.into() };
        assert_eq!(cpim.push(name, "x"), Err(unwritable));
    }
    assert_eq!(cpim.push("p.a", "x"), Err(CpimError::UndeclaredPrefix { prefix: "p".into() }));
    let unwritable = CpimError::Unwritable { what: "namespace prefix", found: "a.b".into() };
    assert_eq!(cpim.declare("a.b", IMDN), Err(unwritable));
    let unwritable = CpimError::Unwritable { what: "URI", found: "a>b".into() };
    assert_eq!(cpim.declare("p", "a>b"), Err(unwritable));
    cpim.declare("p", IMDN).unwrap();
    assert_eq!(cpim.push("p.a", "x"), Ok(()));
}
