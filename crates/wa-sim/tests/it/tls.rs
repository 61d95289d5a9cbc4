//! TLS on the port, beside plain connections.

use serde_json::Value;
use wa_sim::{Certificate, Sim};

use crate::client::plain_http;

/// Returns a client that trusts only this authority.
fn trusting(authority: &str) -> reqwest::Client {
    let _ = plain_http();
    let authority = reqwest::Certificate::from_pem(authority.as_bytes()).expect("a certificate");
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([authority])
        .build()
        .expect("a client")
}

#[tokio::test]
async fn one_port_serves_tls_and_plain_and_tells_whom_to_trust() {
    let sim = Sim::start().await.expect("starts");
    let plain = plain_http().get(format!("{}/control/key", sim.http_url()));
    let shown: Value = plain
        .send()
        .await
        .expect("answered")
        .json()
        .await
        .expect("JSON");
    let authority = shown["ca_certificate"].as_str().expect("a certificate");
    assert_eq!(authority, sim.authority());
    assert_eq!(shown["wss_url"], sim.wss_url());
    let secure = sim.http_url().replace("http://", "https://");
    let file = trusting(authority).get(format!("{secure}/control/ca.pem"));
    let file = file
        .send()
        .await
        .expect("answered")
        .text()
        .await
        .expect("text");
    assert_eq!(file, authority);
}

#[tokio::test]
async fn a_wrong_certificate_is_refused_by_who_checks_it() {
    let sim = Sim::start().await.expect("starts");
    let secure = sim.http_url().replace("http://", "https://");
    for certificate in [
        Certificate::UnknownCa,
        Certificate::WrongName,
        Certificate::Expired,
        Certificate::NotYetValid,
    ] {
        sim.faults().set_certificate(certificate);
        let client = trusting(sim.authority());
        let answer = client.get(format!("{secure}/control/key")).send().await;
        assert!(answer.is_err(), "{certificate:?}");
    }
    sim.faults().clear();
    let client = trusting(sim.authority());
    let answer = client.get(format!("{secure}/control/key")).send().await;
    assert!(answer.expect("answered").status().is_success());
}

#[tokio::test]
async fn the_authority_is_the_same_after_a_restart_and_lies_in_the_data_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = || Sim::builder().data_dir(folder.path()).start();
    let first = start().await.expect("starts");
    let authority = first.authority().to_owned();
    first.stop().await;
    let second = start().await.expect("starts");
    assert_eq!(second.authority(), authority);
    let file = std::fs::read_to_string(folder.path().join("ca.pem")).expect("a file");
    assert_eq!(file, authority);
}

#[tokio::test]
async fn a_client_that_never_says_anything_holds_up_no_other() {
    let sim = Sim::start().await.expect("starts");
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(
            tokio::net::TcpStream::connect(sim.addr())
                .await
                .expect("connected"),
        );
    }
    let plain = plain_http().get(format!("{}/control/key", sim.http_url()));
    assert!(plain.send().await.expect("answered").status().is_success());
}
