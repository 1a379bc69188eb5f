//! Messages to store.

use aldis_store::{Incoming, Kind, Outgoing, Owner, ReceiptRequest};

pub const ME: Owner = Owner(1);
pub const OTHER: Owner = Owner(2);
pub const ALICE: &str = "sip:alice@example.test";
pub const BOB: &str = "sip:bob@example.test";

pub fn incoming(key: &str, text: &str) -> Incoming {
    Incoming {
        key: key.into(),
        id: key.into(),
        from: ALICE.into(),
        display_name: Some("Alice".into()),
        claimed_from: Some("sip:mallory@example.test".into()),
        to: BOB.into(),
        content_type: "text/plain".into(),
        body: text.as_bytes().to_vec(),
        sent_at: Some(5),
        received_at: 10,
        expires_at: Some(99),
        wants: Some(ReceiptRequest {
            delivered: true,
            displayed: false,
            failed: true,
            date_time: Some("2027-01-15T08:00:00Z".into()),
            recipient: None,
            original_recipient: Some(BOB.into()),
            route: vec!["<sip:d@proxy.test>".into(), "<sip:s@proxy.test>".into()],
        }),
        owes_receipt: true,
    }
}

pub fn outgoing(id: &str, to: &str, text: &str) -> Outgoing {
    Outgoing {
        id: id.into(),
        call_id: format!("call-{id}"),
        from_tag: format!("tag-{id}"),
        to: to.into(),
        kind: Kind::Message,
        content_type: "text/plain;charset=UTF-8".into(),
        body: text.as_bytes().to_vec(),
        expires: Some(60),
        created_at: 20,
        wants: None,
    }
}
