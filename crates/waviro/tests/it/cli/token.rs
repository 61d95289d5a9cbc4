//! `waviro token`

use std::net::SocketAddr;

use super::process::{Folder, free_address};
use crate::wire::raw;

/// Finds a token in the text: `wvt_` and 64 hex digits.
fn token_in(text: &str) -> String {
    let found = text
        .split_whitespace()
        .find(|word| word.starts_with("wvt_"));
    let token = found.unwrap_or_else(|| panic!("no token in: {text}"));
    token.to_owned()
}

async fn bots_seen(address: SocketAddr, token: &str) -> String {
    let request = format!(
        "GET /v1/bots HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    raw(address, &request).await
}

#[test]
fn a_token_expires_at_the_time_given_on_the_command_line() {
    let folder = Folder::new();
    let made = folder.ok(&["token", "add", "magang", "--expires", "90d"]);
    assert!(made.contains(" until 20"), "{made}");
    folder.ok(&["token", "add", "tetap"]);
    let list = folder.ok(&["token", "list"]);
    let lines: Vec<_> = list.lines().collect();
    assert!(
        lines[0].starts_with("magang  admin  never used  expires 20"),
        "{list}"
    );
    assert_eq!(lines[1], "tetap  admin  never used");
    for (when, says) in [
        ("besok", "write a duration such as"),
        ("90", "write a duration such as"),
        ("0d", "not in the future"),
        ("2020-01-01", "not in the future"),
        ("11w", ""),
        ("2999-01-01", "more than ten years"),
    ] {
        let output = folder
            .command(&["token", "add", when, "--expires", when])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), says.is_empty(), "{when} {said}");
        assert!(said.contains(says), "{when} {said}");
    }
}

#[tokio::test]
async fn a_token_is_made_listed_and_revoked_while_the_gateway_runs() {
    let folder = Folder::new();
    assert!(folder.ok(&["token", "list"]).contains("waviro token add"));
    assert!(
        !folder.path().join("data").exists(),
        "looking makes nothing"
    );
    let address = free_address();
    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    folder.ok(&["bot", "add", "toko"]);
    let made = folder.ok(&["token", "add", "panel"]);
    let (admin, ours) = (
        token_in(&made),
        token_in(&folder.ok(&["token", "add", "kasir", "--bot", "toko"])),
    );
    assert!(made.contains("curl") && made.contains("/v1/bots"), "{made}");
    let taken = folder.fails(&["token", "add", "panel"]);
    assert!(taken.contains("choose another name"), "{taken}");
    let nobody = folder.fails(&["token", "add", "x", "--bot", "tiko"]);
    assert!(nobody.contains("waviro bot list"), "{nobody}");
    for token in [&admin, &ours] {
        gateway
            .until("the token to see the bot", async || {
                let answer = bots_seen(address, token).await;
                (answer.contains("200 OK") && answer.contains("\"toko\""))
                    .then_some(())
                    .ok_or(answer)
            })
            .await;
    }
    let list = folder.ok(&["token", "list"]);
    let lines: Vec<_> = list.lines().collect();
    assert!(lines[0].starts_with("panel  admin  last used 20"), "{list}");
    assert!(
        lines[1].starts_with("kasir  bot toko  last used 20"),
        "{list}"
    );
    folder.ok(&["token", "revoke", "kasir"]);
    assert!(bots_seen(address, &ours).await.contains("401 Unauthorized"));
    assert!(bots_seen(address, &admin).await.contains("200 OK"));
    assert_eq!(folder.ok(&["token", "list"]).lines().count(), 1);
    let again = folder.fails(&["token", "revoke", "kasir"]);
    assert!(again.contains("waviro token list"), "{again}");
    let log = gateway.stop().await;
    for secret in [&admin, &ours] {
        assert!(!log.contains(secret.trim_start_matches("wvt_")), "{log}");
    }
}
