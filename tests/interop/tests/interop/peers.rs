//! MESSAGE between `aldis` and clients that others wrote.

use aldis_interop::{ALICE, Aldis, BOB, Baresip, Kamailio, Linphone, Options, PATIENCE};

#[test]
fn baresip_reads_what_aldis_sends() {
    let kamailio = Kamailio::start(Options::default());
    let baresip = Baresip::start(&kamailio, BOB, ALICE);
    let sent = Aldis::new(&kamailio, ALICE).run(&["send", "bob", "from aldis to baresip"]);
    sent.expect_code(0);
    baresip.wait_for_message("from aldis to baresip", PATIENCE);
}

#[test]
fn aldis_reads_what_baresip_sends() {
    let kamailio = Kamailio::start(Options::default());
    let mut baresip = Baresip::start(&kamailio, BOB, ALICE);
    let alice = Aldis::new(&kamailio, ALICE);
    let listening = alice.start(&["listen", "--count", "1"]);
    listening.wait_for_registered();
    baresip.message("from baresip to aldis");
    let message = listening.wait_for_message("from baresip to aldis");
    assert_eq!(message["from"], BOB.address(), "{message}");
    listening.finish(PATIENCE).expect_code(0);
}

#[test]
fn linphone_reads_what_aldis_sends() {
    let kamailio = Kamailio::start(Options::default());
    let linphone = Linphone::start(&kamailio, BOB);
    let sent = Aldis::new(&kamailio, ALICE).run(&["send", "bob", "from aldis to linphone"]);
    sent.expect_code(0);
    linphone.wait_for_message("from aldis to linphone", PATIENCE);
}

#[test]
fn aldis_reads_what_linphone_sends() {
    let kamailio = Kamailio::start(Options::default());
    let mut linphone = Linphone::start(&kamailio, BOB);
    let alice = Aldis::new(&kamailio, ALICE);
    let listening = alice.start(&["listen", "--count", "1"]);
    listening.wait_for_registered();
    linphone.message(&ALICE.address(), "from linphone to aldis");
    let message = listening.wait_for_message("from linphone to aldis");
    assert_eq!(message["from"], BOB.address(), "{message}");
    listening.finish(PATIENCE).expect_code(0);
}
