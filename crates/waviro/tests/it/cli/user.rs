//! `waviro user`

use super::process::{Folder, done, failed, free_address};
use crate::wire::raw;

const PASSWORD: &str = "kata sandi yang panjang";

#[test]
fn a_user_is_made_listed_given_another_password_and_removed() {
    let folder = Folder::new();
    assert!(folder.ok(&["user", "list"]).contains("waviro user add"));
    assert!(
        !folder.path().join("data").exists(),
        "looking makes nothing"
    );
    folder.ok(&["bot", "add", "toko"]);
    let line = format!("{PASSWORD}\n");
    let add = |arguments: &[&str]| {
        let arguments = [&["user", "add"], arguments].concat();
        folder.run_with_stdin(&arguments, &line)
    };
    let made = done(&add(&["ani"]));
    assert!(
        made.contains("/dashboard") && made.contains("admin"),
        "{made}"
    );
    assert!(!made.contains(PASSWORD));
    done(&add(&["budi", "--bot", "toko"]));
    done(&add(&["citra", "--role", "viewer"]));
    assert_eq!(
        folder.ok(&["user", "list"]),
        "ani  admin\nbudi  operator of toko\ncitra  viewer\n"
    );
    let renewed = folder.run_with_stdin(&["user", "password", "budi"], "sandi lain lagi");
    assert!(done(&renewed).contains("logged out"));
    folder.ok(&["user", "remove", "citra"]);
    assert_eq!(folder.ok(&["user", "list"]).lines().count(), 2);
}

#[test]
fn an_invalid_command_is_refused_with_the_remedy() {
    let folder = Folder::new();
    folder.ok(&["bot", "add", "toko"]);
    let try_it = |arguments: &[&str], password: &str| {
        let arguments = [&["user"], arguments].concat();
        failed(&folder.run_with_stdin(&arguments, password))
    };
    for (arguments, password, says) in [
        (vec!["add", "ani"], "pendek", "at least 10"),
        (vec!["add", "ani"], "", "at least 10"),
        (vec!["add", ""], PASSWORD, "1 to 64"),
        (vec!["add", "ani", "--role", "operator"], PASSWORD, "--bot"),
        (
            vec!["add", "ani", "--role", "viewer", "--bot", "toko"],
            PASSWORD,
            "operators",
        ),
        (
            vec!["add", "ani", "--bot", "tiko"],
            PASSWORD,
            "waviro bot list",
        ),
        (vec!["password", "ani"], PASSWORD, "waviro user list"),
        (vec!["remove", "ani"], "", "waviro user list"),
    ] {
        let said = try_it(&arguments, password);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    assert!(folder.ok(&["user", "list"]).contains("No user yet"));
    done(&folder.run_with_stdin(&["user", "add", "ani"], PASSWORD));
    let taken = try_it(&["add", "ani"], PASSWORD);
    assert!(taken.contains("choose another name"), "{taken}");
    let last = try_it(&["remove", "ani"], "");
    assert!(last.contains("the last admin"), "{last}");
}

#[tokio::test]
async fn a_user_made_while_the_gateway_runs_logs_in_and_a_removed_one_is_out_at_once() {
    let folder = Folder::new();
    let address = free_address();
    let mut gateway = folder.serve(address);
    gateway.ready(address).await;
    for name in ["ani", "budi"] {
        done(&folder.run_with_stdin(&["user", "add", name], PASSWORD));
    }
    let form = format!("name=budi&password={}", PASSWORD.replace(' ', "+"));
    let login = format!(
        "POST /dashboard/login HTTP/1.1\r\nHost: {address}\r\nSec-Fetch-Site: same-origin\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{form}",
        form.len()
    );
    let answer = raw(address, &login).await;
    let (_, cookie) = answer.split_once("waviro_session=").unwrap();
    let session = cookie.split(';').next().unwrap().to_owned();
    let bots = format!(
        "GET /dashboard HTTP/1.1\r\nHost: {address}\r\nCookie: waviro_session={session}\r\nConnection: close\r\n\r\n"
    );
    let answer = raw(address, &bots).await;
    assert!(answer.contains("200 OK"), "{answer}");
    folder.ok(&["user", "remove", "budi"]);
    let answer = raw(address, &bots).await;
    assert!(answer.contains("303 See Other"), "{answer}");
    let answer = raw(address, &login).await;
    assert!(answer.contains("403 Forbidden"), "{answer}");
    let log = gateway.stop().await;
    assert!(!log.contains(PASSWORD) && !log.contains(&session), "{log}");
}
