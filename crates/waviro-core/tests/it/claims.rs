//! Claims about other people's messages: edits, deletions and receipts.

use waviro_link::{InboundKind, Receipt, ReceiptLevel, Sender};
use waviro_testing::engine::{TestEngine, until};
use waviro_testing::hooks::Hooks;
use waviro_testing::samples::number;
use waviro_testing::samples::{in_group, inbound};
use waviro_testing::subscriptions::{received, subscribe};

const BUDI: &str = "6281300000001";
const GROUP: &str = "120363000000000001";

#[tokio::test]
async fn nobody_edits_or_deletes_what_the_bot_wrote() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    subscribe(&gateway, &hooks.url("hook")).await;
    let sent = gateway.accept(BUDI, "total Rp50.000").await.unwrap().id;
    let edit = || InboundKind::Edited {
        of: sent.clone(),
        text: "total Rp5".to_owned(),
    };
    let delete = || InboundKind::Deleted {
        of: sent.clone(),
        by_admin: false,
    };
    for (id, kind) in [("E1", edit()), ("E2", delete())] {
        let mut claim = inbound(id, BUDI, "");
        claim.kind = kind;
        gateway.link().inbound(vec![claim]).await.unwrap();
    }
    // The bot's own phone may edit the message.
    let mut own = inbound("E3", BUDI, "");
    (own.kind, own.from_me) = (edit(), true);
    gateway.link().inbound(vec![own]).await.unwrap();
    let edited = until(
        || async { received(&gateway, "message.edited").await },
        |events| !events.is_empty(),
    )
    .await;
    assert_eq!(edited.len(), 1, "{edited:?}");
    assert_eq!(edited[0]["data"]["from_me"], true);
    assert!(received(&gateway, "message.deleted").await.is_empty());
}

#[tokio::test]
async fn what_is_edited_by_another_member_is_not_in_the_log_either() {
    let gateway = TestEngine::online().await;
    gateway
        .link()
        .inbound(vec![in_group(GROUP, "A1", BUDI, "halo")])
        .await
        .unwrap();
    let mut claim = in_group(GROUP, "E1", "6281300000002", "");
    claim.kind = InboundKind::Edited {
        of: "A1".parse().unwrap(),
        text: "lain".to_owned(),
    };
    gateway.link().inbound(vec![claim]).await.unwrap();
    let bot_id = gateway.bot.id();
    assert_eq!(gateway.engine.store.inbound_count(bot_id).await.unwrap(), 1);
}

#[tokio::test]
async fn a_receipt_counts_only_from_a_recipient_of_the_message() {
    let gateway = TestEngine::online().await;
    let sent = gateway.accept(BUDI, "halo").await.unwrap().id;
    until(|| gateway.ack_of(&sent), |ack| *ack == 1).await;
    let receipt =
        |level, from: Option<Sender>, alias: Option<Sender>, group: Option<&str>| Receipt {
            ids: vec![sent.clone()],
            level,
            from,
            alias,
            in_group: group.is_some(),
            group: group.map(|group| group.parse().unwrap()),
        };
    let known = |text: &str| Some(Sender::Number(number(text)));
    let hidden = |lid: &str| Some(Sender::Hidden(lid.to_owned()));
    let read = ReceiptLevel::Read;
    gateway.link().know_lid(number(BUDI), "78");
    for forged in [
        receipt(read, known("6281300000002"), None, None),
        receipt(read, known("6281300000002"), hidden("77"), None),
        receipt(read, hidden("77"), None, None),
        receipt(read, known(BUDI), None, Some(GROUP)),
    ] {
        gateway.link().report(forged.clone()).await.unwrap();
        assert_eq!(gateway.ack_of(&sent).await, 1, "{forged:?}");
    }
    let delivered = receipt(ReceiptLevel::Delivered, known(BUDI), hidden("78"), None);
    gateway.link().report(delivered).await.unwrap();
    assert_eq!(gateway.ack_of(&sent).await, 2);
    // WhatsApp does not name the sender of this receipt, so the gateway applies the receipt.
    let nameless = receipt(read, None, None, None);
    gateway.link().report(nameless).await.unwrap();
    assert_eq!(gateway.ack_of(&sent).await, 3);
}

#[tokio::test]
async fn a_receipt_counts_if_the_device_lost_the_pair_of_number_and_lid() {
    let gateway = TestEngine::online().await;
    let by_number = gateway.accept(BUDI, "halo").await.unwrap().id;
    until(|| gateway.ack_of(&by_number), |ack| *ack == 1).await;
    for (level, ack) in [(ReceiptLevel::Delivered, 2), (ReceiptLevel::Read, 3)] {
        let receipt = Receipt {
            ids: vec!["3EB0FFFFFFFFFFFFFFFF".parse().unwrap(), by_number.clone()],
            level,
            from: Some(Sender::Hidden("78".to_owned())),
            alias: None,
            in_group: false,
            group: None,
        };
        gateway.link().report(receipt).await.unwrap();
        assert_eq!(gateway.ack_of(&by_number).await, ack);
    }
}
