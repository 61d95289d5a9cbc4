//! Adding and removing bots and changing their keys, also by another process.

use std::time::Duration;

use waviro_core::bots::{self, AddError, LinkCode, NoSuchBot, OwnKeys};
use waviro_link::fake::FakeConnector;
use waviro_link::{Identity, Status};
use waviro_store::Store;
use waviro_testing::engine::{TestEngine, until};
use waviro_testing::samples::{OWN, number};

#[tokio::test]
async fn a_bot_is_found_by_its_key_and_only_by_it() {
    let gateway = TestEngine::online().await;
    let bots = &gateway.engine.bots;
    assert_eq!(
        bots.by_secret(gateway.key.reveal()).await.unwrap().name(),
        "toko"
    );
    assert!(bots.by_secret("").await.is_none());
    assert!(
        bots.by_secret(&gateway.key.reveal().to_uppercase())
            .await
            .is_none()
    );
    let fresh = bots
        .rotate_key(gateway.bot.id(), Duration::ZERO)
        .await
        .unwrap();
    assert!(bots.by_secret(gateway.key.reveal()).await.is_none());
    assert!(bots.by_secret(fresh.reveal()).await.is_some());
    assert!(!format!("{fresh:?}").contains(fresh.reveal()));
}

#[tokio::test]
async fn names_are_unique_and_sensible() {
    let gateway = TestEngine::online().await;
    assert!(matches!(
        gateway.engine.bots.add("toko").await,
        Err(AddError::NameTaken)
    ));
    assert!(matches!(
        gateway.engine.bots.add("").await,
        Err(AddError::BadName)
    ));
    assert!(matches!(
        gateway.engine.bots.add("a\nb").await,
        Err(AddError::BadName)
    ));
    assert!(matches!(
        gateway.engine.bots.remove(999).await,
        Err(NoSuchBot::Unknown)
    ));
}

#[tokio::test]
async fn a_bot_added_by_another_process_is_there_at_the_first_use_of_its_key() {
    let gateway = TestEngine::online().await;
    let other = Store::open(&gateway.url()).await.unwrap();
    let (bot_id, key) = bots::add(&other, "warung", OwnKeys::default(), gateway.clock.now())
        .await
        .unwrap();
    let bot = gateway.engine.bots.by_secret(key.reveal()).await.unwrap();
    assert_eq!((bot.id(), bot.name()), (bot_id, "warung".to_owned()));
    assert_eq!(bot.status(), Status::Online);
    other.close().await;
}

#[tokio::test]
async fn a_bot_removed_by_another_process_ends_its_queue_and_forgets_its_device() {
    let gateway = TestEngine::online().await;
    gateway.link().keep_silent();
    let accepted = gateway.accept("6281300000001", "halo").await.unwrap();
    until(|| async { gateway.wire() }, |wire| wire.len() == 1).await;
    let other = Store::open(&gateway.url()).await.unwrap();
    let bot_id = bots::id_of(&other, "toko").await.unwrap();
    bots::remove(&other, bot_id, gateway.clock.now())
        .await
        .unwrap();
    until(
        || async {
            gateway.pass(Duration::from_secs(1));
            gateway.engine.bots.list().len()
        },
        |count| *count == 0,
    )
    .await;
    until(|| gateway.ack_of(&accepted.id), |ack| *ack == -1).await;
    until(
        || async { gateway.engine.connector.link(gateway.bot.id()).is_none() },
        |gone| *gone,
    )
    .await;
    until(
        || async { gateway.engine.store.bots().await.unwrap().len() },
        |count| *count == 0,
    )
    .await;
    assert!(
        gateway
            .engine
            .bots
            .by_secret(gateway.key.reveal())
            .await
            .is_none()
    );
    other.close().await;
}

#[tokio::test]
async fn a_code_is_shown_until_a_phone_scans_it() {
    let gateway = TestEngine::over(FakeConnector::unlinked()).await;
    let within = Duration::from_secs(10);
    let code = gateway.bot.link_code(&gateway.clock, within).await.unwrap();
    assert!(matches!(code, LinkCode::Code(code) if code.text.starts_with("2@")));
    let identity = Identity {
        number: number(OWN),
        name: "Toko".to_owned(),
    };
    gateway.link().scan(identity.clone());
    let linked = gateway.bot.link_code(&gateway.clock, within).await.unwrap();
    assert_eq!(linked, LinkCode::Linked(identity.clone()));
    until(
        || async {
            gateway.pass(Duration::from_secs(2));
            gateway.engine.store.bots().await.unwrap()[0].linked.clone()
        },
        |linked| linked.as_ref() == Some(&identity),
    )
    .await;
}

#[tokio::test]
async fn a_stop_waits_for_what_is_under_way() {
    let gateway = TestEngine::online().await;
    let accepted = gateway.accept("6281300000001", "halo").await.unwrap();
    let (url, id) = (gateway.url(), accepted.id);
    let TestEngine { engine, folder, .. } = gateway;
    engine.stop_all().await;
    let store = Store::open(&url).await.unwrap();
    assert!(store.message(&id).await.unwrap().is_some());
    store.close().await;
    drop(folder);
}
