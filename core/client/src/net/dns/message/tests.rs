//! What another implementation writes, and what nobody should.

use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, NAPTR, SOA, SRV, TXT};
use hickory_proto::rr::{self, RData};
use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn theirs(text: &str) -> rr::Name {
    rr::Name::from_ascii(format!("{text}.")).unwrap()
}

fn answer(answers: Vec<(&str, u32, RData)>) -> Message {
    let mut message = Message::response(7, OpCode::Query);
    message.add_query(Query::query(theirs("example.test"), rr::RecordType::SRV));
    for (owner, ttl, data) in answers {
        message.add_answer(rr::Record::from_rdata(theirs(owner), ttl, data));
    }
    message
}

fn read_srv(bytes: &[u8]) -> Result<Answer, Unusable> {
    read(bytes, 7, &name("example.test"), RecordType::Srv)
}

#[test]
fn another_implementation_reads_our_question() {
    for extended in [true, false] {
        let bytes = query(0xbeef, &name("_sips._tcp.example.test"), RecordType::Naptr, extended);
        let read = Message::from_vec(&bytes).unwrap();
        assert_eq!(read.metadata.id, 0xbeef);
        assert!(read.metadata.recursion_desired);
        let asked = &read.queries[0];
        assert_eq!(asked.name().to_ascii(), "_sips._tcp.example.test.");
        assert_eq!(asked.query_type(), rr::RecordType::NAPTR);
        assert_eq!(read.edns.map(|edns| edns.max_payload()), extended.then_some(UDP_PAYLOAD));
    }
}

#[test]
fn records_of_another_implementation_are_read() {
    let text = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
    let naptr = NAPTR::new(10, 20, text("s"), text("SIPS+D2T"), text(""), theirs("_sips._tcp.example.test"));
    let mut message = answer(vec![
        ("example.test", 60, RData::SRV(SRV::new(1, 2, 5061, theirs("sip.example.test")))),
        ("example.test", 5, RData::CNAME(CNAME(theirs("other.example.test")))),
        ("example.test", 6, RData::TXT(TXT::new(vec!["of no use".into()]))),
        ("a.example.test", 7, RData::from("192.0.2.7".parse::<IpAddr>().unwrap())),
        ("a.example.test", 8, RData::from("2001:db8::7".parse::<IpAddr>().unwrap())),
        ("example.test", u32::MAX, RData::NAPTR(naptr)),
    ]);
    let soa = SOA::new(theirs("ns.test"), theirs("admin.test"), 1, 3600, 600, 86_400, 30);
    message.add_authority(rr::Record::from_rdata(theirs("test"), 900, RData::SOA(soa)));
    message.metadata.response_code = ResponseCode::NXDomain;
    let read = read_srv(&message.to_vec().unwrap()).unwrap();
    let said: Vec<_> = read.records.iter().map(|r| (r.owner.to_string(), r.ttl, r.data.clone())).collect();
    let own = "example.test".to_owned();
    let a = "a.example.test".to_owned();
    let srv = Data::Srv { priority: 1, weight: 2, port: 5061, target: name("sip.example.test") };
    let naptr = Naptr {
        order: 10,
        preference: 20,
        flags: b"s".to_vec(),
        services: b"SIPS+D2T".to_vec(),
        regexp: Vec::new(),
        replacement: name("_sips._tcp.example.test"),
    };
    let expected = [
        (own.clone(), 60, srv),
        (own.clone(), 5, Data::Alias(name("other.example.test"))),
        (a.clone(), 7, Data::Address("192.0.2.7".parse().unwrap())),
        (a, 8, Data::Address("2001:db8::7".parse().unwrap())),
        (own, 0, Data::Naptr(naptr)),
    ];
    assert_eq!(said, expected);
    assert_eq!((read.code, read.truncated, read.negative_ttl), (NXDOMAIN, false, Some(30)));
}

#[test]
fn answers_to_others_are_not_ours() {
    let bytes = answer(Vec::new()).to_vec().unwrap();
    assert!(read_srv(&bytes).is_ok());
    assert!(read(&bytes, 7, &name("EXAMPLE.test"), RecordType::Srv).is_ok());
    for (id, owner, record) in [
        (8, "example.test", RecordType::Srv),
        (7, "example.org", RecordType::Srv),
        (7, "example.test", RecordType::A),
    ] {
        assert_eq!(read(&bytes, id, &name(owner), record), Err(Unusable::NotOurs));
    }
    // Our own question, sent back.
    let echo = query(7, &name("example.test"), RecordType::Srv, true);
    assert_eq!(read_srv(&echo), Err(Unusable::NotOurs));
    assert_eq!(read_srv(b"short"), Err(Unusable::NotOurs));
}

