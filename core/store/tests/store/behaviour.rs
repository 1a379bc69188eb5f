//! What every store does.

use crate::samples::{ALICE, BOB, ME, OTHER, incoming, outgoing};
use aldis_store::{
    Entry, Incoming, Kind, Limits, MemoryStore, Message, Outgoing, Peer, Put, REMEMBER_FOR, Receipt,
    ReceiptKind, Sequence, SqliteStore, State, Store, StoreError, Stored,
};

/// Runs a test on each kind of store.
fn on_each(limits: &Limits, test: impl Fn(&mut dyn Store)) {
    test(&mut MemoryStore::new(limits.clone()));
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = SqliteStore::open(folder.path().join("store.db"), limits.clone()).unwrap();
    test(&mut store);
}

fn each(test: impl Fn(&mut dyn Store)) {
    on_each(&Limits::default(), test);
}

fn new(stored: Result<Stored, StoreError>) -> Sequence {
    match stored {
        Ok(Stored::New(sequence)) => sequence,
        other => panic!("not stored: {other:?}"),
    }
}

/// Without the key, which nobody is given back.
fn given_back(message: Incoming) -> Incoming {
    Incoming { key: String::new(), ..message }
}

fn texts(entries: &[Entry]) -> Vec<String> {
    let text = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap();
    entries
        .iter()
        .map(|entry| match &entry.message {
            Message::Incoming(message) => text(&message.body),
            Message::Outgoing { message, .. } => text(&message.body),
        })
        .collect()
}

fn ids(store: &mut dyn Store, owner: aldis_store::Owner) -> Vec<String> {
    store.claim(owner, 100).unwrap().into_iter().map(|pending| pending.message.id).collect()
}

fn state(store: &mut dyn Store, id: &str) -> Option<State> {
    match store.outgoing(id).unwrap()?.message {
        Message::Outgoing { state, .. } => Some(state),
        Message::Incoming(_) => None,
    }
}

#[test]
fn a_message_waits_until_it_is_acknowledged_as_it_came() {
    each(|store| {
        let first = new(store.put_incoming(&incoming("a", "one")));
        let second = new(store.put_incoming(&incoming("b", "two")));
        assert!(first < second);
        let waiting = store.waiting(Sequence(0), 10).unwrap();
        assert_eq!(waiting[0], (first, given_back(incoming("a", "one"))));
        assert_eq!(store.waiting(first, 10).unwrap(), [(second, given_back(incoming("b", "two")))]);
        store.acknowledge(&[first]).unwrap();
        assert_eq!(store.waiting(Sequence(0), 10).unwrap().len(), 1);
        // Twice, or what never was: no harm.
        store.acknowledge(&[first, Sequence(999)]).unwrap();
        assert_eq!(store.waiting(Sequence(0), 10).unwrap().len(), 1);
    });
}

#[test]
fn a_key_is_known_for_seven_days_even_when_acknowledged_or_deleted_msg_16() {
    each(|store| {
        let message = |received_at| Incoming { received_at, ..incoming("a", "one") };
        let sequence = new(store.put_incoming(&message(0)));
        store.acknowledge(&[sequence]).unwrap();
        assert!(store.delete_message(sequence).unwrap());
        assert_eq!(store.put_incoming(&message(REMEMBER_FOR)), Ok(Stored::Repeated));
        new(store.put_incoming(&message(REMEMBER_FOR + 1)));
    });
}

#[test]
fn tidying_forgets_old_keys_and_no_others() {
    each(|store| {
        let message = |key, received_at| Incoming { received_at, ..incoming(key, "one") };
        new(store.put_incoming(&message("old", 0)));
        new(store.put_incoming(&message("young", REMEMBER_FOR)));
        store.tidy(REMEMBER_FOR + 1).unwrap();
        assert_eq!(store.put_incoming(&message("young", REMEMBER_FOR + 1)), Ok(Stored::Repeated));
        new(store.put_incoming(&message("old", 1)));
    });
}

