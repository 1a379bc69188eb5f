use crate::client::{Client, DOMAIN, PATIENCE, code, options, values};
use aldis_registrar::{AuthRefusal, Registrar, What};
use aldis_sip::Header;
use aldis_sip::auth::{Algorithm, Qop};
use std::time::Duration;

#[tokio::test]
async fn every_algorithm_registers_auth_07() {
    for algorithm in Algorithm::ALL {
        let registrar = Registrar::start(options().algorithms(&[algorithm])).await.unwrap();
        let mut alice = Client::connect(&registrar, "alice").await;
        let done = alice.register("").await;
        assert_eq!(code(&done), 200);
        assert!(done.has(Header::Date) && done.has(Header::AuthenticationInfo));
        let seen = |e: &aldis_registrar::Entry| {
            matches!(&e.what, What::Authenticated { user, algorithm: a, qop: Some(Qop::Auth) }
                if user == "alice" && *a == algorithm)
        };
        registrar.wait_for(seen, PATIENCE).await.unwrap();
    }
}

#[tokio::test]
async fn several_algorithms_are_offered_in_their_order_auth_05() {
    let offered = [Algorithm::Sha512_256, Algorithm::Sha256, Algorithm::Md5];
    let registrar = Registrar::start(options().algorithms(&offered)).await.unwrap();
    let mut alice = Client::connect(&registrar, "alice").await;
    let uri = format!("sip:{DOMAIN}");
    let refused = alice.once("REGISTER", &uri, "sip:alice@example.test", "", "").await;
    let challenges = values(&refused, Header::WwwAuthenticate);
    let names: Vec<_> = offered.iter().map(|a| format!("algorithm={a},")).collect();
    assert_eq!(challenges.len(), 3);
    for (challenge, name) in challenges.iter().zip(&names) {
        assert!(format!("{challenge},").contains(name.as_str()), "{challenge}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_challenged_again_and_is_not_stale_auth_16() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut alice = Client::connect(&registrar, "alice").await;
    alice.password = "butcher".into();
    let refused = alice.register("").await;
    assert_eq!(code(&refused), 401);
    assert!(!refused.value(Header::WwwAuthenticate).unwrap().contains("stale=true"));
    let wrong = |e: &aldis_registrar::Entry| {
        matches!(e.what, What::Unauthenticated { why: AuthRefusal::WrongDigest })
    };
    registrar.wait_for(wrong, PATIENCE).await.unwrap();
    assert!(registrar.bindings("alice").is_empty());
}

#[tokio::test]
async fn an_expired_nonce_is_stale_and_the_next_one_works_auth_16() {
    let registrar = Registrar::start(options().nonce_lifetime(Duration::ZERO)).await.unwrap();
    let mut alice = Client::connect(&registrar, "alice").await;
    let refused = alice.register("").await;
    assert_eq!(code(&refused), 401);
    assert!(refused.value(Header::WwwAuthenticate).unwrap().contains("stale=true"));
}

#[tokio::test]
async fn nobody_registers_for_another() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut alice = Client::connect(&registrar, "alice").await;
    alice.register("").await;
    let uri = format!("sip:{DOMAIN}");
    let other = alice.ask("REGISTER", &uri, "sip:bob@example.test", "Contact: <sip:a@b>\r\n", "").await;
    assert_eq!(code(&other), 403);
    assert!(registrar.bindings("bob").is_empty());
}

#[tokio::test]
async fn a_request_uri_with_a_user_or_for_another_domain_is_refused_reg_01() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut alice = Client::connect(&registrar, "alice").await;
    let to = "sip:alice@example.test";
    assert_eq!(code(&alice.once("REGISTER", "sip:alice@example.test", to, "", "").await), 400);
    assert_eq!(code(&alice.once("REGISTER", "sip:example.com", to, "", "").await), 404);
}

#[tokio::test]
async fn too_brief_an_expiry_names_the_least_reg_15() {
    let registrar = Registrar::start(options().min_expires(120)).await.unwrap();
    let mut alice = Client::connect(&registrar, "alice").await;
    let refused = alice.register("Expires: 60\r\n").await;
    assert_eq!((code(&refused), refused.value(Header::MinExpires)), (423, Some("120")));
    let done = alice.register("Expires: 120\r\n").await;
    assert_eq!(code(&done), 200);
    assert_eq!(registrar.bindings("alice")[0].expires_in, 120);
}

#[tokio::test]
async fn outbound_is_confirmed_with_a_flow_timer_out_05_out_16() {
    let registrar = Registrar::start(options().flow_timer(90)).await.unwrap();
    let mut alice = Client::connect(&registrar, "alice").await;
    alice.contact = ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\";reg-id=1".into();
    let plain = alice.register("").await;
    assert_eq!(values(&plain, Header::Require), [""; 0], "without Supported: outbound");
    let done = alice.register("Supported: path, outbound\r\n").await;
    assert_eq!(values(&done, Header::Require), ["outbound"]);
    assert_eq!(values(&done, Header::FlowTimer), ["90"]);
    let contact = values(&done, Header::Contact);
    assert_eq!(contact.len(), 1);
    assert!(contact[0].contains(&alice.contact), "{contact:?}");
}

#[tokio::test]
async fn two_devices_are_listed_and_one_unregisters_alone_reg_13_reg_14() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut one = Client::registered(&registrar, "alice").await;
    let mut two = Client::connect(&registrar, "alice").await;
    two.call_id = "another".into();
    let both = two.register_with("Contact: <sip:alice@second.invalid>\r\n").await;
    assert_eq!(values(&both, Header::Contact).len(), 2);
    let left = one.register("Expires: 0\r\n").await;
    let contacts = values(&left, Header::Contact);
    assert!(
        contacts.len() == 1 && contacts[0].starts_with("<sip:alice@second.invalid>;expires="),
        "{contacts:?}"
    );
}

#[tokio::test]
async fn a_star_removes_all_bindings() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut alice = Client::registered(&registrar, "alice").await;
    assert_eq!(code(&alice.register_with("Contact: *\r\n").await), 400);
    assert_eq!(registrar.bindings("alice").len(), 1);
    let done = alice.register_with("Contact: *\r\nExpires: 0\r\n").await;
    assert_eq!((code(&done), done.has(Header::Contact)), (200, false));
}

#[tokio::test]
async fn a_register_without_contact_tells_the_bindings() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut alice = Client::registered(&registrar, "alice").await;
    let told = alice.register_with("").await;
    assert_eq!(values(&told, Header::Contact).len(), 1);
}

#[tokio::test]
async fn bindings_go_with_their_connection_or_stay_by_option() {
    for keep in [false, true] {
        let registrar = Registrar::start(options().keep_bindings(keep)).await.unwrap();
        let alice = Client::registered(&registrar, "alice").await;
        drop(alice);
        registrar.wait_for(|e| matches!(e.what, What::Closed { .. }), PATIENCE).await.unwrap();
        assert_eq!(registrar.bindings("alice").len(), usize::from(keep));
    }
}

#[tokio::test]
async fn an_unknown_extension_is_named() {
    let registrar = Registrar::start(options()).await.unwrap();
    let mut alice = Client::connect(&registrar, "alice").await;
    let refused = alice.register("Require: path, gold, frankincense\r\n").await;
    assert_eq!(code(&refused), 420);
    assert_eq!(values(&refused, Header::Unsupported), ["gold, frankincense"]);
}