/// A pointer that leads forward or to itself would never end, and one label too many makes no name.
#[test]
fn names_that_do_not_end_are_no_names() {
    for pointer in [[0xc0, 12], [0xc0, 13], [0xff, 0xff]] {
        let mut bytes = vec![0, 7, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend(pointer);
        bytes.extend([0, 33, 0, 1]);
        assert_eq!(read_srv(&bytes), Err(Unusable::Malformed), "{pointer:?}");
    }
    let mut reader = Reader { bytes: &[&[63; 64].repeat(4)[..], &[0]].concat(), at: 0 };
    assert_eq!(reader.name(), None);
    let mut reader = Reader { bytes: &[0x40, 0], at: 0 };
    assert_eq!(reader.name(), None);
}

#[test]
fn names_are_what_dns_allows() {
    let longest = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61));
    assert_eq!(Name::new(&longest).map(|name| name.to_string()), Some(longest.clone()));
    let (long_name, long_label) = (format!("{longest}d"), "a".repeat(64));
    for text in ["", ".", "a..b", ".a", "grün.test", "a b", "a\\b", long_name.as_str(), long_label.as_str()]
    {
        assert_eq!(Name::new(text), None, "{text:?}");
    }
    // A dot within a label is no end of it, and no host name.
    assert_eq!(Name([3, b'a', b'.', b'b', 0].into()).to_string(), "a\\046b");
    assert!(Name([0].into()).is_root());
}

#[test]
fn a_record_whose_length_is_not_that_of_its_data_makes_the_answer_unusable() {
    let message =
        answer(vec![("example.test", 1, RData::SRV(SRV::new(1, 2, 3, theirs("sip.example.test"))))]);
    let bytes = message.to_vec().unwrap();
    // The length stands before the data, which ends with the message: 6 bytes of numbers and a name.
    let at = (0..bytes.len()).rev().find(|at| bytes[at + 1..].starts_with(&[0, 1, 0, 2, 0, 3])).unwrap();
    for wrong in [bytes[at] - 1, bytes[at] + 1, 0, 255] {
        let mut bytes = bytes.clone();
        bytes[at] = wrong;
        assert_eq!(read_srv(&bytes), Err(Unusable::Malformed), "{wrong}");
    }
    for cut in 12..bytes.len() {
        assert_eq!(read_srv(&bytes[..cut]), Err(Unusable::Malformed), "{cut}");
    }
}

proptest! {
    /// Nothing that a network can send ends the program, or makes more of an answer than it has bytes.
    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..600), honest in any::<bool>()) {
        if honest && bytes.len() >= 30 {
            let header = [0, 7, 0x80, 0, 0, 1, 0, 9, 0, 9, 0, 0];
            bytes[..12].copy_from_slice(&header);
            bytes[12..30].copy_from_slice(b"\x07example\x04test\0\0\x21\0\x01");
        }
        if let Ok(answer) = read_srv(&bytes) {
            prop_assert!(answer.records.len() * 11 <= bytes.len());
            for record in answer.records {
                prop_assert!(record.owner.to_string().len() < 4 * MAX_NAME);
            }
        }
    }

    /// A good answer with some bytes changed.
    #[test]
    fn a_damaged_answer_is_read_or_refused(changes in prop::collection::vec((12usize..200, any::<u8>()), 1..6)) {
        let text = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
        let naptr = NAPTR::new(1, 2, text("s"), text("SIPS+D2T"), text(""), theirs("_sips._tcp.example.test"));
        let mut bytes = answer(vec![
            ("example.test", 60, RData::SRV(SRV::new(1, 2, 5061, theirs("sip.example.test")))),
            ("a.example.test", 7, RData::from("192.0.2.7".parse::<IpAddr>().unwrap())),
            ("example.test", 60, RData::NAPTR(naptr)),
            ("example.test", 60, RData::CNAME(CNAME(theirs("other.example.test")))),
        ]).to_vec().unwrap();
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let _ = read_srv(&bytes);
    }
}
