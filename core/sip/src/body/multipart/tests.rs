use super::*;

fn parse(subtype: &str, boundary: &str, body: &str) -> Result<Multipart, MultipartError> {
    Multipart::parse(subtype, boundary, &Bytes::copy_from_slice(body.as_bytes()))
}

fn single(part: &Part) -> &[u8] {
    match part.content() {
        Content::Single(bytes) => bytes,
        Content::Multipart(multipart) => panic!("{multipart:?}"),
    }
}

fn contents(multipart: &Multipart) -> Vec<&[u8]> {
    multipart.parts().iter().map(single).collect()
}

fn part(media_type: &str, disposition: Option<&str>) -> Part {
    let mut headers = MimeHeaders::new().with("Content-Type", media_type).unwrap();
    if let Some(disposition) = disposition {
        headers = headers.with("Content-Disposition", disposition).unwrap();
    }
    Part::single(headers, Bytes::copy_from_slice(media_type.as_bytes())).unwrap()
}

fn understood(multipart: &Multipart, types: &[&str]) -> Result<Vec<String>, String> {
    let understands = |part: &Part| types.contains(&part.media_type().to_string().as_str());
    match multipart.resolve(&understands) {
        Ok(parts) => Ok(parts.iter().map(|part| part.media_type().to_string()).collect()),
        Err(why) => Err(why.media_type.to_string()),
    }
}

/// BODY-01; the line end before a delimiter is no content, preamble and epilogue are none either.
#[test]
fn parts_are_what_stands_between_the_delimiters() {
    let body = "preamble\r\n--b\r\nContent-Type: text/plain\r\n\r\none\r\n\r\n--b \t\r\n\r\ntwo\r\n--b--\r\nepilogue";
    let multipart = parse("mixed", "b", body).unwrap();
    assert_eq!(contents(&multipart), [&b"one\r\n"[..], b"two"]);
}

/// BODY-01
#[test]
fn nested_parts_are_read_through() {
    let body = "--outer\r\nContent-Type: multipart/alternative; boundary=outer-inner\r\n\r\n--outer-inner\r\n\r\na\r\n--outer-inner\r\n\r\nb\r\n--outer-inner--\r\n--outer\r\n\r\nc\r\n--outer--";
    let multipart = parse("mixed", "outer", body).unwrap();
    let Content::Multipart(inner) = multipart.parts()[0].content() else { panic!() };
    assert!(inner.is_alternative());
    assert_eq!(contents(inner), [b"a", b"b"]);
    assert_eq!(single(&multipart.parts()[1]), b"c");
}

#[test]
fn contents_are_binary_and_not_copied() {
    let mut body = b"--b\r\nContent-Type: application/octet-stream\r\n\r\n".to_vec();
    let content: Vec<u8> = (0..=255).collect();
    body.extend_from_slice(&content);
    body.extend_from_slice(b"\r\n--b--");
    let body = Bytes::from(body);
    let multipart = Multipart::parse("mixed", "b", &body).unwrap();
    let read = single(&multipart.parts()[0]);
    assert_eq!(read, content);
    assert!(body.as_ptr_range().contains(&read.as_ptr()));
}

#[test]
fn a_boundary_within_a_line_or_longer_than_it_should_be_is_content() {
    let content = "x --b\r\n--bb\r\n--b x\r\n--b--x\r\n --b";
    let multipart = parse("mixed", "b", &format!("--b\r\n\r\n{content}\r\n--b--")).unwrap();
    assert_eq!(contents(&multipart), [content.as_bytes()]);
}

#[test]
fn lines_that_end_in_lf_alone_are_read() {
    let multipart = parse("mixed", "b", "--b\nContent-Type: text/plain\n\none\n--b\n\ntwo\n--b--\n").unwrap();
    assert_eq!(contents(&multipart), [b"one", b"two"]);
}

#[test]
fn a_part_may_be_empty_or_nothing_but_fields() {
    let body = "--b\r\n--b\r\n\r\n--b\r\nX-A: b\r\n--b\r\n\r\n\r\n--b--";
    let multipart = parse("mixed", "b", body).unwrap();
    assert_eq!(contents(&multipart), [b"", b"", b"", b""]);
    assert_eq!(multipart.parts()[2].headers().get("x-a"), Some("b"));
}