#[test]
fn a_full_inbox_refuses_and_keeps_what_it_has() {
    on_each(&Limits { inbox: 2, ..Limits::default() }, |store| {
        let first = new(store.put_incoming(&incoming("a", "one")));
        new(store.put_incoming(&incoming("b", "two")));
        assert_eq!(store.put_incoming(&incoming("c", "three")), Err(StoreError::Full(2)));
        // A repetition needs no room.
        assert_eq!(store.put_incoming(&incoming("a", "one")), Ok(Stored::Repeated));
        store.acknowledge(&[first]).unwrap();
        // What was refused was not seen: its repetition is welcome later.
        new(store.put_incoming(&incoming("c", "three")));
        assert_eq!(store.put_incoming(&incoming("d", "four")), Err(StoreError::Full(2)));
    });
}

#[test]
fn an_outgoing_message_keeps_all_that_a_second_attempt_needs_msg_15() {
    each(|store| {
        let message = Outgoing { wants: incoming("x", "").wants, ..outgoing("1", BOB, "hi") };
        let Put::Ours(sequence) = store.put_outgoing(&message, ME, false).unwrap() else {
            panic!("not ours")
        };
        assert!(store.set_state("1", ME, &State::Sending).unwrap());
        // Nobody else takes it while its owner lives, nor does the owner get it twice.
        assert!(ids(store, OTHER).is_empty() && ids(store, ME).is_empty());
        store.release(ME).unwrap();
        let taken = store.claim(OTHER, 10).unwrap();
        assert_eq!(taken.len(), 1);
        assert_eq!(
            (taken[0].sequence, &taken[0].message, &taken[0].state),
            (sequence, &message, &State::Sending)
        );
    });
}

#[test]
fn a_message_that_leaves_at_once_is_noted_so_unless_another_is_at_its_recipient() {
    each(|store| {
        assert!(matches!(store.put_outgoing(&outgoing("1", BOB, "hi"), ME, true), Ok(Put::Ours(_))));
        assert_eq!(state(store, "1"), Some(State::Sending));
        assert!(matches!(store.put_outgoing(&outgoing("2", BOB, "ho"), OTHER, true), Ok(Put::Waits(_))));
        assert_eq!(state(store, "2"), Some(State::Queued));
    });
}

#[test]
fn an_identifier_is_kept_once() {
    each(|store| {
        let first = store.put_outgoing(&outgoing("1", BOB, "hi"), ME, false).unwrap();
        assert_eq!(store.put_outgoing(&outgoing("1", BOB, "again"), ME, false).unwrap(), first);
        let Put::Ours(sequence) = first else { panic!("not ours") };
        assert_eq!(store.put_outgoing(&outgoing("1", BOB, "hi"), OTHER, false), Ok(Put::Waits(sequence)));
        assert_eq!(texts(&store.history(BOB, None, 10).unwrap()), ["hi"]);
    });
}

#[test]
fn one_owner_at_a_time_works_for_a_recipient_msg_03() {
    each(|store| {
        assert!(matches!(store.put_outgoing(&outgoing("1", BOB, "hi"), ME, false), Ok(Put::Ours(_))));
        // However the recipient's address is written.
        let to = "sips:bob@EXAMPLE.test:5061;transport=tls";
        assert!(matches!(store.put_outgoing(&outgoing("2", to, "there"), OTHER, false), Ok(Put::Waits(_))));
        assert!(matches!(store.put_outgoing(&outgoing("3", ALICE, "hi"), OTHER, false), Ok(Put::Ours(_))));
        assert!(ids(store, OTHER).is_empty());
        store.set_state("1", ME, &State::Accepted { status: 200 }).unwrap();
        assert_eq!(ids(store, OTHER), ["2"]);
    });
}

#[test]
fn what_is_free_is_taken_over_in_order() {
    each(|store| {
        for (id, to) in [("1", BOB), ("2", ALICE), ("3", BOB)] {
            store.put_outgoing(&outgoing(id, to, "hi"), ME, false).unwrap();
        }
        store.release(ME).unwrap();
        assert_eq!(ids(store, OTHER), ["1", "2", "3"]);
        assert!(ids(store, ME).is_empty());
    });
}

