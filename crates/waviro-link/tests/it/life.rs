//! Signs of life: the typing sign in chats, and the link's own evidence.

use std::time::SystemTime;

use wa_sim::{Drop, SimEvent};
use waviro_link::{Chat, Evidence, LinkError, Status};

use crate::{CUSTOMER, PATIENCE, World};

#[tokio::test(flavor = "multi_thread")]
async fn typing_is_shown_in_the_chat_and_taken_back() {
    for lids in [true, false] {
        let world = World::linked_among(lids).await;
        let group = world.sim.create_group("Toko", crate::OWNER, &[CUSTOMER]);
        let group = group.await;
        let mut events = world.sim.events();
        for (chat, shown) in [
            (Chat::Person(CUSTOMER.parse().unwrap()), CUSTOMER),
            (Chat::Group(group.id().parse().unwrap()), group.id()),
        ] {
            for (on, wanted) in [(true, "composing"), (false, "paused")] {
                world.link.typing(&chat, on).await.unwrap();
                let seen = async {
                    loop {
                        if let SimEvent::ChatState { chat, state, .. } =
                            events.recv().await.unwrap()
                        {
                            return (chat, state);
                        }
                    }
                };
                let seen = tokio::time::timeout(PATIENCE, seen).await.unwrap();
                assert_eq!(seen, (shown.to_owned(), wanted.to_owned()));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_not_up_shows_nobody_that_it_types() {
    let world = World::new().await;
    let chat = Chat::Person(CUSTOMER.parse().unwrap());
    let refused = world.link.typing(&chat, true).await;
    assert!(matches!(refused, Err(LinkError::Offline)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_holds_the_start_of_the_connection_and_the_time_of_the_last_data() {
    let world = World::new().await;
    assert_eq!(world.link.evidence(), Evidence::default());
    let begun = SystemTime::now();
    world.scan().await;
    let first = world.link.evidence();
    let (since, heard) = (first.connected_since.unwrap(), first.last_data.unwrap());
    let early = begun - std::time::Duration::from_millis(1);
    assert!(since >= early && heard >= early, "{first:?}");

    let device = world.sim.devices().await.remove(0).id;
    assert!(world.sim.drop_device(&device, Drop::Abrupt).await);
    let cut = |reports: &crate::Reports| {
        let mut states = reports.states.iter();
        let cut = states.any(|state| matches!(state, Status::Reconnecting { .. }));
        cut.then_some(())
    };
    world.recorder.wait("the cut", cut).await;
    world.online().await;
    let again = world.link.evidence();
    assert!(again.connected_since.unwrap() > since, "{again:?}");
    assert!(again.last_data.unwrap() >= heard, "{again:?}");
}
