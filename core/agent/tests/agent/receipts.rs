//! Receipts (RFC 5438): those that we ask for, and those that we give.

use crate::rig::{BOB, Incoming, Rig, account, seconds, status};
use aldis_agent::{
    AnswerWith, Event, MessageId, NewMessage, OutgoingState, Receipt, ReceiptKind, ReceiptsWanted,
    ReceivedMessage, Ticket,
};
use aldis_sip::body::cpim::{Cpim, IMDN};
use aldis_sip::body::imdn::{Disposition, Imdn, Status};
use aldis_sip::{Header, Message};

fn ask(rig: &mut Rig) -> (MessageId, Message) {
    let message = NewMessage::new(BOB, "text/plain", "hello").unwrap().with_receipts(ReceiptsWanted::ALL);
    let id = rig.tell(|agent, now| agent.send_message(now, message)).unwrap();
    (id, rig.sent())
}

/// A message that asked for receipts and was accepted.
fn sent() -> (Rig, MessageId) {
    let mut rig = Rig::registered();
    let (id, message) = ask(&mut rig);
    rig.reply(&message, 200, &[]);
    rig.events();
    (rig, id)
}

fn come(rig: &mut Rig, branch: &'static str, body: &str) {
    let extra = "Content-Type: message/cpim\r\n".into();
    let call_id = branch;
    rig.receive(
        Incoming { branch, call_id, extra, body: body.as_bytes().to_vec(), ..Incoming::default() }.bytes(),
    );
}

fn receipt(rig: &mut Rig, branch: &'static str, id: &str, disposition: Disposition, status: Status) {
    let xml = Imdn::new(id, "2027-01-15T08:00:00Z", disposition, status).to_xml();
    let body = format!(
        "From: <{BOB}>\r\nTo: <sip:alice@example.test>\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: own\r\n\r\n\
         Content-Type: message/imdn+xml\r\nContent-Disposition: notification\r\n\r\n{xml}"
    );
    come(rig, branch, &body);
}

fn told(rig: &mut Rig) -> Vec<(Ticket, Receipt)> {
    let receipt = |event| match event {
        Event::ReceiptReceived { ticket, receipt } => Some((ticket, receipt)),
        _ => None,
    };
    rig.events().into_iter().filter_map(receipt).collect()
}

#[test]
fn a_receipt_names_its_message_and_is_answered_when_it_is_stored_imdn_08_msg_17() {
    let (mut rig, id) = sent();
    for (branch, disposition, says, kind) in [
        ("z9hG4bK1", Disposition::Delivery, Status::Delivered, ReceiptKind::Delivered),
        ("z9hG4bK2", Disposition::Display, Status::Displayed, ReceiptKind::Displayed),
        ("z9hG4bK3", Disposition::Delivery, Status::Failed, ReceiptKind::Failed),
    ] {
        receipt(&mut rig, branch, &id.to_string(), disposition, says);
        let (ticket, receipt) = told(&mut rig).remove(0);
        assert_eq!((receipt.message_id, receipt.kind, receipt.from.as_str()), (id.to_string(), kind, BOB));
        rig.assert_silent();
        rig.answer(ticket, AnswerWith::Accept);
        assert_eq!(status(&rig.sent()), 200);
    }
}

#[test]
fn a_receipt_that_is_not_stored_in_time_stays_with_its_sender_msg_17() {
    let (mut rig, id) = sent();
    receipt(&mut rig, "z9hG4bK1", &id.to_string(), Disposition::Delivery, Status::Delivered);
    let (ticket, _) = told(&mut rig).remove(0);
    rig.answer(ticket, AnswerWith::Busy { retry_after: seconds(30) });
    assert_eq!(status(&rig.sent()), 480);
    receipt(&mut rig, "z9hG4bK2", &id.to_string(), Disposition::Delivery, Status::Delivered);
    rig.pass(seconds(3));
    assert_eq!(status(&rig.sent()), 480);
}

