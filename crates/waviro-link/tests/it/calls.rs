//! Incoming calls. The bot cannot answer a call, but the gateway reports it.

use std::sync::Arc;
use std::time::Duration;

use waviro_link::{Call, Connector, Listener};

use crate::{CUSTOMER, OWNER, Recorder, World, person};

async fn rung(recorder: &Recorder, id: &str) -> Call {
    let look = |reports: &crate::Reports| reports.calls.iter().find(|call| call.id == id).cloned();
    recorder.wait("the call", look).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_reported_with_its_caller_by_number_and_by_lid() {
    for lids in [true, false] {
        let world = World::linked_among(lids).await;
        for video in [false, true] {
            let id = world.customer.call(OWNER, video).await.unwrap();
            let call = rung(&world.recorder, &id).await;
            assert_eq!(call.from, person(CUSTOMER), "lids: {lids}");
            assert_eq!((call.video, call.group), (video, None));
        }
        assert_eq!(world.recorder.reports().calls.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_group_names_the_group() {
    let world = World::linked().await;
    let group = world.sim.create_group("Keluarga", CUSTOMER, &[OWNER]).await;
    let id = world.customer.call_group(group.id(), true).await.unwrap();
    let call = rung(&world.recorder, &id).await;
    assert_eq!(call.from, person(CUSTOMER));
    assert_eq!(call.group, Some(group.id().parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_during_an_absence_of_the_device_is_reported_too() {
    let world = World::linked().await;
    // The customer's message tells the device the number of the LID.
    let said = world.customer.send_text(OWNER, "halo").await.unwrap();
    world.recorder.message(&said).await;
    world.link.close(Duration::from_secs(5)).await;
    let id = world.customer.call(OWNER, true).await.unwrap();
    let recorder = Arc::<Recorder>::default();
    let listener = Arc::clone(&recorder) as Arc<dyn Listener>;
    let _link = world.whatsapp.open(1, listener).await.unwrap();
    let call = rung(&recorder, &id).await;
    assert_eq!((call.from, call.video), (person(CUSTOMER), false));
}
