//! Accounts with and without LIDs: API and phones behave the same for both.

use e2e::gateway::Gateway;
use e2e::receiver::Receiver;
use wa_sim::{PhoneSpec, Sim};

use crate::{CUSTOMER, OWNER, shown};

async fn a_text_and_its_acks(owner_moved: bool, customer_moved: bool) {
    let sim = Sim::start().await.unwrap();
    let owner = PhoneSpec::new(OWNER, "Toko").lid_migrated(owner_moved);
    let owner = sim.add_phone(owner).await;
    let customer = PhoneSpec::new(CUSTOMER, "Ani").lid_migrated(customer_moved);
    let customer = sim.add_phone(customer).await;
    let gateway = Gateway::start(&sim, &sim.wss_url()).await;
    let bot = gateway.linked_bot("toko", &owner).await;
    let receiver = Receiver::start().await;
    for n in 0..3 {
        let text = format!("halo {n}");
        let id = bot.accepted(CUSTOMER, &text, Some(receiver.url())).await;
        let message = shown(&customer, &id).await;
        assert_eq!(message.from, OWNER);
        receiver.wait_acks(&id, &[1, 2, 3]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_accounts_moved_to_lids() {
    a_text_and_its_acks(true, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_account_moved() {
    a_text_and_its_acks(false, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_bot_moved() {
    a_text_and_its_acks(true, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_customer_moved() {
    a_text_and_its_acks(false, true).await;
}