#[test]
fn a_body_without_end_or_beginning_is_refused() {
    assert_eq!(parse("mixed", "b", ""), Err(MultipartError::NoParts));
    assert_eq!(parse("mixed", "b", "hello"), Err(MultipartError::NoParts));
    assert_eq!(parse("mixed", "b", "--b--\r\n"), Err(MultipartError::NoParts));
    assert_eq!(parse("mixed", "b", "--b"), Err(MultipartError::NoParts));
    let whole = "--b\r\nContent-Type: text/plain\r\n\r\none\r\n--b--";
    for (length, _) in whole.char_indices().skip("--b\r\n".len()) {
        assert_eq!(
            parse("mixed", "b", whole.split_at(length).0),
            Err(MultipartError::Unterminated),
            "{length}"
        );
    }
    assert!(parse("mixed", "b", whole).is_ok());
}

#[test]
fn what_is_no_boundary_is_refused() {
    let long = "b".repeat(MAX_BOUNDARY + 1);
    for found in ["", "b ", "b\r\n", "b\"", "é", long.as_str()] {
        let error = MultipartError::Boundary { found: found.into() };
        assert_eq!(parse("mixed", found, "--b--"), Err(error.clone()), "{found:?}");
        assert_eq!(Multipart::new("mixed", found, vec![part("text/plain", None)]), Err(error));
    }
    let longest = "b".repeat(MAX_BOUNDARY);
    assert!(parse("mixed", &longest, &format!("--{longest}\r\n\r\n--{longest}--")).is_ok());
}

#[test]
fn a_nested_multipart_without_boundary_is_refused() {
    let body = "--b\r\nContent-Type: multipart/mixed\r\n\r\n--b--";
    assert_eq!(parse("mixed", "b", body), Err(MultipartError::Boundary { found: String::new() }));
}

#[test]
fn a_compressed_multipart_stays_one_part() {
    let body = "--b\r\nContent-Type: multipart/mixed;boundary=c\r\nContent-Encoding: gzip\r\n\r\nx\r\n--b--";
    assert_eq!(contents(&parse("mixed", "b", body).unwrap()), [b"x"]);
}

#[test]
fn malformed_fields_name_their_part() {
    let source = HeaderError::Malformed { at: 0 };
    let expected = Err(MultipartError::Headers { index: 1, source });
    assert_eq!(parse("mixed", "b", "--b\r\n\r\n--b\r\nno colon\r\n\r\n\r\n--b--"), expected);
}

fn nested(depth: usize) -> String {
    let mut body = String::from("x");
    for level in (0..depth).rev() {
        let fields = match level + 1 == depth {
            true => String::new(),
            false => format!("Content-Type: multipart/mixed;boundary=b{}\r\n", level + 1),
        };
        body = format!("--b{level}\r\n{fields}\r\n{body}\r\n--b{level}--");
    }
    body
}

/// BODY-06
#[test]
fn depth_parts_and_size_are_limited() {
    assert!(parse("mixed", "b0", &nested(MAX_DEPTH)).is_ok());
    assert_eq!(parse("mixed", "b0", &nested(MAX_DEPTH + 1)), Err(MultipartError::TooDeep));
    let many = |count| format!("{}--b--", "--b\r\n\r\n".repeat(count));
    assert_eq!(parse("mixed", "b", &many(MAX_PARTS)).unwrap().parts().len(), MAX_PARTS);
    assert_eq!(parse("mixed", "b", &many(MAX_PARTS + 1)), Err(MultipartError::TooManyParts));
    let size = MAX_SIZE + 1;
    assert_eq!(parse("mixed", "b", &" ".repeat(size)), Err(MultipartError::TooLarge { size }));
}

/// BODY-06: what may not be read may not be written.
#[test]
fn the_limits_hold_for_writing() {
    let parts = vec![part("text/plain", None); MAX_PARTS + 1];
    assert_eq!(Multipart::new("mixed", "b", parts), Err(MultipartError::TooManyParts));
    let mut inner = part("text/plain", None);
    for level in 0..MAX_DEPTH {
        inner = Part::nested(Multipart::new("mixed", &format!("{level}"), vec![inner]).unwrap());
    }
    assert_eq!(Multipart::new("mixed", "b", vec![inner]), Err(MultipartError::TooDeep));
    let large = Part::single(MimeHeaders::new(), vec![b' '; MAX_SIZE]).unwrap();
    assert!(matches!(Multipart::new("mixed", "b", vec![large]), Err(MultipartError::TooLarge { .. })));
    assert_eq!(Multipart::new("mixed", "b", vec![]), Err(MultipartError::NoParts));
}

