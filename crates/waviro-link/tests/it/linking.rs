//! Linking a device.

use std::sync::Arc;
use std::time::Duration;

use waviro_link::{Connector, DialFailure, Identity, Listener, Status, UnlinkedCause};

use crate::{OWNER, Recorder, World, connector};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_dialled_before_linking_is_started() {
    let world = World::new().await;
    assert_eq!(world.link.identity(), None);
    let state = world.link.status().borrow().clone();
    assert_eq!(state, Status::Unlinked(UnlinkedCause::Never));
    assert!(world.sim.devices().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanned_code_links_the_device_and_tells_number_and_name() {
    let world = World::linked().await;
    let identity = Identity {
        number: OWNER.parse().unwrap(),
        name: "Toko".to_owned(),
    };
    assert_eq!(world.link.identity(), Some(identity));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_typed_on_the_phone_links_as_well() {
    let world = World::new().await;
    world.link.start_linking().await.unwrap();
    let code = world
        .link
        .pairing_code(&OWNER.parse().unwrap())
        .await
        .unwrap();
    world.owner.enter_code(&code).await.unwrap();
    world.online().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_key_than_the_pinned_one_is_refused() {
    let world = World::new().await;
    let other = wa_sim::Sim::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    // The link dials one simulator but has the pinned key of another.
    let whatsapp = connector(&other, &world.sim.ws_url(), folder.path());
    let recorder = Arc::<Recorder>::default();
    let link = whatsapp
        .open(1, Arc::clone(&recorder) as Arc<dyn Listener>)
        .await
        .unwrap();
    link.start_linking().await.unwrap();
    let wanted = Status::Unreachable(DialFailure::ServerKey);
    recorder
        .wait_state("the cause", |state| *state == wanted)
        .await;
    // Further dials show no code and change nothing.
    let nothing = std::future::pending::<()>();
    let _ = tokio::time::timeout(Duration::from_secs(3), nothing).await;
    let states = recorder.reports().states.clone();
    let codes = |state: &&Status| matches!(state, Status::Linking { qr: Some(_) });
    assert_eq!(states.iter().find(codes), None);
    let times = states.iter().filter(|state| **state == wanted).count();
    assert_eq!(times, 1, "{states:?}");
    link.close(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_device_comes_back_after_a_restart() {
    let world = World::linked().await;
    world.link.close(Duration::from_secs(5)).await;
    let again = connector(&world.sim, &world.sim.wss_url(), world.folder.path());
    let recorder = Arc::<Recorder>::default();
    let link = again
        .open(1, Arc::clone(&recorder) as Arc<dyn Listener>)
        .await
        .unwrap();
    recorder
        .wait_state("online again", |state| *state == Status::Online)
        .await;
    assert_eq!(link.identity().unwrap().number.as_str(), OWNER);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_device_leaves_no_keys() {
    let world = World::linked().await;
    world.link.logout().await;
    world.whatsapp.forget(1).await.unwrap();
    let recorder = Arc::<Recorder>::default();
    let link = world
        .whatsapp
        .open(1, Arc::clone(&recorder) as Arc<dyn Listener>)
        .await
        .unwrap();
    assert_eq!(link.identity(), None);
    assert!(world.sim.devices().await.is_empty());
}
