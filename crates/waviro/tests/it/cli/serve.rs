//! How a gateway is watched and stopped, through the real binary.

use std::net::SocketAddr;

use super::process::{Folder, PINNED, free_address};
use crate::wire::raw;

pub async fn get(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    raw(address, request).await
}

#[tokio::test]
async fn the_metrics_are_served_on_their_own_address_and_nowhere_else() {
    let (folder, address, metrics) = (Folder::new(), free_address(), free_address());
    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    let answer = get(address, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(answer.contains("server.metrics_listen"), "{answer}");
    gateway.stop().await;

    folder.configure(&format!("server.metrics_listen = \"{metrics}\"\n{PINNED}"));
    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    gateway.ready(metrics).await;
    let answer = get(metrics, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("waviro_store_commits_total"), "{answer}");
    assert!(
        get(metrics, "/api/sendwa")
            .await
            .starts_with("HTTP/1.1 404")
    );
    assert!(get(metrics, "/v1/bots").await.starts_with("HTTP/1.1 404"));
    assert!(get(address, "/metrics").await.starts_with("HTTP/1.1 404"));
    gateway.stop().await;
}

#[tokio::test]
async fn an_operator_may_serve_the_metrics_beside_the_api() {
    let (folder, address) = (Folder::new(), free_address());
    folder.configure(&format!("server.metrics_listen = \"{address}\"\n{PINNED}"));
    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    let answer = get(address, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_taken_address_of_the_metrics_is_named_with_its_key() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let listen = free_address().to_string();
    let said = folder.fails(&["serve", "--listen", &listen, "--metrics-listen", &taken]);
    assert!(
        said.contains(&taken) && said.contains("server.metrics_listen"),
        "{said}"
    );
}