/// BODY-05
#[test]
fn a_boundary_that_occurs_in_a_part_is_refused() {
    let part = Part::single(MimeHeaders::new(), &b"\r\n--b\r\n"[..]).unwrap();
    assert_eq!(Multipart::new("mixed", "b", vec![part]), Err(MultipartError::BoundaryInPart { index: 0 }));
}

#[test]
fn a_body_is_written_as_rfc_2046_has_it() {
    let text = MimeHeaders::new().with("Content-Type", "text/plain").unwrap();
    let inner = Multipart::new("Alternative", "in ner", vec![Part::single(text, "hi").unwrap()]).unwrap();
    let multipart = Multipart::new("mixed", "b", vec![Part::nested(inner)]).unwrap();
    assert_eq!(multipart.media_type().to_string(), "multipart/mixed;boundary=b");
    assert_eq!(
        String::from_utf8(multipart.to_bytes()).unwrap(),
        "--b\r\nContent-Type: multipart/alternative;boundary=\"in ner\"\r\n\r\n--in ner\r\n\
             Content-Type: text/plain\r\n\r\nhi\r\n--in ner--\r\n\r\n--b--\r\n"
    );
}

/// BODY-01
#[test]
fn of_alternatives_the_last_one_understood_is_taken() {
    let parts = vec![part("text/plain", None), part("text/html", None), part("text/x", None)];
    let multipart = Multipart::new("alternative", "b", parts).unwrap();
    assert_eq!(understood(&multipart, &["text/plain", "text/html"]), Ok(vec!["text/html".into()]));
    assert_eq!(understood(&multipart, &["text/plain"]), Ok(vec!["text/plain".into()]));
    assert_eq!(understood(&multipart, &[]), Err("multipart/alternative;boundary=b".into()));
}

/// BODY-02
#[test]
fn a_required_part_not_understood_fails_a_mixed_body_and_an_optional_one_does_not() {
    let body = |disposition| {
        let parts = vec![part("text/plain", None), part("image/x", disposition)];
        Multipart::new("mixed", "b", parts).unwrap()
    };
    assert_eq!(understood(&body(None), &["text/plain"]), Err("image/x".into()));
    assert_eq!(understood(&body(Some("icon;handling=required")), &["text/plain"]), Err("image/x".into()));
    let optional = body(Some("icon;handling=optional"));
    assert_eq!(understood(&optional, &["text/plain"]), Ok(vec!["text/plain".into()]));
    assert_eq!(understood(&optional, &["text/plain", "image/x"]).unwrap().len(), 2);
}

/// BODY-01: `related` and subtypes that nobody knows.
#[test]
fn other_subtypes_are_handled_as_mixed() {
    let parts = vec![part("text/plain", None), part("text/html", None)];
    let multipart = Multipart::new("x-new", "b", parts).unwrap();
    assert_eq!(understood(&multipart, &["text/plain", "text/html"]).unwrap().len(), 2);
    assert_eq!(understood(&multipart, &["text/plain"]), Err("text/html".into()));
}

/// BODY-01: an alternative that could only be ignored is none.
#[test]
fn alternatives_are_chosen_through_nesting() {
    let mixed = |parts| Part::nested(Multipart::new("mixed", "in", parts).unwrap());
    let ignorable = mixed(vec![part("text/x", Some("icon;handling=optional"))]);
    let both = mixed(vec![part("text/html", None), part("text/plain", None)]);
    let parts = vec![part("text/plain", None), both, ignorable];
    let multipart = Multipart::new("alternative", "b", parts).unwrap();
    assert_eq!(understood(&multipart, &["text/plain", "text/html"]).unwrap(), ["text/html", "text/plain"]);
    assert_eq!(understood(&multipart, &["text/plain"]).unwrap(), ["text/plain"]);
}

/// BODY-02: an optional alternative inside a mixed body.
#[test]
fn an_optional_alternative_that_nobody_understands_is_ignored() {
    let body = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\nContent-Type: multipart/alternative;boundary=c\r\nContent-Disposition: render;handling=optional\r\n\r\n--c\r\nContent-Type: a/b\r\n\r\n--c--\r\n--b--";
    let multipart = parse("mixed", "b", body).unwrap();
    assert_eq!(understood(&multipart, &["text/plain"]), Ok(vec!["text/plain".into()]));
}
