//! The document's own webhook, by PHP's own server.

use std::process::Stdio;

use e2e::eventually;
use tokio::process::{Child, Command};

use crate::{OWNER, Shop, received};

/// `php -S` with the document's script.
struct Server {
    url: String,
    _folder: tempfile::TempDir,
    _child: Child,
}

impl Server {
    async fn start(webhook_key: &str) -> Self {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/webhook.php");
        let text = std::fs::read_to_string(sample).unwrap();
        assert!(text.contains("{{your_webhook_key}}"));
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("webhook.php");
        std::fs::write(&script, text.replace("{{your_webhook_key}}", webhook_key)).unwrap();
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let address = format!("127.0.0.1:{port}");
        let child = Command::new("php")
            .args(["-S", &address, "-t"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("php-cli is installed");
        eventually("PHP to listen", async || {
            tokio::net::TcpStream::connect(&address).await.map(drop)
        })
        .await;
        Self {
            url: format!("http://{address}/webhook.php"),
            _folder: folder,
            _child: child,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_own_php_webhook_answers_a_keyword() {
    let shop = Shop::open().await;
    let rules = shop.rules().await;
    let php = Server::start(&rules.webhook_key().await).await;
    rules.add("Penawaran", &php.url).await;
    rules.add("", &php.url).await;
    for (asked, answered) in [
        (
            "penawaran#Jhon Doe#jhon@example.com",
            "Masukkan pesan berhasil disini",
        ),
        ("apa kabar", "Kata kunci tidak terdaftar"),
    ] {
        shop.customer.send_text(OWNER, asked).await.unwrap();
        eventually(answered, async || {
            let shown = received(&shop.customer).await;
            let texts: Vec<String> = shown.into_iter().map(|message| message.text).collect();
            match texts.last() {
                Some(last) if last == answered => Ok(()),
                _ => Err(texts),
            }
        })
        .await;
    }
    assert_eq!(received(&shop.customer).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_another_webhook_key_it_says_unauthorized_and_nothing_is_sent() {
    let shop = Shop::open().await;
    let rules = shop.rules().await;
    let php = Server::start("somebody else's key").await;
    rules.add("penawaran", &php.url).await;
    shop.customer.send_text(OWNER, "penawaran").await.unwrap();
    let note = "SELECT COUNT(*) FROM deliveries WHERE fate = 'delivered' AND note LIKE 'nothing sent: %Unauthorized%'";
    eventually("the refusal in the journal", async || {
        match super::rows(&shop.gateway, note).await {
            1 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert!(received(&shop.customer).await.is_empty());
}
