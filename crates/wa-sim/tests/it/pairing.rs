//! Linking and unlinking.

use std::sync::Arc;

use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::prelude::Event;

use wa_sim::{Ban, Drop, Pattern, PhoneSpec, ScanError, Sim, SimEvent};

use crate::client::{DEADLINE, TestClient};

const ANI: &str = "6281111111111";

#[tokio::test]
async fn a_client_is_linked_by_qr_code() {
    let sim = Sim::start().await.expect("starts");
    let phone = sim.add_phone(PhoneSpec::new(ANI, "Ani")).await;
    let (client, device) = TestClient::paired(&sim, &phone).await;
    assert_eq!(device.id, format!("{ANI}:1"));
    assert!(sim.devices().await[0].connected);
    let own = client.client.pn().map(|pn| pn.user.to_string());
    assert_eq!(own.as_deref(), Some(ANI));
    let lid = client.client.lid().map(|lid| lid.user.to_string());
    assert_eq!(lid.as_deref(), Some(phone.lid()));
    let snapshot = client.client.persistence_manager().get_device_snapshot();
    assert_eq!(snapshot.push_name, "Ani");
    assert!(snapshot.lid_migrated);
}

#[tokio::test]
async fn a_client_is_linked_by_code_and_a_wrong_code_is_refused() {
    let sim = Sim::start().await.expect("starts");
    let phone = sim.add_phone(PhoneSpec::new(ANI, "Ani")).await;
    let no_one_asked = phone
        .enter_code("ABCD1234")
        .await
        .expect_err("no one asked");
    assert_eq!(no_one_asked, ScanError::NoCodeRequested(ANI.to_owned()));

    let client = TestClient::start(&sim).await;
    // The client can only request a code while connected and unpaired. The first QR code proves
    // this state.
    client.qr().await;
    let options = PairCodeOptions {
        phone_number: ANI.to_owned(),
        ..PairCodeOptions::default()
    };
    let code = client.client.pair_with_code(options).await.expect("a code");
    let wrong = if code == "ABCD1234" {
        "ABCD1235"
    } else {
        "ABCD1234"
    };
    assert_eq!(
        phone.enter_code(wrong).await.expect_err("wrong"),
        ScanError::WrongCode
    );
    let device = phone
        .enter_code(&format!("{}-{}", &code[..4], &code[4..]))
        .await
        .expect("linked");
    client.connected().await;
    assert_eq!(device.number, ANI);
}

#[tokio::test]
async fn codes_that_no_client_shows_are_refused() {
    let sim = Sim::start().await.expect("starts");
    let phone = sim.phone(ANI).await;
    assert!(matches!(
        phone.scan("hello").await,
        Err(ScanError::Unreadable(_))
    ));
    let client = TestClient::start(&sim).await;
    let qr = client.qr().await;
    let foreign = qr.replacen("2@", "3@", 1);
    assert_eq!(
        phone.scan(&foreign).await.expect_err("unknown"),
        ScanError::UnknownCode
    );
    let (before, secret) = qr
        .rsplit_once(',')
        .expect("five fields")
        .0
        .rsplit_once(',')
        .expect("four fields");
    let tampered = format!(
        "{before},{}{},1",
        if secret.starts_with('A') { 'B' } else { 'A' },
        &secret[1..]
    );
    assert!(matches!(
        phone.scan(&tampered).await,
        Err(ScanError::Refused(_))
    ));
}

#[tokio::test]
async fn a_client_pinned_to_another_key_does_not_get_in() {
    let sim = Sim::start().await.expect("starts");
    let other = Sim::start().await.expect("starts");
    let mut events = sim.events();
    let client = TestClient::resume(&sim.ws_url(), other.server_key(), Arc::default()).await;
    // The first attempt uses IK with the wrong key, the second attempt uses XX. Both must end
    // before a QR code is shown.
    for _ in 0..2 {
        while !matches!(next(&mut events).await, SimEvent::HandshakeFailed { .. }) {}
    }
    assert_eq!(
        client.count(|event| matches!(event, Event::PairingQrCode(_))),
        0,
        "a client trusted a server whose key it does not know"
    );
}

