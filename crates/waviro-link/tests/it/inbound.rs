//! Inbound messages, as reported to the gateway.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use wa_sim::{Addressing, AnswerTo, ContactCard, GroupSpec, MediaKind, Outgoing, OutgoingMedia};
use waviro_link::{Chat, InboundKind, InboundMediaKind, Location, MessageId, Status};
use whatsapp_rust::store::SqliteStore;
use whatsapp_rust::wacore::store::traits::ProtocolStore as _;

use crate::{CUSTOMER, OWNER, Recorder, World, person};

fn id(text: &str) -> MessageId {
    text.parse().unwrap()
}

fn text(text: &str) -> InboundKind {
    InboundKind::Text(text.to_owned())
}

/// Sends a message to the bot, and waits for the reported content.
async fn said(world: &World, outgoing: impl Into<Outgoing> + Send) -> (String, InboundKind) {
    let id = world.customer.send(OWNER, outgoing).await.unwrap();
    let kind = world.recorder.message(&id).await.kind;
    (id, kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_is_a_phone_number_in_both_worlds_of_addressing() {
    for lids in [true, false] {
        let world = World::linked_among(lids).await;
        let id = world.customer.send_text(OWNER, "halo").await.unwrap();
        let message = world.recorder.message(&id).await;
        assert_eq!(message.sender, person(CUSTOMER), "lids: {lids}");
        assert_eq!(message.chat, Chat::Person(CUSTOMER.parse().unwrap()));
        let other = if lids {
            Addressing::Lid
        } else {
            Addressing::Pn
        };
        let spec = GroupSpec::new("Keluarga", OWNER)
            .members([CUSTOMER])
            .addressing(other);
        let group = world.sim.add_group(spec).await;
        let sent = world.customer.send_text_to_group(group.id(), "halo semua");
        let message = world.recorder.message(&sent.await.unwrap()).await;
        assert_eq!(message.sender, person(CUSTOMER), "lids: {lids}");
        assert_eq!(message.chat, Chat::Group(group.id().parse().unwrap()));
        assert_eq!(message.kind, text("halo semua"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_with_what_their_kind_says_of_them() {
    let world = World::linked().await;
    let image = OutgoingMedia::new(MediaKind::Image, &b"an image"[..]).caption("lihat ini");
    let (id, kind) = said(&world, image).await;
    assert_eq!((kind.text(), kind.word()), (Some("lihat ini"), "image"));
    let image = world.recorder.file(&id).await;
    assert_eq!(image.kind, InboundMediaKind::Image);
    assert_eq!((image.mime.as_str(), image.size), ("image/jpeg", 8));
    assert!(image.file_name.is_none() && !image.voice);

    let video = OutgoingMedia::new(MediaKind::Video, &b"a film"[..]).caption("tonton");
    let (_, kind) = said(&world, video).await;
    assert_eq!((kind.text(), kind.word()), (Some("tonton"), "video"));

    let audio = OutgoingMedia::new(MediaKind::Audio, &b"a voice"[..]).voice(true);
    let (id, kind) = said(&world, audio).await;
    assert_eq!((kind.text(), kind.word()), (None, "audio"));
    assert!(world.recorder.file(&id).await.voice);

    let bill = || OutgoingMedia::new(MediaKind::Document, &b"a bill"[..]).file_name("nota.pdf");
    let (id, kind) = said(&world, bill()).await;
    assert_eq!((kind.text(), kind.word()), (None, "document"));
    let name = world.recorder.file(&id).await.file_name;
    assert_eq!(name.as_deref(), Some("nota.pdf"));
    // Phones wrap a document with a caption.
    let (id, kind) = said(&world, bill().caption("lunas")).await;
    assert_eq!((kind.text(), kind.word()), (Some("lunas"), "document"));
    let name = world.recorder.file(&id).await.file_name;
    assert_eq!(name.as_deref(), Some("nota.pdf"));

    let sticker = OutgoingMedia::new(MediaKind::Sticker, &b"a sticker"[..]);
    assert_eq!(said(&world, sticker).await.1.word(), "sticker");
}

#[tokio::test(flavor = "multi_thread")]
async fn places_and_cards_come_as_they_were_sent() {
    let world = World::linked().await;
    let monas = Outgoing::Location {
        latitude: -6.175,
        longitude: 106.827,
        name: Some("Monas".to_owned()),
    };
    let place = Location {
        latitude: -6.175,
        longitude: 106.827,
        name: Some("Monas".to_owned()),
    };
    assert_eq!(said(&world, monas).await.1, InboundKind::Location(place));

    let card = |name: &str| ContactCard {
        name: name.to_owned(),
        numbers: vec!["6283333333333".to_owned()],
    };
    let one = Outgoing::Contact {
        name: "Cici".to_owned(),
        numbers: card("Cici").numbers,
    };
    let many = Outgoing::Contacts(vec![card("Cici"), card("Dodi")]);
    for (sent, names) in [(one, &["Cici"][..]), (many, &["Cici", "Dodi"])] {
        let InboundKind::Contacts(cards) = said(&world, sent).await.1 else {
            panic!("no cards")
        };
        let shown: Vec<_> = cards.iter().map(|card| card.name.as_str()).collect();
        assert_eq!(shown, names);
        let number = "waid=6283333333333:";
        assert!(cards.iter().all(|card| card.vcard.contains(number)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_to_an_earlier_message_names_it() {
    let world = World::linked().await;
    let (first, _) = said(&world, "pesan satu").await;
    let edit = Outgoing::Edit {
        of: first.clone(),
        text: "pesan dua".to_owned(),
    };
    let (of, edited) = (id(&first), "pesan dua".to_owned());
    let kind = said(&world, edit).await.1;
    // An edit must not match a keyword again.
    assert_eq!(kind.text(), None);
    assert_eq!(kind, InboundKind::Edited { of, text: edited });
    for emoji in ["👍", ""] {
        let reaction = Outgoing::Reaction {
            to: first.clone(),
            emoji: emoji.to_owned(),
        };
        let heard = InboundKind::Reaction {
            to: id(&first),
            emoji: emoji.to_owned(),
        };
        assert_eq!(said(&world, reaction).await.1, heard);
    }
    let revoke = Outgoing::Revoke { of: first.clone() };
    let deleted = InboundKind::Deleted {
        of: id(&first),
        by_admin: false,
    };
    assert_eq!(said(&world, revoke).await.1, deleted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_names_the_message_of_ours_that_it_quotes() {
    let world = World::linked().await;
    world.send("3EB00000000000000031", "mau pesan?").await;
    let asked = |shown: &wa_sim::InboxMessage| shown.text == "mau pesan?";
    let patience = crate::PATIENCE;
    world.customer.wait_for(patience, asked).await.unwrap();
    let reply = |with: Outgoing| Outgoing::Reply {
        to: "3EB00000000000000031".to_owned(),
        with: Box::new(with),
    };
    let image = OutgoingMedia::new(MediaKind::Image, &b"an image"[..]);
    for with in [Outgoing::from("ya"), Outgoing::from(image)] {
        let sent = world.customer.send(OWNER, reply(with)).await.unwrap();
        let message = world.recorder.message(&sent).await;
        assert_eq!(message.quoted, Some(id("3EB00000000000000031")));
    }
    let (plain, _) = said(&world, "bukan jawaban").await;
    assert_eq!(world.recorder.message(&plain).await.quoted, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_answer_is_the_text_that_was_shown() {
    let world = World::linked().await;
    for to in [
        AnswerTo::Buttons,
        AnswerTo::List,
        AnswerTo::Template,
        AnswerTo::Interactive,
    ] {
        let answer = |title: Option<&str>| Outgoing::Answer {
            to,
            id: "beli-1".to_owned(),
            title: title.map(ToOwned::to_owned),
        };
        let chosen = said(&world, answer(Some("Beli sekarang"))).await.1;
        assert_eq!(chosen, text("Beli sekarang"), "{to:?}");
        assert_eq!(said(&world, answer(None)).await.1, text("beli-1"), "{to:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disappearing_message_is_reported_with_its_kind() {
    let world = World::linked().await;
    let soon_gone = Outgoing::Disappearing(Box::new("rahasia".into()));
    assert_eq!(said(&world, soon_gone).await.1, text("rahasia"));
    let image = OutgoingMedia::new(MediaKind::Image, &b"an image"[..]).caption("sekali");
    let once = Outgoing::ViewOnce(Box::new(image.into()));
    let both = Outgoing::Disappearing(Box::new(once));
    let kind = said(&world, both).await.1;
    assert_eq!((kind.text(), kind.word()), (Some("sekali"), "image"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_own_phone_writes_is_marked_as_ours() {
    let world = World::linked().await;
    let sent = world.owner.send_text(CUSTOMER, "dari kasir").await.unwrap();
    let message = world.recorder.message(&sent).await;
    assert!(message.from_me);
    assert_eq!(message.chat, Chat::Person(CUSTOMER.parse().unwrap()));
    assert_eq!(message.sender, person(OWNER));
    assert_eq!(message.kind, text("dari kasir"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_the_device_was_away_comes_once_and_in_order() {
    let world = World::linked().await;
    let group = world.sim.create_group("Keluarga", OWNER, &[CUSTOMER]).await;
    let (before, _) = said(&world, "sebelum").await;
    world.link.close(Duration::from_secs(5)).await;
    let mut sent = Vec::new();
    for n in 0..20 {
        let text = format!("malam {n}");
        sent.push(world.customer.send_text(OWNER, &text).await.unwrap());
    }
    let image = OutgoingMedia::new(MediaKind::Image, &b"an image"[..]).caption("terakhir");
    sent.push(world.customer.send(OWNER, image).await.unwrap());
    let in_group = world.customer.send_text_to_group(group.id(), "di grup");
    let in_group = in_group.await.unwrap();
    let recorder = std::sync::Arc::<Recorder>::default();
    let listener = std::sync::Arc::clone(&recorder) as std::sync::Arc<dyn waviro_link::Listener>;
    let _link = waviro_link::Connector::open(&world.whatsapp, 1, listener)
        .await
        .unwrap();
    recorder.message(&in_group).await;
    recorder.message(sent.last().unwrap()).await;
    recorder
        .wait_state("online", |state| *state == Status::Online)
        .await;
    // After a further message, any redelivery would have arrived too.
    let last = world.customer.send_text(OWNER, "pagi").await.unwrap();
    recorder.message(&last).await;
    let reports = recorder.reports();
    let direct = reports.inbound.iter().filter(|it| !it.chat.is_group());
    let heard: Vec<_> = direct.map(|it| it.id.as_str().to_owned()).collect();
    sent.push(last);
    assert_eq!(heard, sent);
    assert!(!heard.contains(&before));
    let of_the_group = reports.inbound.iter().filter(|it| it.chat.is_group());
    assert_eq!(of_the_group.count(), 1);
}

/// Returns the path of the device's file.
fn stored(world: &World) -> String {
    let files = std::fs::read_dir(world.folder.path().join("links")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let databases: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|it| it == "db"))
        .collect();
    let [only] = databases.as_slice() else {
        panic!("one device, one file: {databases:?}");
    };
    only.to_str().unwrap().to_owned()
}

/// Recreates the state after a kill between the write of the session and the write of the message:
/// the session is advanced, but the message is stored nowhere. Returns the ids of an earlier
/// message and of the lost message.
async fn decrypted_and_never_kept(world: &World) -> (String, String) {
    let (kept, _) = said(world, "sampai").await;
    world.recorder.refuse_inbound.store(usize::MAX, SeqCst);
    let lost = world.customer.send_text(OWNER, "hilang").await.unwrap();
    world
        .recorder
        .wait("a refused commit", |_| {
            (world.recorder.refuse_inbound.load(SeqCst) < usize::MAX).then_some(())
        })
        .await;
    world.link.close(Duration::from_secs(5)).await;
    let store = SqliteStore::new_for_device(&stored(world), 1).await;
    let store = store.unwrap();
    let gone = store.delete_expired_pending_inbound(i64::MAX);
    assert_eq!(gone.await.unwrap(), 1, "the library had kept it");
    world.recorder.refuse_inbound.store(0, SeqCst);
    (kept, lost)
}

async fn opened(world: &World) -> std::sync::Arc<dyn waviro_link::Link> {
    let listener =
        std::sync::Arc::clone(&world.recorder) as std::sync::Arc<dyn waviro_link::Listener>;
    waviro_link::Connector::open(&world.whatsapp, 1, listener)
        .await
        .unwrap()
}

/// Expects that the lost message is reported once, and a later message too.
async fn comes_in_its_turn(world: &World, kept: String, lost: String) {
    assert_eq!(world.recorder.message(&lost).await.kind, text("hilang"));
    let (after, _) = said(world, "lagi").await;
    let reports = world.recorder.reports();
    let heard: Vec<_> = reports.inbound.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(heard, [kept, lost, after]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decrypted_and_never_kept_is_asked_for_again() {
    let world = World::linked().await;
    let (kept, lost) = decrypted_and_never_kept(&world).await;
    let _link = opened(&world).await;
    comes_in_its_turn(&world, kept, lost).await;
}

/// With constant traffic there is no quiet moment apart from the redelivered messages.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_kept_is_asked_for_while_others_write() {
    let world = World::linked().await;
    let (_, lost) = decrypted_and_never_kept(&world).await;
    let _link = opened(&world).await;
    let others = async {
        loop {
            said(&world, "ramai").await;
            // A simulated phone can resend only its last few hundred messages.
            let nothing = std::future::pending::<()>();
            let _ = tokio::time::timeout(Duration::from_millis(50), nothing).await;
        }
    };
    tokio::select! {
        heard = world.recorder.message(&lost) => assert_eq!(heard.kind, text("hilang")),
        () = others => unreachable!("others write on"),
    }
}

/// The library acknowledges the redelivered message at once, and the process ends before the
/// request to the sender.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_kept_is_asked_for_by_the_process_after_the_next() {
    let world = World::linked().await;
    let (kept, lost) = decrypted_and_never_kept(&world).await;
    let device = world.sim.devices().await.remove(0).id;
    assert_eq!(world.sim.waiting(&device), 1);
    world.recorder.refuse_questions.store(true, SeqCst);
    let link = opened(&world).await;
    world
        .recorder
        .wait("the server's last copy to go", |_| {
            (world.sim.waiting(&device) == 0).then_some(())
        })
        .await;
    let again = world.folder.path().join("links/1.again");
    assert!(again.exists(), "it was acknowledged and is noted nowhere");
    link.close(Duration::from_secs(5)).await;
    world.recorder.refuse_questions.store(false, SeqCst);

    let _link = opened(&world).await;
    comes_in_its_turn(&world, kept, lost).await;
    assert!(!again.exists(), "nothing is left to be asked for");
}