#[test]
fn a_state_is_set_by_its_owner_alone() {
    each(|store| {
        store.put_outgoing(&outgoing("1", BOB, "hi"), ME, false).unwrap();
        assert!(!store.set_state("1", OTHER, &State::Sending).unwrap());
        assert!(!store.set_state("none", ME, &State::Sending).unwrap());
        assert_eq!(state(store, "1"), Some(State::Queued));
        for next in [
            State::Sending,
            State::Unknown { status: Some(408), why: "no answer".into() },
            State::Failed { status: None, why: "withdrawn".into() },
            State::Accepted { status: 202 },
        ] {
            assert!(store.set_state("1", ME, &next).unwrap());
            assert_eq!(state(store, "1"), Some(next));
        }
    });
}

#[test]
fn a_message_that_failed_can_be_sent_again_as_the_same() {
    each(|store| {
        store.put_outgoing(&outgoing("1", BOB, "hi"), ME, false).unwrap();
        store.set_state("1", ME, &State::Failed { status: Some(480), why: "away".into() }).unwrap();
        assert!(ids(store, ME).is_empty());
        assert!(store.set_state("1", OTHER, &State::Queued).unwrap());
        assert!(!store.set_state("1", ME, &State::Sending).unwrap());
        store.release(OTHER).unwrap();
        assert_eq!(store.claim(ME, 1).unwrap()[0].message, outgoing("1", BOB, "hi"));
    });
}

#[test]
fn a_full_outbox_refuses() {
    on_each(&Limits { outbox: 2, ..Limits::default() }, |store| {
        for id in ["1", "2"] {
            store.put_outgoing(&outgoing(id, BOB, "hi"), ME, false).unwrap();
        }
        assert_eq!(store.put_outgoing(&outgoing("3", BOB, "hi"), ME, false), Err(StoreError::Full(2)));
        store.set_state("1", ME, &State::Accepted { status: 200 }).unwrap();
        store.put_outgoing(&outgoing("3", BOB, "hi"), ME, false).unwrap();
    });
}

#[test]
fn a_receipt_is_sent_and_forgotten() {
    each(|store| {
        let receipt = Outgoing { kind: Kind::Receipt, ..outgoing("1", BOB, "seen") };
        store.put_outgoing(&receipt, ME, false).unwrap();
        assert!(store.history(BOB, None, 10).unwrap().is_empty());
        assert!(store.conversations(None, 10).unwrap().is_empty());
        assert!(store.search("seen", None, None, 10).unwrap().is_empty());
        store.release(ME).unwrap();
        assert_eq!(store.claim(ME, 1).unwrap()[0].message, receipt);
        store.set_state("1", ME, &State::Accepted { status: 200 }).unwrap();
        assert_eq!(store.outgoing("1"), Ok(None));
    });
}

#[test]
fn a_receipt_is_kept_once_and_only_if_asked_for_imdn_04() {
    each(|store| {
        let receipt = |id: &str| Outgoing { kind: Kind::Receipt, ..outgoing(id, ALICE, "receipt") };
        let first = new(store.put_incoming(&incoming("a", "one")));
        let plain = Incoming { wants: None, owes_receipt: false, ..incoming("b", "two") };
        let second = new(store.put_incoming(&plain));
        let mut put =
            |sequence, kind, id: &str| store.put_owed(sequence, kind, &receipt(id), ME, false).unwrap();
        assert!(matches!(put(first, ReceiptKind::Delivered, "1"), Some(Put::Ours(_))));
        assert_eq!(put(first, ReceiptKind::Delivered, "2"), None);
        assert_eq!(put(first, ReceiptKind::Displayed, "3"), None);
        assert!(put(first, ReceiptKind::Failed, "4").is_some());
        assert_eq!(put(second, ReceiptKind::Delivered, "5"), None);
        assert_eq!(put(Sequence(99), ReceiptKind::Delivered, "6"), None);
        store.release(ME).unwrap();
        assert_eq!(ids(store, OTHER), ["1", "4"]);
    });
}

