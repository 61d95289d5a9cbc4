//! Downloads of received files by handle.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use wa_sim::{MediaKind, OutgoingMedia};
use waviro_link::{LinkError, MediaHandle};

use crate::{OWNER, World};

async fn sent(world: &World, kind: MediaKind, bytes: &[u8]) -> (String, MediaHandle) {
    let file = OutgoingMedia::new(kind, bytes.to_vec());
    let id = world.customer.send(OWNER, file).await.unwrap();
    let handle = world.recorder.file(&id).await.handle;
    (id, handle)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_file_is_fetched_whole_into_a_file_of_ours_alone() {
    let world = World::linked().await;
    let large: Vec<u8> = (0..3_000_017_u32).map(|n| n.to_le_bytes()[0]).collect();
    for (kind, bytes) in [
        (MediaKind::Image, &b"an image"[..]),
        (MediaKind::Video, &large),
        (MediaKind::Audio, b"a voice"),
        (MediaKind::Document, b""),
        (MediaKind::Sticker, b"a sticker"),
    ] {
        let (id, handle) = sent(&world, kind, bytes).await;
        // A handle must survive a round trip through text, as in the database.
        let kept: MediaHandle = handle.as_str().parse().unwrap();
        let path = world.folder.path().join(&id);
        world.link.download(&kept, &path).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes, "{kind:?}");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_has_expired_is_uploaded_again_by_our_phone() {
    let world = World::linked().await;
    let (id, handle) = sent(&world, MediaKind::Image, b"an old image").await;
    assert!(world.customer.expire_media(&id));
    let path = world.folder.path().join("old");
    world.link.download(&handle, &path).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"an old image");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_our_phone_has_not_either_is_refused_for_good() {
    let world = World::linked().await;
    let (id, handle) = sent(&world, MediaKind::Image, b"an old image").await;
    assert!(world.customer.expire_media(&id));
    // The phone looks for the message by id, and the id is unknown to the phone.
    let unknown = handle.as_str().replace(&id, "3A00000000000000000A");
    let path = world.folder.path().join("gone");
    let refused = world.link.download(&unknown.parse().unwrap(), &path).await;
    let Err(LinkError::Refused(reason)) = refused else {
        panic!("{refused:?}")
    };
    assert!(reason.contains("any more"), "{reason}");
    nothing_is_left(&world, "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_the_one_described_or_too_large_never_appears() {
    let world = World::linked().await;
    let (_, handle) = sent(&world, MediaKind::Document, b"a bill").await;
    let mut words: Vec<_> = handle.as_str().split(' ').collect();
    let other = "00".repeat(32);
    words[4] = &other;
    let path = world.folder.path().join("bill");
    let forged = words.join(" ").parse().unwrap();
    let refused = world.link.download(&forged, &path).await;
    assert!(matches!(refused, Err(LinkError::Refused(_))), "{refused:?}");
    nothing_is_left(&world, "bill");
    let mut words: Vec<_> = handle.as_str().split(' ').collect();
    words[2] = "104857601";
    let refused = world
        .link
        .download(&words.join(" ").parse().unwrap(), &path)
        .await;
    let Err(LinkError::Refused(reason)) = refused else {
        panic!("{refused:?}")
    };
    assert!(reason.contains("100 MiB"), "{reason}");
    let foreign: MediaHandle = "not from this gateway".parse().unwrap();
    let refused = world.link.download(&foreign, &path).await;
    assert!(matches!(refused, Err(LinkError::Refused(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_down_fetches_nothing() {
    let world = World::linked().await;
    let (_, handle) = sent(&world, MediaKind::Image, b"an image").await;
    world.link.close(Duration::from_secs(5)).await;
    let path = world.folder.path().join("image");
    let refused = world.link.download(&handle, &path).await;
    assert!(refused.is_err(), "{refused:?}");
    nothing_is_left(&world, "image");
}

fn nothing_is_left(world: &World, name: &str) {
    let entries = std::fs::read_dir(world.folder.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = names.filter(|left| left.starts_with(name)).collect();
    assert!(left.is_empty(), "{left:?}");
}
