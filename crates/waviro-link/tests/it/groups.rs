//! Group changes, and the receipts of group members.

use std::time::Duration;

use wa_sim::{Addressing, GroupSetting, GroupSpec, InboxMessage};
use waviro_link::{
    Chat, Content, GroupChange, GroupEvent, Outgoing, ReceiptLevel, Sender, Verdict,
};

use crate::{CUSTOMER, OWNER, PATIENCE, Recorder, World, person};

const FRIEND: &str = "6281400000001";

/// Waits for the first change of this kind.
async fn reported(recorder: &Recorder, what: &GroupEvent) -> GroupChange {
    let same = |change: &&GroupChange| change.what == *what;
    let look = |reports: &crate::Reports| reports.changes.iter().find(same).cloned();
    recorder.wait(&format!("{what:?}"), look).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_group_is_reported_with_its_author() {
    for addressing in [Addressing::Lid, Addressing::Pn] {
        let world = World::linked().await;
        let spec = GroupSpec::new("Keluarga", CUSTOMER)
            .members([OWNER])
            .addressing(addressing);
        let group = world.sim.add_group(spec).await;
        let (sim, id) = (&world.sim, group.id());
        sim.rename_group(id, "Keluarga besar").await.unwrap();
        sim.add_members(id, &[FRIEND]).await.unwrap();
        sim.promote_members(id, &[FRIEND]).await.unwrap();
        sim.demote_members(id, &[FRIEND]).await.unwrap();
        sim.describe_group(id, "arisan").await.unwrap();
        let only_admins = GroupSetting::Announcement;
        sim.set_group(id, only_admins, true).await.unwrap();
        sim.set_group(id, only_admins, false).await.unwrap();
        sim.remove_members(id, &[FRIEND]).await.unwrap();

        let friend = || vec![person(FRIEND)];
        let wanted = [
            GroupEvent::Joined {
                people: vec![person(OWNER)],
            },
            GroupEvent::Subject("Keluarga besar".to_owned()),
            GroupEvent::Joined { people: friend() },
            GroupEvent::Promoted { people: friend() },
            GroupEvent::Demoted { people: friend() },
            GroupEvent::Description,
            GroupEvent::Settings("announcement".to_owned()),
            GroupEvent::Settings("not_announcement".to_owned()),
            GroupEvent::Left { people: friend() },
        ];
        // The order can differ slightly, because the library processes notifications in parallel.
        for what in &wanted {
            reported(&world.recorder, what).await;
        }
        let changes = world.recorder.reports().changes.clone();
        assert_eq!(changes.len(), wanted.len(), "{changes:?}");
        for change in &changes {
            assert_eq!(change.group.as_str(), id);
            assert_eq!(change.by, Some(person(CUSTOMER)), "{change:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_does_it_alone_and_only_our_own_coming_and_going_changes_the_list() {
    let world = World::linked().await;
    let group = world.sim.create_group("Keluarga", OWNER, &[CUSTOMER]).await;
    let left = GroupEvent::Left {
        people: vec![person(CUSTOMER)],
    };
    world.customer.leave_group(group.id()).await.unwrap();
    let change = reported(&world.recorder, &left).await;
    assert_eq!(change.by, Some(person(CUSTOMER)));
    let before = world.recorder.reports().group_changes;
    assert_eq!(before, 1, "the group was made with us");
    world.owner.leave_group(group.id()).await.unwrap();
    let left = GroupEvent::Left {
        people: vec![person(OWNER)],
    };
    reported(&world.recorder, &left).await;
    assert_eq!(world.recorder.reports().group_changes, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_receipts_name_the_member() {
    for addressing in [Addressing::Lid, Addressing::Pn] {
        let world = World::linked().await;
        let spec = GroupSpec::new("Keluarga", OWNER)
            .members([CUSTOMER, FRIEND])
            .addressing(addressing);
        let group = world.sim.add_group(spec).await;
        let message = Outgoing {
            id: "3EB00000000000000041".parse().unwrap(),
            to: Chat::Group(group.id().parse().unwrap()),
            content: Content::Text("halo semua".to_owned()),
        };
        world.link.send(&message, false).await.unwrap();
        let ack = |reports: &crate::Reports| reports.acks.first().cloned();
        let ack = world.recorder.wait("the ack", ack).await;
        assert_eq!(ack.verdict, Verdict::Accepted);
        for member in [CUSTOMER, FRIEND] {
            let from = Some(person(member));
            let read = |reports: &crate::Reports| {
                let mut receipts = reports.receipts.iter();
                let read = receipts.find(|it| it.from == from && it.level == ReceiptLevel::Read);
                read.cloned()
            };
            let receipt = world.recorder.wait("the member's receipt", read).await;
            assert!(receipt.in_group);
            assert_eq!(receipt.group.unwrap().as_str(), group.id());
            assert_eq!(receipt.ids, std::slice::from_ref(&message.id));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_receipt_names_them_by_number_and_by_lid() {
    for lids in [true, false] {
        let world = World::linked_among(lids).await;
        world.send("3EB00000000000000042", "halo").await;
        let first = |reports: &crate::Reports| reports.receipts.first().cloned();
        let receipt = world.recorder.wait("a receipt", first).await;
        assert_eq!(receipt.from, Some(person(CUSTOMER)), "lids: {lids}");
        if lids {
            let lid = Sender::Hidden(world.customer.lid().to_owned());
            assert_eq!(receipt.alias, Some(lid));
        }
        assert!(!receipt.in_group);
        assert_eq!(receipt.group, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_member_could_read_is_sent_again_to_each_that_asks() {
    // With the owner's phone, 20 devices: the library's limit of resends of one group message in a
    // row.
    let members: Vec<String> = (0..19).map(|n| format!("62814{n:08}")).collect();
    let world = World::linked().await;
    let names = members.iter().map(String::as_str);
    let spec = GroupSpec::new("Keluarga", OWNER).members(names);
    let group = world.sim.add_group(spec).await;
    for member in &members {
        // Each phone asks only once, so a lost resend is not repeated.
        let phone = world.sim.find_phone(member).unwrap();
        phone.set_ask_again(Duration::ZERO);
    }
    world.sim.faults().fail_decrypts(20);
    let message = Outgoing {
        id: "3EB00000000000000043".parse().unwrap(),
        to: Chat::Group(group.id().parse().unwrap()),
        content: Content::Text("halo semua".to_owned()),
    };
    world.link.send(&message, false).await.unwrap();
    for member in &members {
        let phone = world.sim.find_phone(member).unwrap();
        let same = |shown: &InboxMessage| shown.id == message.id.as_str();
        phone.wait_for(PATIENCE, same).await.unwrap();
    }
}