#[test]
fn a_receipt_is_owed_until_it_is_kept() {
    on_each(&Limits { outbox: 1, ..Limits::default() }, |store| {
        let owes = |store: &mut dyn Store| -> Vec<Sequence> {
            store.receipts_owed(Sequence(0), 10).unwrap().into_iter().map(|(sequence, _)| sequence).collect()
        };
        let receipt = |id: &str| Outgoing { kind: Kind::Receipt, ..outgoing(id, ALICE, "receipt") };
        let first = new(store.put_incoming(&incoming("a", "one")));
        let second = new(store.put_incoming(&incoming("b", "two")));
        new(store.put_incoming(&Incoming { owes_receipt: false, ..incoming("c", "without consent") }));
        store.acknowledge(&[first, second]).unwrap();
        assert_eq!(owes(store), [first, second]);
        assert_eq!(store.receipts_owed(first, 10).unwrap()[0].0, second);
        store.put_owed(first, ReceiptKind::Delivered, &receipt("1"), ME, false).unwrap();
        assert_eq!(owes(store), [second]);
        // What cannot be kept is owed still.
        let full = store.put_owed(second, ReceiptKind::Delivered, &receipt("2"), ME, false);
        assert_eq!((full, owes(store)), (Err(StoreError::Full(1)), vec![second]));
        store.set_state("1", ME, &State::Accepted { status: 200 }).unwrap();
        assert!(store.put_owed(second, ReceiptKind::Delivered, &receipt("2"), ME, false).unwrap().is_some());
        assert!(owes(store).is_empty());
    });
}

#[test]
fn receipts_tell_when_a_message_was_delivered_and_displayed_imdn_08() {
    each(|store| {
        store.put_outgoing(&outgoing("1", BOB, "hi"), ME, false).unwrap();
        let receipt = |kind, at| Receipt {
            message_id: "1".into(),
            from: "sip:bob@example.test;transport=tls".into(),
            kind,
            at,
        };
        assert!(store.put_receipt(&receipt(ReceiptKind::Delivered, 30)).unwrap().is_some());
        // Another device of his; and one who says too much.
        assert!(store.put_receipt(&receipt(ReceiptKind::Delivered, 31)).unwrap().is_none());
        let forged = Receipt { from: ALICE.into(), ..receipt(ReceiptKind::Displayed, 32) };
        assert!(store.put_receipt(&forged).unwrap().is_none());
        let unknown = Receipt { message_id: "none".into(), ..receipt(ReceiptKind::Displayed, 32) };
        assert!(store.put_receipt(&unknown).unwrap().is_none());
        let entry = store.put_receipt(&receipt(ReceiptKind::Displayed, 40)).unwrap().unwrap();
        let Message::Outgoing { delivered_at, displayed_at, .. } = entry.message else { panic!("not ours") };
        assert_eq!((delivered_at, displayed_at), (Some(30), Some(40)));
        assert!(store.put_receipt(&receipt(ReceiptKind::Failed, 50)).unwrap().is_none());
    });
}

#[test]
fn a_negative_receipt_makes_an_accepted_message_a_failed_one() {
    each(|store| {
        store.put_outgoing(&outgoing("1", BOB, "hi"), ME, false).unwrap();
        store.set_state("1", ME, &State::Accepted { status: 202 }).unwrap();
        let receipt = Receipt { message_id: "1".into(), from: BOB.into(), kind: ReceiptKind::Failed, at: 30 };
        store.put_receipt(&receipt).unwrap().unwrap();
        assert!(matches!(state(store, "1"), Some(State::Failed { status: Some(202), .. })));
    });
}

#[test]
fn a_conversation_has_both_directions_and_is_read_backwards_page_by_page() {
    each(|store| {
        for n in 0..5 {
            new(store.put_incoming(&incoming(&n.to_string(), &format!("from {n}"))));
            store.put_outgoing(&outgoing(&n.to_string(), ALICE, &format!("to {n}")), ME, false).unwrap();
        }
        store.put_outgoing(&outgoing("9", BOB, "elsewhere"), ME, false).unwrap();
        let first = store.history(ALICE, None, 3).unwrap();
        assert_eq!(texts(&first), ["to 4", "from 4", "to 3"]);
        assert!(first.iter().all(|entry| entry.peer == ALICE));
        let rest = store.history(ALICE, Some(first[2].sequence), 100).unwrap();
        assert_eq!(texts(&rest), ["from 3", "to 2", "from 2", "to 1", "from 1", "to 0", "from 0"]);
        assert!(store.history("sip:nobody@example.test", None, 10).unwrap().is_empty());
    });
}

