//! Messages of unusual or hostile clients, over the wire.

use wa_sim::{GroupSpec, MediaKind, Outgoing, OutgoingMedia};
use waviro_link::{Chat, InboundKind, MessageId, Number, ReceiptLevel, Sender};
use whatsapp_rust::waproto::buffa::MessageField;
use whatsapp_rust::waproto::codec::message_to_vec;
use whatsapp_rust::waproto::whatsapp as wa;
use whatsapp_rust::waproto::whatsapp::message::protocol_message::Type;

use crate::{CUSTOMER, OWNER, World, person};

const FRIEND: &str = "6281400000001";

fn raw(message: &wa::Message) -> Outgoing {
    Outgoing::Raw(message_to_vec(message))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_of_templates_lists_buttons_orders_and_products_is_reported() {
    use wa::message::buttons_message::Header;
    use wa::message::interactive_message::Body;
    use wa::message::product_message::ProductSnapshot;
    use wa::message::template_message::HydratedFourRowTemplate;
    let world = World::linked().await;
    let template = wa::message::TemplateMessage {
        hydrated_template: MessageField::some(HydratedFourRowTemplate {
            hydrated_content_text: Some("Kode 1234".to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let buttons = wa::message::ButtonsMessage {
        header: Some(Header::Text("Menu".to_owned())),
        content_text: Some("Pilih".to_owned()),
        footer_text: Some("Toko".to_owned()),
        ..Default::default()
    };
    let list = wa::message::ListMessage {
        title: Some("Daftar".to_owned()),
        description: Some("Pilih satu".to_owned()),
        ..Default::default()
    };
    let interactive = wa::message::InteractiveMessage {
        body: MessageField::some(Body {
            text: Some("Mau?".to_owned()),
        }),
        ..Default::default()
    };
    let order = wa::message::OrderMessage {
        message: Some("pesan 2".to_owned()),
        order_title: Some("Kopi".to_owned()),
        ..Default::default()
    };
    let product = wa::message::ProductMessage {
        product: MessageField::some(ProductSnapshot {
            title: Some("Teh".to_owned()),
            ..Default::default()
        }),
        body: Some("Manis".to_owned()),
        ..Default::default()
    };
    let message = wa::Message::default;
    for (sent, word, text) in [
        (
            wa::Message {
                template_message: MessageField::some(template),
                ..message()
            },
            "template",
            "Kode 1234",
        ),
        (
            wa::Message {
                buttons_message: MessageField::some(buttons),
                ..message()
            },
            "buttons",
            "Menu\nPilih\nToko",
        ),
        (
            wa::Message {
                list_message: MessageField::some(list),
                ..message()
            },
            "list",
            "Daftar\nPilih satu",
        ),
        (
            wa::Message {
                interactive_message: MessageField::some(interactive),
                ..message()
            },
            "interactive",
            "Mau?",
        ),
        (
            wa::Message {
                order_message: MessageField::some(order),
                ..message()
            },
            "order",
            "pesan 2\nKopi",
        ),
        (
            wa::Message {
                product_message: MessageField::some(product),
                ..message()
            },
            "product",
            "Teh\nManis",
        ),
    ] {
        let id = world.customer.send(OWNER, raw(&sent)).await.unwrap();
        let kind = world.recorder.message(&id).await.kind;
        assert_eq!((kind.word(), kind.text()), (word, Some(text)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_message_is_not_reported() {
    let world = World::linked().await;
    let secret = wa::Message {
        message_context_info: MessageField::some(wa::MessageContextInfo {
            message_secret: Some(vec![1; 32]),
            ..Default::default()
        }),
        ..Default::default()
    };
    for nothing in [Outgoing::from(""), raw(&secret)] {
        world.customer.send(OWNER, nothing).await.unwrap();
    }
    let last = world.customer.send_text(OWNER, "halo").await.unwrap();
    world.recorder.message(&last).await;
    let reports = world.recorder.reports();
    let heard: Vec<_> = reports.inbound.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(heard, [last]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_any_length_and_content_are_kept_and_their_files_found() {
    let world = World::linked().await;
    let long = "x".repeat(3_000);
    for id in ["1", "an id with blanks", "é ✓ <b>", long.as_str()] {
        let image = OutgoingMedia::new(MediaKind::Image, &b"an image"[..]);
        let sent = world.customer.send_as(Some(id.to_owned()), OWNER, image);
        sent.await.unwrap();
        let kept = MessageId::from_wire(id);
        let file = world.recorder.file(kept.as_str()).await;
        let to = world.folder.path().join("file");
        world.link.download(&file.handle, &to).await.unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"an image", "{kept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_over_a_customers_broadcast_list_stands_in_the_chat_with_the_customer() {
    for lids in [true, false] {
        let world = World::linked_among(lids).await;
        let sent = world.customer.send_to_list("1700000000", &[OWNER], "promo");
        let message = world.recorder.message(&sent.await.unwrap()).await;
        assert_eq!(message.chat, Chat::Person(CUSTOMER.parse().unwrap()));
        assert_eq!(message.sender, person(CUSTOMER));
        assert_eq!(message.kind, InboundKind::Text("promo".to_owned()));
        // The broadcast message was acknowledged, so a later message arrives too.
        let later = world.customer.send_text(OWNER, "lagi").await.unwrap();
        world.recorder.message(&later).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_of_anothers_message_counts_from_an_admin_alone() {
    let world = World::linked().await;
    let friend = world
        .sim
        .add_phone(wa_sim::PhoneSpec::new(FRIEND, "Budi"))
        .await;
    let spec = GroupSpec::new("Keluarga", OWNER).members([CUSTOMER, FRIEND]);
    let group = world.sim.add_group(spec).await;
    let first = friend.send_text_to_group(group.id(), "halo").await.unwrap();
    world.recorder.message(&first).await;
    let deletion = |author: String| {
        raw(&wa::Message {
            protocol_message: MessageField::some(wa::message::ProtocolMessage {
                r#type: Some(Type::Revoke),
                key: MessageField::some(wa::MessageKey {
                    remote_jid: Some(format!("{}@g.us", group.id())),
                    from_me: Some(false),
                    id: Some(first.clone()),
                    participant: Some(author),
                }),
                ..Default::default()
            }),
            ..Default::default()
        })
    };
    let by_lid = format!("{}@lid", friend.lid());
    let foreign = world
        .customer
        .send_to_group(group.id(), deletion(by_lid.clone()));
    foreign.await.unwrap();
    let last = world
        .customer
        .send_text_to_group(group.id(), "lho")
        .await
        .unwrap();
    world.recorder.message(&last).await;
    let deleted = |reports: &crate::Reports| {
        let mut deletions = reports.inbound.iter().map(|it| it.kind.clone());
        deletions.find(|kind| matches!(kind, InboundKind::Deleted { .. }))
    };
    assert_eq!(deleted(&world.recorder.reports()), None);
    world
        .sim
        .promote_members(group.id(), &[CUSTOMER])
        .await
        .unwrap();
    world
        .recorder
        .wait("the promotion", |reports| {
            (!reports.changes.is_empty()).then_some(())
        })
        .await;
    let by_number = format!("{FRIEND}@s.whatsapp.net");
    let allowed = world
        .customer
        .send_to_group(group.id(), deletion(by_number));
    allowed.await.unwrap();
    let deletion = world.recorder.wait("the deletion", deleted).await;
    let (of, by_admin) = (MessageId::from_wire(&first), true);
    assert_eq!(deletion, InboundKind::Deleted { of, by_admin });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_names_who_sent_it_and_not_who_should_have() {
    for lids in [true, false] {
        let world = World::linked_among(lids).await;
        let spec = wa_sim::PhoneSpec::new(FRIEND, "Budi").lid_migrated(lids);
        let stranger = world.sim.add_phone(spec).await;
        world.customer.set_receipts(wa_sim::Receipts::None);
        world.send("3EB00000000000000051", "halo").await;
        stranger.claim(OWNER, "3EB00000000000000051", true).unwrap();
        let read = |reports: &crate::Reports| {
            let mut receipts = reports.receipts.iter();
            receipts.find(|it| it.level == ReceiptLevel::Read).cloned()
        };
        let receipt = world.recorder.wait("the claim", read).await;
        let named = if lids {
            Sender::Hidden(stranger.lid().to_owned())
        } else {
            person(FRIEND)
        };
        assert_eq!(receipt.from, Some(named));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lid_may_be_any_number_but_one_that_is_known_under_another_lid() {
    let world = World::linked_among(true).await;
    let lid = world.customer.lid().to_owned();
    let number: Number = CUSTOMER.parse().unwrap();
    assert!(world.link.may_be("123", &number).await, "nothing is known");
    world.send("3EB00000000000000061", "halo").await;
    assert!(world.link.may_be(&lid, &number).await);
    assert!(!world.link.may_be("123", &number).await);
    let unknown: Number = FRIEND.parse().unwrap();
    assert!(world.link.may_be(&lid, &unknown).await);
}