#[test]
fn what_a_server_on_the_way_does_is_answered_and_not_told_imdn_08() {
    let (mut rig, id) = sent();
    for (branch, disposition, says) in [
        ("z9hG4bK1", Disposition::Processing, Status::Processed),
        ("z9hG4bK2", Disposition::Delivery, Status::Error),
        ("z9hG4bK3", Disposition::Display, Status::Forbidden),
        ("z9hG4bK4", Disposition::Display, Status::Delivered),
    ] {
        receipt(&mut rig, branch, &id.to_string(), disposition, says);
        assert_eq!(status(&rig.sent()), 200);
        assert!(told(&mut rig).is_empty());
    }
}

const ASKING: &str = "From: Bob <im:bob@example.test>\r\nTo: Alice <im:alice@example.test>\r\n\
    DateTime: 2027-01-15T09:00:00+01:00\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: 34jk324j\r\n\
    imdn.Disposition-Notification: positive-delivery, display\r\n";

fn received(rig: &mut Rig, headers: &str) -> (Ticket, ReceivedMessage) {
    come(rig, "z9hG4bK9", &format!("{headers}\r\nContent-Type: text/plain\r\n\r\nhello"));
    rig.received().remove(0)
}

fn give(rig: &mut Rig, message: &ReceivedMessage, kind: ReceiptKind) -> Option<Message> {
    let about = message.receipt_for()?;
    let receipt = rig.tell(|agent, now| agent.compose_receipt(now, &about, kind))?;
    assert!(receipt.is_receipt());
    rig.tell(|agent, now| agent.send_message(now, receipt)).unwrap();
    Some(rig.sent())
}

#[test]
fn a_receipt_is_a_cpim_message_to_the_sender_with_an_identifier_of_its_own_imdn_03_imdn_06() {
    let mut rig = Rig::registered();
    let (ticket, message) = received(&mut rig, ASKING);
    rig.answer(ticket, AnswerWith::Accept);
    rig.sent();
    let sent = give(&mut rig, &message, ReceiptKind::Delivered).unwrap();
    assert_eq!(
        sent.request_uri().unwrap().unwrap().as_str(),
        BOB,
        "From of the request, not of the CPIM message"
    );
    assert_eq!(sent.value(Header::To), Some("<sip:bob@example.test>"));
    let cpim = Cpim::parse(sent.body()).unwrap();
    assert_eq!(cpim.content_headers().get("Content-Disposition"), Some("notification"));
    let own = cpim.get(IMDN, "Message-ID").unwrap().value().into_owned();
    assert!(own.len() == 32 && own != "34jk324j");
    assert!(cpim.get(IMDN, "Disposition-Notification").is_none(), "never a receipt for a receipt (IMDN-04)");
    let imdn = Imdn::parse(cpim.content()).unwrap();
    assert_eq!((imdn.message_id.as_str(), imdn.datetime.as_str()), ("34jk324j", "2027-01-15T09:00:00+01:00"));
    assert_eq!((imdn.disposition, imdn.status), (Disposition::Delivery, Status::Delivered));
    assert_eq!(imdn.recipient_uri.as_deref(), Some("im:alice@example.test"));
}

#[test]
fn a_message_that_asks_for_nothing_gets_nothing_imdn_05() {
    let mut rig = Rig::registered();
    let (_, message) = received(&mut rig, &ASKING.replace("positive-delivery, display", "processing, dance"));
    assert!(message.receipt_for().is_none());
}

#[test]
fn a_display_receipt_says_displayed_imdn_05() {
    let mut rig = Rig::registered();
    let (_, message) = received(&mut rig, ASKING);
    let shown = give(&mut rig, &message, ReceiptKind::Displayed).unwrap();
    let imdn = Imdn::parse(Cpim::parse(shown.body()).unwrap().content()).unwrap();
    assert_eq!((imdn.disposition, imdn.status), (Disposition::Display, Status::Displayed));
}

