//! The link over TLS with wrong certificates; each problem must be reported by its name. All other
//! tests use the right certificate.

use e2e::eventually;
use e2e::gateway::{Gateway, Server};
use reqwest::StatusCode;
use serde_json::json;
use wa_sim::{Certificate, PhoneSpec, Sim};

use crate::OWNER;

/// Shortens the wait of `getqr` for the test.
const SHORT_WAIT: &str = "limits.qr_wait_s = 2";

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_certificate_is_reported_by_getqr_health_the_log_and_doctor() {
    let sim = Sim::start().await.unwrap();
    let gateway = Gateway::start_with(&sim, &sim.wss_url(), SHORT_WAIT).await;
    let admin = gateway.admin().await;
    for (n, certificate, code, says) in [
        (
            1,
            Certificate::UnknownCa,
            "tls_unknown_ca",
            "whatsapp.ca_file",
        ),
        (2, Certificate::WrongName, "tls_wrong_name", "nama lain"),
        (3, Certificate::Expired, "tls_expired", "kedaluwarsa"),
        (4, Certificate::NotYetValid, "tls_not_yet_valid", "NTP"),
    ] {
        sim.faults().set_certificate(certificate);
        let bot = gateway.add_bot(&format!("toko{n}")).await;
        let answer = eventually("the cause in getqr", async || {
            let answer = bot.call("/api/getqr", json!({})).await;
            let sentence = answer.body["errorMessage"].as_str().unwrap_or_default();
            if sentence.contains(says) {
                return Ok(answer);
            }
            Err(answer)
        })
        .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.body["code"], "qr_not_ready");
        let shown = admin.get(&format!("/v1/bots/toko{n}")).await;
        assert_eq!(shown["cause_code"], code);
        let lines: Vec<_> = gateway
            .log()
            .lines()
            .filter(|line| line.contains(&format!("toko{n}")) && line.contains(code))
            .map(ToOwned::to_owned)
            .collect();
        assert_eq!(lines.len(), 1, "one line for one cause: {lines:#?}");
        let report = gateway.doctor().await;
        let last = report.last().unwrap();
        assert!(last.starts_with("FAIL  whatsapp  TLS: "), "{report:#?}");
    }
    assert!(!gateway.log().contains("ERROR"), "{}", gateway.log());

    sim.faults().set_certificate(Certificate::Valid);
    let owner = sim.add_phone(PhoneSpec::new(OWNER, "Toko")).await;
    gateway.linked_bot("toko", &owner).await;
    let report = gateway.doctor().await;
    let last = report.last().unwrap();
    assert!(last.starts_with("OK    whatsapp  Noise: "), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_authority_is_not_named_is_not_trusted() {
    let sim = Sim::start().await.unwrap();
    let server = Server {
        authority: None,
        ..Server::of(&sim, &sim.wss_url())
    };
    let gateway = Gateway::start_in(&server, SHORT_WAIT, Vec::new()).await;
    let bot = gateway.add_bot("toko").await;
    eventually("the cause in getqr", async || {
        let answer = bot.call("/api/getqr", json!({})).await;
        let sentence = answer.body["errorMessage"].as_str().unwrap_or_default();
        if sentence.contains("whatsapp.ca_file") {
            return Ok(());
        }
        Err(answer)
    })
    .await;
}
