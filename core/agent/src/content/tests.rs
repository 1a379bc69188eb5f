use super::*;
use aldis_sip::Uri;
use aldis_sip::body::cpim::Address;

fn unwrapped(content_type: &str, body: &[u8]) -> Unwrapped {
    match read(content_type, &Bytes::copy_from_slice(body)) {
        Ok(Reading::Content(unwrapped)) => unwrapped,
        other => panic!("{content_type}: {:?}", other.err()),
    }
}

fn read_text(content_type: &str, body: &[u8]) -> Content {
    unwrapped(content_type, body).content
}

fn texts(content: &Content) -> Vec<&str> {
    let mut texts = Vec::new();
    for piece in &content.pieces {
        if let Piece::Text(text) = piece {
            texts.push(text.text.as_str());
        }
    }
    texts
}

fn cpim(headers: &str, content: &str) -> Vec<u8> {
    format!("{headers}\r\n{content}").replace('\n', "\r\n").replace("\r\r", "\r").into_bytes()
}

const CLAIMED: &str = "From: Eve <sip:eve@example.test>\nTo: <sip:alice@example.test>\nDateTime: 2027-01-15T09:00:00+01:00\n\
    Subject: lunch\nNS: imdn <urn:ietf:params:imdn>\nimdn.Message-ID: abc123\n\
    imdn.Disposition-Notification: positive-delivery, display, dance\n";

#[test]
fn text_is_decoded_in_its_charset_and_what_cannot_be_read_is_replaced_i_06_body_04() {
    for (kind, body, text, replaced) in [
        ("text/plain", "grüße".as_bytes(), "grüße", false),
        ("text/plain;charset=iso-8859-1", b"gr\xfc\xdfe", "grüße", false),
        ("text/plain", b"gr\xfc", "gr\u{fffd}", true),
        ("TEXT/Plain", b"", "", false),
    ] {
        let content = read_text(kind, body);
        let [Piece::Text(read)] = content.pieces.as_slice() else { panic!("{content:?}") };
        assert_eq!((read.text.as_str(), read.replaced), (text, replaced), "{kind}");
        assert_eq!(content.text().as_deref(), Some(text));
    }
}

#[test]
fn a_cpim_message_is_unwrapped_with_what_stands_around_it_imdn_01() {
    let content =
        unwrapped("message/cpim", &cpim(CLAIMED, "Content-Type: text/plain; charset=utf-8\n\nhello"));
    assert_eq!(texts(&content.content), ["hello"]);
    assert_eq!(
        (content.content_type.as_str(), &content.body[..]),
        ("text/plain; charset=utf-8", &b"hello"[..])
    );
    let envelope = content.envelope.unwrap();
    assert_eq!(envelope.message_id.as_deref(), Some("abc123"));
    assert_eq!(envelope.sent_at(), Some(1_800_000_000));
    assert_eq!(envelope.subject.as_deref(), Some("lunch"));
    assert_eq!(envelope.receipts, ReceiptsWanted { delivery: true, failure: false, display: true });
}

#[test]
fn a_sender_other_than_the_one_of_the_request_is_a_claim_cpim_05() {
    let content = unwrapped("message/cpim", &cpim(CLAIMED, "Content-Type: text/plain\n\nhello"));
    let envelope = content.envelope.unwrap();
    let claimed = |from: &str| {
        envelope.claimed_from(&Uri::parse(from.to_owned()).unwrap()).map(Address::uri).map(str::to_owned)
    };
    assert_eq!(claimed("sip:bob@example.test").as_deref(), Some("sip:eve@example.test"));
    assert_eq!(claimed("sips:eve@EXAMPLE.test:5061;transport=tls"), None, "the same user and domain");
    let im = CLAIMED.replace("sip:eve", "im:eve");
    let content = unwrapped("message/cpim", &cpim(&im, "Content-Type: text/plain\n\nhello"));
    assert_eq!(content.envelope.unwrap().claimed_from(&Uri::parse("sip:eve@example.test").unwrap()), None);
}