#[test]
fn a_message_without_an_identifier_and_an_anonymous_sender_get_no_receipt_imdn_07() {
    let mut rig = Rig::registered();
    let (_, mut message) = received(&mut rig, &ASKING.replace("imdn.Message-ID: 34jk324j\r\n", ""));
    assert!(give(&mut rig, &message, ReceiptKind::Delivered).is_none());
    message = received(&mut Rig::registered(), ASKING).1;
    message.from = aldis_sip::Uri::parse("sip:anonymous@anonymous.invalid").unwrap();
    assert!(give(&mut rig, &message, ReceiptKind::Delivered).is_none());
}

#[test]
fn a_receipt_goes_the_way_that_servers_recorded_imdn_06() {
    let mut rig = Rig::registered();
    let routed = format!(
        "{ASKING}imdn.IMDN-Record-Route: <sip:store@example.test>\r\nimdn.IMDN-Record-Route: <sip:list@example.test>\r\n"
    );
    let (_, message) = received(&mut rig, &routed);
    let sent = give(&mut rig, &message, ReceiptKind::Delivered).unwrap();
    assert_eq!(sent.request_uri().unwrap().unwrap().as_str(), "sip:store@example.test");
    let cpim = Cpim::parse(sent.body()).unwrap();
    let routes: Vec<_> = cpim.all(IMDN, "IMDN-Route").map(|header| header.value().into_owned()).collect();
    assert_eq!(routes, ["<sip:store@example.test>", "<sip:list@example.test>"]);
    assert!(cpim.get(IMDN, "IMDN-Record-Route").is_none());
}

#[test]
fn receipts_take_their_turn_and_are_told_to_the_store_alone_msg_03() {
    let mut rig = Rig::registered();
    let (_, message) = received(&mut rig, ASKING);
    rig.send(BOB, "1");
    let first = rig.sent();
    let about = message.receipt_for().unwrap();
    let receipt = rig.tell(|agent, now| agent.compose_receipt(now, &about, ReceiptKind::Delivered)).unwrap();
    rig.tell(|agent, now| agent.send_message(now, receipt)).unwrap();
    rig.assert_silent();
    rig.events();
    rig.reply(&first, 200, &[]);
    let receipt = rig.sent();
    rig.outgoing();
    rig.reply(&receipt, 200, &[]);
    let events = rig.events();
    assert!(
        matches!(&events[..], [Event::ReceiptOutgoing { state: OutgoingState::Accepted { .. }, .. }]),
        "{events:?}"
    );
}

#[test]
fn a_receipt_that_asks_for_a_receipt_is_one_for_all_that_imdn_04() {
    let (mut rig, id) = sent();
    let xml = Imdn::new(&id.to_string(), "2027", Disposition::Delivery, Status::Delivered).to_xml();
    come(&mut rig, "z9hG4bK1", &format!("{ASKING}\r\nContent-Type: message/imdn+xml\r\n\r\n{xml}"));
    let events = rig.events();
    assert!(!events.iter().any(|event| matches!(event, Event::MessageReceived { .. })));
    assert!(events.iter().any(|event| matches!(event, Event::ReceiptReceived { .. })));
}

#[test]
fn a_receipt_refused_as_cpim_is_not_tried_in_another_form() {
    let mut rig = Rig::registered_with(account(), &[]);
    let (_, message) = received(&mut rig, ASKING);
    let receipt = give(&mut rig, &message, ReceiptKind::Delivered).unwrap();
    rig.reply(&receipt, 415, &[]);
    rig.assert_silent();
}

#[test]
fn a_signed_message_gets_no_receipt_that_is_not_signed_imdn_09() {
    let mut rig = Rig::registered();
    let signed = "Content-Type: multipart/signed;boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n\
        Content-Type: application/pkcs7-signature\r\nContent-Disposition: attachment;handling=optional\r\n\r\nx\r\n--b--\r\n";
    come(&mut rig, "z9hG4bK9", &format!("{ASKING}\r\n{signed}"));
    let (_, message) = rig.received().remove(0);
    assert_eq!(message.content.text().as_deref(), Some("hello"));
    assert!(message.receipt_for().is_none());
}