#[test]
fn conversations_come_newest_first_and_count_what_is_unread() {
    each(|store| {
        let from = |key: &str, from: &str| Incoming { from: from.into(), ..incoming(key, "hi") };
        new(store.put_incoming(&from("1", "sip:carol@example.test")));
        let second = new(store.put_incoming(&from("2", ALICE)));
        new(store.put_incoming(&from("3", "sip:alice@example.test:5061")));
        store.put_outgoing(&outgoing("4", "sip:carol@example.test", "yes"), ME, false).unwrap();
        let list = |store: &mut dyn Store| -> Vec<(String, u32)> {
            store.conversations(None, 10).unwrap().into_iter().map(|c| (c.peer, c.unread)).collect()
        };
        assert_eq!(list(store), [("sip:carol@example.test".into(), 1), (ALICE.into(), 2)]);
        store.mark_read(ALICE, second).unwrap();
        store.mark_read(ALICE, Sequence(0)).unwrap();
        assert_eq!(list(store)[1], (ALICE.into(), 1));
        // Deleting what was read changes nothing; what was not is unread no more.
        store.delete_message(second).unwrap();
        assert_eq!(list(store)[1], (ALICE.into(), 1));
        let fourth = new(store.put_incoming(&from("5", ALICE)));
        assert_eq!(list(store)[0], (ALICE.into(), 2));
        store.delete_message(fourth).unwrap();
        assert_eq!(list(store)[1], (ALICE.into(), 1));
        let top = store.conversations(None, 1).unwrap();
        let next = store.conversations(Some(top[0].last), 1).unwrap();
        assert_eq!(next[0].peer, ALICE);
    });
}

#[test]
fn words_are_found_by_their_beginning_in_any_case_and_charset() {
    each(|store| {
        new(store.put_incoming(&incoming("1", "Shall we meet at the Café tomorrow?")));
        let latin = Incoming {
            content_type: "text/plain; charset=iso-8859-1".into(),
            body: b"caf\xe9 at noon".to_vec(),
            from: "sip:carol@example.test".into(),
            ..incoming("2", "")
        };
        new(store.put_incoming(&latin));
        store.put_outgoing(&outgoing("3", ALICE, "我今天有空"), ME, false).unwrap();
        let binary = Incoming { content_type: "application/octet-stream".into(), ..incoming("4", "cafe") };
        new(store.put_incoming(&binary));
        let mut count = |words: &str, peer| store.search(words, peer, None, 10).unwrap().len();
        assert_eq!(count("CAF", None), 2);
        assert_eq!(count("cafe", None), 2);
        assert_eq!(count("at caf", Some(ALICE)), 1);
        assert_eq!(count("今天", None), 1);
        assert_eq!(count("天今", None), 0);
        assert_eq!(count("meet noon", None), 0);
        assert_eq!(count("", None), 0);
        // What a query language would take for its own is text.
        assert_eq!(count("caf\" OR text:*", None), 0);
        assert_eq!(count("\"", None), 0);
        assert_eq!(count("cafe", Some("sip:nobody@example.test")), 0);
    });
}

#[test]
fn a_search_goes_on_where_the_last_page_ended() {
    each(|store| {
        for n in 0..5 {
            new(store.put_incoming(&incoming(&n.to_string(), &format!("word {n}"))));
        }
        let first = store.search("word", None, None, 2).unwrap();
        assert_eq!(texts(&first), ["word 4", "word 3"]);
        assert_eq!(
            texts(&store.search("word", None, Some(first[1].sequence), 10).unwrap()),
            ["word 2", "word 1", "word 0"]
        );
    });
}