#[tokio::test]
async fn a_client_resumes_under_the_key_it_knows() {
    let sim = Sim::start().await.expect("starts");
    let phone = sim.phone(ANI).await;
    let (client, device) = TestClient::paired(&sim, &phone).await;
    for how in [Drop::Clean, Drop::Abrupt] {
        let mut events = sim.events();
        client.forget();
        assert!(sim.drop_device(&device.id, how).await);
        loop {
            if let SimEvent::LoggedIn {
                device: name,
                handshake,
            } = next(&mut events).await
            {
                assert_eq!((name, handshake), (device.id.clone(), Pattern::Ik));
                break;
            }
        }
        client.connected().await;
    }
}

#[tokio::test]
async fn logging_out_on_the_phone_unlinks_the_client() {
    let sim = Sim::start().await.expect("starts");
    let phone = sim.phone(ANI).await;
    let (client, device) = TestClient::paired(&sim, &phone).await;
    assert_eq!(phone.logout_devices().await, 1);
    client
        .event("LoggedOut", |event| {
            matches!(event, Event::LoggedOut(_)).then_some(())
        })
        .await;
    assert!(sim.devices().await.is_empty());
    // A new link gets a new device index, and the old keys are refused.
    let backend = client.shutdown().await;
    let stale = TestClient::resume(&sim.ws_url(), sim.server_key(), backend).await;
    stale
        .event("LoggedOut", |event| {
            matches!(event, Event::LoggedOut(_)).then_some(())
        })
        .await;
    let (_fresh, second) = TestClient::paired(&sim, &phone).await;
    assert_ne!(device.id, second.id);
}

#[tokio::test]
async fn a_phone_that_is_off_logs_its_absent_client_out_too() {
    let sim = Sim::start().await.expect("starts");
    let phone = sim.phone(ANI).await;
    let (client, _) = TestClient::paired(&sim, &phone).await;
    let backend = client.shutdown().await;
    phone.logout_devices().await;
    let client = TestClient::resume(&sim.ws_url(), sim.server_key(), backend).await;
    client
        .event("LoggedOut", |event| {
            matches!(event, Event::LoggedOut(_)).then_some(())
        })
        .await;
}

#[tokio::test]
async fn the_older_of_two_connections_is_replaced() {
    let sim = Sim::start().await.expect("starts");
    let phone = sim.phone(ANI).await;
    let (older, _) = TestClient::paired(&sim, &phone).await;
    let newer = TestClient::resume(&sim.ws_url(), sim.server_key(), older.backend.clone()).await;
    older
        .event("StreamReplaced", |event| {
            matches!(event, Event::StreamReplaced(_)).then_some(())
        })
        .await;
    newer.connected().await;
}

#[tokio::test]
async fn bans_and_old_versions_are_told_at_the_login() {
    let sim = Sim::start().await.expect("starts");
    let phone = sim.phone(ANI).await;
    let (client, _) = TestClient::paired(&sim, &phone).await;
    let backend = client.shutdown().await;
    sim.faults().ban(
        ANI,
        Ban {
            code: 101,
            expire_s: 3_600,
        },
    );
    let client = TestClient::resume(&sim.ws_url(), sim.server_key(), backend).await;
    let seconds = client
        .event("TemporaryBan", |event| match event {
            Event::TemporaryBan(ban) => Some(ban.expire.num_seconds()),
            _ => None,
        })
        .await;
    assert_eq!(seconds, 3_600);
    let backend = client.shutdown().await;
    sim.faults().unban(ANI);
    sim.faults().set_outdated(true);
    let client = TestClient::resume(&sim.ws_url(), sim.server_key(), backend).await;
    client
        .event("ClientOutdated", |event| {
            matches!(event, Event::ClientOutdated(_)).then_some(())
        })
        .await;
    let backend = client.shutdown().await;
    sim.faults().clear();
    TestClient::resume(&sim.ws_url(), sim.server_key(), backend)
        .await
        .connected()
        .await;
}

async fn next(events: &mut tokio::sync::broadcast::Receiver<SimEvent>) -> SimEvent {
    tokio::time::timeout(DEADLINE, events.recv())
        .await
        .expect("in time")
        .expect("reports")
}
