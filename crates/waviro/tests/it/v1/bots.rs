//! `/v1/bots`

use std::time::Duration;

use serde_json::{Value, json};
use waviro_link::{DialFailure, DialStep, OfflineCause, Status, UnlinkedCause};
use waviro_testing::samples::OWN;
use waviro_web::texts::Language;
use waviro_web::unreachable::why_unreachable;

use super::ApiTest;

#[tokio::test]
async fn a_bot_is_added_with_a_key_that_works_and_is_shown_once() {
    let api = ApiTest::online().await;
    let added = api.post("/v1/bots", json!({"name": "kedua"})).await;
    assert_eq!(added.status, 201);
    assert_eq!(added.headers["location"], "/v1/bots/2");
    let key = added.body["secret_key"].as_str().unwrap();
    let bot = api.app.inner.bots().by_secret(key).await.unwrap();
    assert_eq!((bot.id(), bot.name()), (2, "kedua".to_owned()));
    let shown = api.get("/v1/bots/2").await;
    assert_eq!(shown.done(), &added.body["bot"]);
    assert!(!shown.body.to_string().contains(key));
}

#[tokio::test]
async fn a_bad_or_taken_name_is_refused_with_the_field() {
    let api = ApiTest::online().await;
    for (body, expected) in [
        (json!({"name": "toko"}), (409, "name_taken")),
        (json!({}), (422, "missing_field")),
        (json!({"name": null}), (422, "missing_field")),
        (json!({"name": ""}), (422, "invalid_field")),
        (json!({"name": "a\nb"}), (422, "invalid_field")),
        (json!({"name": "a".repeat(65)}), (422, "invalid_field")),
        (json!({"name": 7}), (422, "invalid_field")),
    ] {
        let answer = api.post("/v1/bots", body.clone()).await;
        assert_eq!(answer.problem(), expected, "{body}");
        assert_eq!(answer.body["field"], "name");
    }
    assert_eq!(
        api.post("/v1/bots", json!({"name": "é".repeat(64)}))
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn a_bot_is_found_by_its_id_and_by_its_name_and_digits_alone_are_an_id() {
    let api = ApiTest::online().await;
    api.post("/v1/bots", json!({"name": "Toko Baru/2"}))
        .await
        .done();
    api.post("/v1/bots", json!({"name": "1"})).await.done();
    for (path, id) in [
        ("1", 1),
        ("toko", 1),
        ("2", 2),
        ("Toko%20Baru%2F2", 2),
        ("3", 3),
        ("001", 1),
    ] {
        let answer = api.get(&format!("/v1/bots/{path}")).await;
        assert_eq!(answer.done()["id"], id, "{path}");
    }
    for path in [
        "4",
        "0",
        "-1",
        "99999999999999999999",
        "Toko",
        "%FF",
        "%00",
        "toko%20",
    ] {
        let answer = api.get(&format!("/v1/bots/{path}")).await;
        assert_eq!(answer.problem(), (404, "no_such_bot"), "{path}");
    }
}

#[tokio::test]
async fn a_bot_is_renamed_at_once_and_names_stay_unique() {
    let api = ApiTest::online().await;
    api.post("/v1/bots", json!({"name": "kedua"})).await.done();
    let answer = api.patch("/v1/bots/toko", json!({"name": "warung"})).await;
    assert_eq!(
        (&answer.done()["name"], &answer.body["id"]),
        (&json!("warung"), &json!(1))
    );
    assert_eq!(api.get("/v1/bots/toko").await.status, 404);
    assert_eq!(api.get("/v1/bots/warung").await.done()["id"], 1);
    assert_eq!(
        api.patch("/v1/bots/1", json!({"name": "kedua"}))
            .await
            .problem(),
        (409, "name_taken")
    );
    assert_eq!(
        api.patch("/v1/bots/1", json!({"name": " \u{7f}"}))
            .await
            .problem()
            .0,
        422
    );
    for nothing in [json!({}), json!({"name": null}), json!({"name": "warung"})] {
        assert_eq!(
            api.patch("/v1/bots/1", nothing).await.done()["name"],
            "warung"
        );
    }
    // The bot's key is unchanged.
    assert_eq!(api.app.post("/api/getqr", "").await.status, 200);
}

#[tokio::test]
async fn a_removed_bot_is_404_its_key_is_refused_and_its_device_is_logged_out() {
    let api = ApiTest::online().await;
    assert_eq!(api.delete("/v1/bots/1").await.status, 202);
    assert_eq!(api.get("/v1/bots/1").await.problem(), (404, "no_such_bot"));
    assert_eq!(
        api.delete("/v1/bots/1").await.problem(),
        (404, "no_such_bot")
    );
    assert_eq!(
        api.get("/v1/bots").await.done(),
        &json!({"data": [], "next": null})
    );
    assert_eq!(
        api.app.post("/api/getqr", "").await.refusal(),
        (400, "invalid_secret_key")
    );
    api.app
        .pass_until(async {
            while api.app.connector.link(1).is_some() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    // The name is free again, but the id is not reused.
    let again = api.post("/v1/bots", json!({"name": "toko"})).await;
    assert_eq!(again.done()["bot"]["id"], 2);
}

#[tokio::test]
async fn a_bot_shows_its_identity_and_its_state() {
    let api = ApiTest::online().await;
    let bot = api.get("/v1/bots/1").await.done().clone();
    assert_eq!(bot["number"], OWN);
    assert_eq!(
        (&bot["state"], &bot["cause"]),
        (&json!("online"), &Value::Null)
    );
    assert_eq!(bot["created_at"], "2023-03-15T03:02:10Z");
    let health = &bot["health"];
    assert_eq!(
        (&health["healthy"], &health["connected"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(health["since"], "2023-03-15T03:02:10Z");
    assert_eq!(
        (&health["pending"], &health["oldest_pending_s"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(
        (&health["last_server_ack"], &health["last_inbound"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn health_follows_the_link_and_says_what_to_do() {
    let api = ApiTest::online().await;
    let link = api.app.link();
    let state = async || {
        let bot = api.get("/v1/bots/1").await.done().clone();
        assert_eq!(bot["health"]["healthy"], bot["state"] == "online", "{bot}");
        assert_eq!(
            bot["health"]["connected"],
            bot["state"] == "online",
            "{bot}"
        );
        bot
    };
    api.app.clock.advance(Duration::from_secs(5));
    let reconnecting = Status::Reconnecting {
        cause: OfflineCause::Ended("the socket closed".to_owned()),
    };
    for status in [
        reconnecting,
        Status::Replaced,
        Status::ClientOutdated,
        Status::PasskeyAsked,
        Status::Linking { qr: None },
        Status::Unreachable(DialFailure::TlsUnknownCa),
        Status::Reconnecting {
            cause: DialFailure::Silent(DialStep::Tcp).into(),
        },
        Status::Banned {
            reason: "spam".to_owned(),
            until: None,
        },
        Status::Unlinked(UnlinkedCause::Never),
        Status::Unlinked(UnlinkedCause::CodesUsedUp),
        Status::Unlinked(UnlinkedCause::LoggedOut("by the phone".to_owned())),
        Status::Unlinked(UnlinkedCause::PairingFailed("no answer".to_owned())),
        Status::Online,
    ] {
        link.set_status(status.clone());
        let bot = state().await;
        assert_eq!(bot["state"], status.word());
        let reason = bot["health"]["reason"].as_str().unwrap();
        assert!(reason.ends_with('.') && reason.len() > 20, "{reason}");
        if status != Status::Online {
            assert_eq!(bot["health"]["last_online"], "2023-03-15T03:02:15Z");
            assert_eq!(bot["health"]["since"], Value::Null);
        }
    }
    link.set_status(Status::Reconnecting {
        cause: OfflineCause::Ended("the socket closed".to_owned()),
    });
    assert_eq!(state().await["cause"], "the socket closed");
}

#[tokio::test]
async fn a_bot_that_cannot_reach_whatsapp_says_why_in_its_health_and_as_a_code() {
    let api = ApiTest::online().await;
    let link = api.app.link();
    for failure in DialFailure::samples() {
        let down = Status::Reconnecting {
            cause: failure.clone().into(),
        };
        for status in [down, Status::Unreachable(failure.clone())] {
            link.set_status(status);
            let bot = api.get("/v1/bots/1").await.done().clone();
            assert_eq!(bot["cause_code"], failure.code());
            assert_eq!(bot["cause"], failure.to_string());
            let reason = bot["health"]["reason"].as_str().unwrap();
            let why = why_unreachable(&failure, Language::English);
            assert!(reason.contains(why), "{reason}");
        }
    }
    link.set_status(Status::Online);
    assert_eq!(
        api.get("/v1/bots/1").await.done()["cause_code"],
        Value::Null
    );
}

#[tokio::test]
async fn a_link_without_server_acks_is_unhealthy_even_if_it_is_online() {
    let api = ApiTest::online().await;
    let health = async || api.get("/v1/bots/1").await.done()["health"].clone();
    api.app
        .sendwa(json!({"nohp": "6282386000001", "pesan": "satu"}))
        .await
        .message();
    api.app
        .pass_until(async {
            while health().await["last_server_ack"] == Value::Null {
                tokio::task::yield_now().await;
            }
        })
        .await;
    api.app.link().keep_silent();
    api.app
        .sendwa(json!({"nohp": "6282386000001", "pesan": "dua"}))
        .await
        .message();
    let waiting = health().await;
    assert_eq!(
        (&waiting["pending"], &waiting["healthy"]),
        (&json!(1), &json!(true))
    );
    api.app.clock.advance(Duration::from_secs(125));
    let stuck = health().await;
    assert_eq!(stuck["healthy"], false, "{stuck}");
    assert!(stuck["oldest_pending_s"].as_i64().unwrap() >= 125);
    assert!(
        stuck["reason"]
            .as_str()
            .unwrap()
            .contains("accepted no message")
    );
}

#[tokio::test]
async fn a_bot_that_was_never_linked_has_no_number_and_was_never_online() {
    let api = ApiTest::unlinked().await;
    let bot = api.get("/v1/bots/1").await.done().clone();
    assert_eq!(
        (&bot["number"], &bot["account_name"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(bot["health"]["last_online"], Value::Null);
    assert_eq!(bot["state"], "unlinked");
}

#[tokio::test]
async fn a_name_that_is_blank_or_resembles_a_used_one_is_refused_for_bots_users_and_tokens() {
    let api = ApiTest::online().await;
    let body = |path: &str, name: &str| match path {
        "/v1/users" => {
            json!({"name": name, "password": "kata sandi yang panjang", "role": "viewer"})
        }
        "/v1/tokens" => json!({"name": name, "role": "admin"}),
        _ => json!({"name": name}),
    };
    for path in ["/v1/bots", "/v1/users", "/v1/tokens"] {
        for blank in [
            " ",
            "\u{200b}",
            "\u{3164}\u{2800}",
            "\u{202e}\u{2066} \u{feff}",
        ] {
            let answer = api.post(path, body(path, blank)).await;
            assert_eq!(
                answer.problem_and_field(),
                (422, "invalid_field", "name"),
                "{path} {blank:?}"
            );
        }
        assert_eq!(api.post(path, body(path, "kafé baru")).await.status, 201);
        for alike in [
            "kafe\u{301} baru",
            "kafé\u{200b} baru",
            " kafé\u{a0}baru ",
            "ｋａｆé baru",
            "\u{202e}kafé baru\u{202c}",
        ] {
            let answer = api.post(path, body(path, alike)).await;
            assert_eq!(answer.problem(), (409, "name_taken"), "{path} {alike:?}");
        }
        // A difference in case is visible, so the name is allowed.
        assert_eq!(api.post(path, body(path, "Kafé baru")).await.status, 201);
    }
    let alike = json!({"name": "kafé\u{2060} baru"});
    let renamed = api.patch("/v1/bots/1", alike).await;
    assert_eq!(renamed.problem(), (409, "name_taken"));
}

#[tokio::test]
async fn a_name_is_stored_without_bidirectional_controls_and_found_in_any_unicode_form() {
    let api = ApiTest::online().await;
    let named = json!({"name": "\u{2067}kafe\u{301}\u{202e}txt "});
    let made = api.post("/v1/bots", named).await;
    assert_eq!(made.done()["bot"]["name"], "kafétxt");
    let found = api.get("/v1/bots/kafe%CC%81txt").await;
    assert_eq!(found.done()["name"], "kafétxt");
    let renamed = api
        .patch("/v1/bots/2", json!({"name": "a\u{200f}b 👩\u{200d}🍳"}))
        .await;
    assert_eq!(renamed.done()["name"], "ab 👩\u{200d}🍳");
}