#[test]
fn a_required_cpim_header_that_nobody_knows_is_not_understood_cpim_03() {
    let content = "Content-Type: text/plain\n\nhello";
    let unknown = format!("{CLAIMED}NS: x <urn:x>\nRequire: x.Vital\n");
    let refused = read("message/cpim", &cpim(&unknown, content).into());
    assert_eq!(refused.err(), Some(Unreadable::NotUnderstood("CPIM Require: x.Vital".into())));
    let known = format!("{CLAIMED}Require: imdn.Message-ID, Subject\n");
    assert_eq!(texts(&read_text("message/cpim", &cpim(&known, content))), ["hello"]);
}

const MIXED: &str = "multipart/mixed;boundary=b";

#[test]
fn parts_are_pieces_in_their_order_body_01() {
    let body = b"--b\r\nContent-Type: text/plain\r\n\r\nlook:\r\n--b\r\nContent-Type: image/png\r\n\
        Content-Disposition: attachment; filename=\"../cat.png\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n\
        --b\r\nContent-Type: message/external-body;access-type=URL;URL=\"https://x.test/f\";size=9\r\n\r\n\
        Content-Type: video/mp4\r\nContent-Disposition: render\r\n\r\n--b--\r\n";
    let content = read_text(MIXED, body);
    let [Piece::Text(text), Piece::File(file), Piece::Elsewhere(elsewhere)] = content.pieces.as_slice()
    else {
        panic!("{content:?}")
    };
    assert_eq!(text.text, "look:");
    assert_eq!((file.name.as_deref(), file.content_type.as_str()), (Some("cat.png"), "image/png"));
    assert_eq!(file.bytes, &b"\0\x01\x02"[..]);
    assert_eq!((elsewhere.url(), elsewhere.size()), ("https://x.test/f", Some(9)));
}

#[test]
fn of_alternatives_the_plain_text_is_taken_before_a_markup_and_that_before_none_body_01() {
    let alternative = |parts: &[&str]| {
        let parts: String =
            parts.iter().map(|part| format!("--b\r\nContent-Type: {part}\r\n\r\n{part}\r\n")).collect();
        read("multipart/alternative;boundary=b", &format!("{parts}--b--\r\n").into())
    };
    let chosen = |parts: &[&str]| match alternative(parts) {
        Ok(Reading::Content(read)) => read.content.text().map(|text| text.into_owned()),
        _ => None,
    };
    assert_eq!(chosen(&["text/plain", "text/html"]).as_deref(), Some("text/plain"));
    assert_eq!(chosen(&["text/plain", "text/markdown"]).as_deref(), Some("text/markdown"));
    assert_eq!(chosen(&["application/x-odd", "text/html"]).as_deref(), Some("text/html"));
    let none = alternative(&["application/x-odd", "application/x-odder"]);
    assert!(matches!(none, Err(Unreadable::NotUnderstood(_))));
}

#[test]
fn a_part_that_is_required_and_not_understood_refuses_the_whole_and_an_optional_one_does_not_body_02() {
    let mixed = |disposition: &str| {
        let body = format!(
            "--b\r\n\r\nhello\r\n--b\r\nContent-Type: application/x-odd\r\n{disposition}\r\nx\r\n--b--\r\n"
        );
        read(MIXED, &body.into())
    };
    assert!(matches!(mixed(""), Err(Unreadable::NotUnderstood(_))));
    assert!(matches!(mixed("Content-Disposition: signal\r\n"), Err(Unreadable::NotUnderstood(_))));
    for (disposition, pieces) in
        [("Content-Disposition: render;handling=optional\r\n", 1), ("Content-Disposition: attachment\r\n", 2)]
    {
        let Ok(Reading::Content(read)) = mixed(disposition) else { panic!("{disposition}") };
        assert_eq!(read.content.pieces.len(), pieces, "{disposition}");
    }
}

#[test]
fn a_multipart_in_a_cpim_message_is_read_through() {
    let body = cpim(CLAIMED, "Content-Type: multipart/mixed;boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n");
    assert_eq!(read_text("message/cpim", &body).text().as_deref(), Some("one\n\ntwo"));
}

#[test]
fn an_encoded_content_of_a_cpim_message_is_decoded() {
    let body = cpim(CLAIMED, "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\naGVsbG8=");
    let read = unwrapped("message/cpim", &body);
    assert_eq!((texts(&read.content), &read.body[..]), (vec!["hello"], &b"hello"[..]));
}

