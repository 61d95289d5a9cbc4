//! Linking and unlinking.

use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::prelude::Event;

use wa_sim::{PhoneSpec, ScanError, Sim};

use crate::client::TestClient;

#[tokio::test]
async fn a_client_is_linked_by_qr_code() {
    let sim = Sim::start().await.expect("starts");
    let phone = sim.add_phone(PhoneSpec::new("6281111111111", "Ani")).await;
    let (client, device) = TestClient::paired(&sim, &phone).await;
    assert_eq!(device.id, "6281111111111:1");
    assert!(sim.devices().await[0].connected);
    assert_eq!(
        client.client.pn().map(|pn| pn.user.to_string()),
        Some(phone.number().to_owned())
    );
    assert_eq!(
        client.client.lid().map(|lid| lid.user.to_string()),
        Some(phone.lid().to_owned())
    );
    assert_eq!(
        client
            .client
            .persistence_manager()
            .get_device_snapshot()
            .push_name,
        "Ani"
    );
}