#[test]
fn what_is_deleted_is_neither_listed_nor_found() {
    each(|store| {
        let one = new(store.put_incoming(&incoming("1", "first word")));
        new(store.put_incoming(&incoming("2", "second word")));
        store.put_outgoing(&outgoing("3", ALICE, "third word"), ME, false).unwrap();
        assert!(store.delete_message(one).unwrap());
        assert!(!store.delete_message(one).unwrap());
        assert_eq!(texts(&store.search("word", None, None, 10).unwrap()), ["third word", "second word"]);
        // What is still to be sent stays.
        assert_eq!(store.delete_conversation(ALICE).unwrap(), 1);
        assert_eq!(texts(&store.history(ALICE, None, 10).unwrap()), ["third word"]);
        store.set_state("3", ME, &State::Accepted { status: 200 }).unwrap();
        assert_eq!(store.delete_conversation(ALICE).unwrap(), 1);
        assert!(store.conversations(None, 10).unwrap().is_empty());
        assert!(store.search("word", None, None, 10).unwrap().is_empty());
        assert!(store.waiting(Sequence(0), 10).unwrap().is_empty());
    });
}

#[test]
fn deleting_the_newest_message_moves_its_conversation_down() {
    each(|store| {
        let carol = Incoming { from: "sip:carol@example.test".into(), ..incoming("2", "hi") };
        new(store.put_incoming(&incoming("1", "hi")));
        new(store.put_incoming(&carol));
        let newest = new(store.put_incoming(&incoming("3", "hi")));
        store.delete_message(newest).unwrap();
        let peers: Vec<String> = store.conversations(None, 10).unwrap().into_iter().map(|c| c.peer).collect();
        assert_eq!(peers, ["sip:carol@example.test", ALICE]);
    });
}

#[test]
fn retention_deletes_what_is_done_and_old_and_nothing_else() {
    on_each(&Limits { keep_for: Some(100), ..Limits::default() }, |store| {
        let at = |key: &str, received_at| Incoming { received_at, ..incoming(key, key) };
        let old = new(store.put_incoming(&at("old", 0)));
        let young = new(store.put_incoming(&at("young", 50)));
        new(store.put_incoming(&at("unread", 0)));
        store.acknowledge(&[old, young]).unwrap();
        store.put_outgoing(&Outgoing { created_at: 0, ..outgoing("1", ALICE, "unsent") }, ME, false).unwrap();
        assert_eq!(store.tidy(120).unwrap(), 1);
        assert_eq!(texts(&store.history(ALICE, None, 10).unwrap()), ["unsent", "unread", "young"]);
    });
}

#[test]
fn what_is_known_of_a_peer_replaces_what_was_known() {
    each(|store| {
        let peer = Peer {
            address: ALICE.into(),
            reads_cpim: Some(false),
            largest: Some(1300),
            refuses: vec!["message/cpim".into(), "text/html".into()],
            learned_at: 7,
        };
        assert_eq!(store.peer(ALICE), Ok(None));
        // Somebody with whom we talked, and of whom nothing is known.
        new(store.put_incoming(&incoming("1", "hi")));
        assert_eq!(store.peer(ALICE), Ok(None));
        store.put_peer(&peer).unwrap();
        assert_eq!(store.peer(ALICE), Ok(Some(peer.clone())));
        let later = Peer { reads_cpim: Some(true), largest: None, refuses: vec![], learned_at: 8, ..peer };
        store.put_peer(&later).unwrap();
        let other = Peer { address: BOB.into(), learned_at: 1, ..Peer::default() };
        store.put_peer(&other).unwrap();
        assert_eq!(store.peers(10), Ok(vec![later, other]));
        assert_eq!(store.history(ALICE, None, 10).unwrap().len(), 1);
    });
}

#[test]
fn a_suspended_store_does_nothing_and_goes_on_where_it_was() {
    each(|store| {
        new(store.put_incoming(&incoming("1", "hi")));
        store.put_outgoing(&outgoing("1", ALICE, "sent"), ME, false).unwrap();
        store.set_state("1", ME, &State::Sending).unwrap();
        store.suspend().unwrap();
        assert_eq!(store.put_incoming(&incoming("2", "ho")), Err(StoreError::Suspended));
        assert_eq!(store.group(&mut |_| ()), Err(StoreError::Suspended));
        store.resume().unwrap();
        assert!(store.set_state("1", ME, &State::Accepted { status: 200 }).unwrap());
        assert_eq!(store.waiting(Sequence(0), 10).unwrap().len(), 1);
    });
}