#[test]
fn what_msilo_kept_is_shown_as_it_is_with_its_date_as_a_hint_i_05() {
    let altered = "[Offline message - Fri Jan 15 08:00:00 2027] hello";
    let content = read_text("text/plain", altered.as_bytes());
    assert_eq!(texts(&content), [altered]);
    assert_eq!(content.kept_since, Some(1_800_000_000));
    let single = read_text("text/plain", b"[Offline message - Fri Jan  1 08:00:00 2027] x");
    assert_eq!(single.kept_since, Some(1_800_000_000 - 14 * 86_400));
    for own in [
        "[Offline message - soon] x",
        "[Offline message - ",
        "see [Offline message - Fri Jan 15 08:00:00 2027] x",
    ] {
        assert_eq!(read_text("text/plain", own.as_bytes()).kept_since, None, "{own}");
    }
}

#[test]
fn a_cpim_message_that_msilo_kept_is_read_behind_what_was_written_before_it_i_05() {
    let mut body = b"[Offline message - Fri Jan 15 08:00:00 2027] ".to_vec();
    body.extend(cpim(CLAIMED, "Content-Type: text/plain\n\nhello"));
    // msilo of Kamailio 5.6 calls what it kept text/plain, whatever it was.
    for kind in ["message/cpim", "text/plain"] {
        let read = unwrapped(kind, &body);
        assert_eq!((texts(&read.content), read.content.kept_since), (vec!["hello"], Some(1_800_000_000)));
        assert_eq!(read.envelope.unwrap().message_id.as_deref(), Some("abc123"), "{kind}");
    }
    let plain = cpim(CLAIMED, "Content-Type: text/plain\n\nhello");
    assert!(unwrapped("text/plain", &plain).envelope.is_none(), "text that looks like one is text");
}

#[test]
fn statuses_and_receipts_are_no_content_bare_or_wrapped() {
    let typing = IsComposing::active(None);
    assert!(
        read("application/im-iscomposing+xml", &typing.to_xml().into())
            == Ok(Reading::Composing(typing.clone()))
    );
    let wrapped =
        cpim(CLAIMED, &format!("Content-Type: application/im-iscomposing+xml\n\n{}", typing.to_xml()));
    assert!(read("message/cpim", &wrapped.into()) == Ok(Reading::Composing(typing)));
    use aldis_sip::body::imdn::{Disposition, Status};
    let receipt = Imdn::new("1", "2027", Disposition::Display, Status::Displayed);
    let wrapped = cpim(CLAIMED, &format!("Content-Type: message/imdn+xml\n\n{}", receipt.to_xml()));
    assert!(read("message/cpim", &wrapped.into()) == Ok(Reading::Receipt(receipt)));
}

#[test]
fn what_is_malformed_is_told_and_a_stored_one_is_shown_as_a_file() {
    for (kind, body) in [
        ("message/cpim", "no header"),
        (MIXED, "no boundary"),
        ("application/im-iscomposing+xml", "<x/>"),
        ("message/imdn+xml", "<!DOCTYPE a>"),
    ] {
        let body = Bytes::from_static(body.as_bytes());
        assert!(matches!(read(kind, &body), Err(Unreadable::Malformed(_))), "{kind}");
        let content = Content::read(kind, &body);
        assert!(
            matches!(&content.pieces[..], [Piece::File(file)] if file.bytes == body && file.content_type == kind)
        );
    }
}

#[test]
fn a_printed_content_holds_nothing_of_what_it_says() {
    let read = unwrapped("message/cpim", &cpim(CLAIMED, "Content-Type: text/plain\n\nwonderland"));
    let printed = format!("{:?} {:?}", read.content, read.envelope);
    assert!(!printed.contains("wonderland") && !printed.contains("eve"), "{printed}");
}

#[test]
fn what_was_unwrapped_says_the_same_when_it_is_read_again() {
    for content in [
        "Content-Type: text/plain;charset=iso-8859-1\n\nhello",
        "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\naGVsbG8=",
        "Content-Type: multipart/mixed;boundary=b\n\n--b\n\none\n--b\nContent-Type: image/png\n\ntwo\n--b--\n",
        "Content-Type: message/external-body;access-type=URL;URL=\"x:y\"\n\nContent-Type: image/png\n",
    ] {
        let read = unwrapped("message/cpim", &cpim(CLAIMED, content));
        assert!(Content::read(&read.content_type, &read.body) == read.content, "{content}");
    }
}
