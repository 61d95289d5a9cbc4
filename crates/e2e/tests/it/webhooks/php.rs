//! The webhook script of the API document, run by PHP's built-in server.

use std::process::Stdio;

use e2e::eventually;
use tokio::process::{Child, Command};

use crate::{CUSTOMER, OWNER, Shop, received};

/// `php -S` with the script of the API document.
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
        Self::serve(&text.replace("{{your_webhook_key}}", webhook_key)).await
    }

    async fn serve(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("webhook.php");
        std::fs::write(&script, text).unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_php_lines_accept_only_the_gateways_signature() {
    let shop = Shop::open().await;
    let rules = shop.rules().await;
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/webhooks.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, code) = page.split_once("```php\n").unwrap();
    let (code, rest) = code.split_once("```").unwrap();
    assert_eq!(code.lines().count(), 10, "{code}");
    let (_, answers) = rest.split_once("```php\n").unwrap();
    let (answers, _) = answers.split_once("```").unwrap();
    let secret = rules.signing_secret().await;
    let script = code.replace("whsec_YOUR_SIGNING_SECRET", &secret);
    assert_ne!(script, code);
    let php = Server::serve(&format!("{script}{answers}")).await;
    rules.add("", &php.url).await;
    shop.customer.send_text(OWNER, "halo").await.unwrap();
    eventually("an answer to a signed call", async || {
        let shown = received(&shop.customer).await;
        let thanks = format!("Terima kasih, {CUSTOMER}.");
        shown
            .last()
            .filter(|last| last.text == thanks)
            .map(drop)
            .ok_or(())
    })
    .await;
    // A script with another secret refuses the same call.
    let other = code.replace(
        "whsec_YOUR_SIGNING_SECRET",
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    );
    let php = Server::serve(&format!("{other}{answers}")).await;
    rules.add("lain", &php.url).await;
    shop.customer.send_text(OWNER, "lain").await.unwrap();
    let refused = "SELECT COUNT(*) FROM attempts WHERE status = 401 AND answer = 'wrong signature'";
    eventually("the refusal in the journal", async || {
        match super::rows(&shop.gateway, refused).await {
            0 => Err(()),
            _ => Ok(()),
        }
    })
    .await;
    assert_eq!(received(&shop.customer).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_php_webhook_of_the_documentation_page_answers_as_it_says() {
    let shop = Shop::open().await;
    let rules = shop.rules().await;
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../waviro-web/templates/docs/webhook.php"
    );
    let script = std::fs::read_to_string(script).unwrap();
    assert!(script.contains("'WEBHOOK_KEY'"));
    let php = Server::serve(&script.replace("WEBHOOK_KEY", &rules.webhook_key().await)).await;
    rules.add("penawaran", &php.url).await;
    rules.add("", &php.url).await;
    shop.customer
        .send_text(OWNER, "Penawaran#Budi")
        .await
        .unwrap();
    let kinds = eventually("text and place", async || {
        let shown = received(&shop.customer).await;
        let said: Vec<_> = shown
            .into_iter()
            .map(|message| (message.kind, message.text))
            .collect();
        if said.len() == 2 { Ok(said) } else { Err(said) }
    })
    .await;
    assert_eq!(kinds[0].1, "Halo Budi, ini penawaran kami:");
    assert_eq!(kinds[1].0, "location");
    shop.customer.send_text(OWNER, "apa kabar").await.unwrap();
    eventually("the rest's answer", async || {
        let last = received(&shop.customer).await.pop().unwrap();
        if last.text == "Ketik penawaran#nama Anda" {
            Ok(())
        } else {
            Err(last)
        }
    })
    .await;
}
