//! `/v1/users`, and the permissions of each role for the requests of the dashboard.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use waviro_store::UserRole;
use waviro_web::v1::auth::Caller;

use super::ApiTest;
use crate::pages::NOWHERE;
use crate::test_app::Answer;

const PASSWORD: &str = "kata sandi yang panjang";

fn user(name: &str, role: &str) -> Value {
    json!({"name": name, "password": PASSWORD, "role": role})
}

/// Sends a request as the dashboard does for a user with this role; the gateway itself vouches for
/// the user.
async fn as_user(api: &ApiTest, role: UserRole, method: Method, path: &str, body: &str) -> Answer {
    let caller = Caller::new(role.into(), "a session");
    let request = Request::builder().method(method).uri(path);
    let request = request.extension(caller).body(Body::from(body.to_owned()));
    api.app.send(request.unwrap()).await
}

#[tokio::test]
async fn a_user_is_created_shown_changed_and_removed_and_the_password_is_never_shown() {
    let api = ApiTest::online().await;
    assert_eq!(api.get("/v1/users").await.done()["data"], json!([]));
    let mut body = user("ani", "admin");
    body["colour"] = json!("red");
    let made = api.post("/v1/users", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.headers["location"], "/v1/users/1");
    let expected = json!({
        "id": 1, "name": "ani", "role": "admin", "bots": [], "created_at": "2023-03-15T03:02:10Z",
    });
    assert_eq!(made.body, expected);
    assert_eq!(api.get("/v1/users/1").await.done(), &expected);
    let mut body = user("budi", "operator");
    body["bots"] = json!([1, 1]);
    let made = api.post("/v1/users", body).await;
    assert_eq!(made.done()["bots"], json!([1]));
    let list = api.get("/v1/users").await;
    assert_eq!(list.done()["data"].as_array().unwrap().len(), 2);
    assert!(!list.body.to_string().contains("argon2"), "{list:?}");
    let next = api.get("/v1/users?limit=1").await.done()["next"].clone();
    let path = format!("/v1/users?limit=1&cursor={}", next.as_str().unwrap());
    let second = api.get(&path).await;
    assert_eq!(second.done()["data"][0]["name"], "budi");
    assert_eq!(second.body["next"], Value::Null);
    // Absent and null fields stay unchanged.
    for nothing in [
        json!({}),
        json!({"role": null, "password": null, "bots": null}),
    ] {
        let same = api.patch("/v1/users/2", nothing).await;
        assert_eq!(same.done()["role"], "operator");
        assert_eq!(same.body["bots"], json!([1]));
    }
    let viewer = api.patch("/v1/users/2", json!({"role": "viewer"})).await;
    assert_eq!(viewer.done()["role"], "viewer");
    assert_eq!(viewer.body["bots"], json!([]));
    let renewed = json!({"password": "kata sandi yang baru"});
    let renewed = api.patch("/v1/users/2", renewed).await;
    assert_eq!(renewed.done()["role"], "viewer");
    assert_eq!(api.delete("/v1/users/2").await.status, 204);
    for gone in [
        api.get("/v1/users/2").await,
        api.delete("/v1/users/2").await,
        api.patch("/v1/users/2", json!({"role": "admin"})).await,
    ] {
        assert_eq!(gone.problem(), (404, "no_such_thing"));
    }
    // The name is free again, but the id is not reused.
    let again = api.post("/v1/users", user("budi", "viewer")).await;
    assert_eq!(again.done()["id"], 3);
}

#[tokio::test]
async fn an_invalid_user_is_refused_with_the_field() {
    let api = ApiTest::online().await;
    let with = |field: &str, value: Value| {
        let mut body = user("ani", "admin");
        body[field] = value;
        body
    };
    let operator = |bots: Value| {
        let mut body = user("ani", "operator");
        body["bots"] = bots;
        body
    };
    for (body, field) in [
        (with("name", Value::Null), "name"),
        (with("name", json!("")), "name"),
        (with("name", json!("a\nb")), "name"),
        (with("name", json!("n".repeat(65))), "name"),
        (with("password", Value::Null), "password"),
        (with("password", json!("pendek 99")), "password"),
        (with("password", json!("p".repeat(1025))), "password"),
        (with("password", json!(1_234_567_890)), "password"),
        (with("role", Value::Null), "role"),
        (with("role", json!("Admin")), "role"),
        (with("role", json!("bot")), "role"),
        (with("bots", json!([1])), "bots"),
        (operator(Value::Null), "bots"),
        (operator(json!("toko")), "bots"),
        (operator(json!(["toko"])), "bots"),
        (operator(json!([0])), "bots"),
        (operator(json!([1, 9])), "bots"),
    ] {
        let answer = api.post("/v1/users", body.clone()).await;
        assert_eq!(answer.problem().0, 422, "{body}");
        assert_eq!(answer.body["field"], field, "{body}");
    }
    assert_eq!(api.get("/v1/users").await.done()["data"], json!([]));
    api.post("/v1/users", user("ani", "admin")).await.done();
    let taken = api.post("/v1/users", user("ani", "viewer")).await;
    assert_eq!(taken.problem(), (409, "name_taken"));
    api.post("/v1/users", user("budi", "viewer")).await.done();
    for (body, field) in [
        (json!({"role": "king"}), "role"),
        (json!({"role": "operator"}), "bots"),
        (json!({"role": "operator", "bots": [9]}), "bots"),
        (json!({"bots": [1]}), "bots"),
        (json!({"password": "pendek"}), "password"),
    ] {
        let answer = api.patch("/v1/users/2", body.clone()).await;
        assert_eq!(answer.problem().0, 422, "{body}");
        assert_eq!(answer.body["field"], field, "{body}");
    }
    for id in ["0", "9", "-1", "ani", "99999999999999999999", "%FF", "+1"] {
        let answer = api.get(&format!("/v1/users/{id}")).await;
        assert_eq!(answer.problem(), (404, "no_such_thing"), "{id}");
    }
}

#[tokio::test]
async fn the_last_admin_stays_an_admin_and_stays() {
    let api = ApiTest::online().await;
    api.post("/v1/users", user("ani", "admin")).await.done();
    let demoted = json!({"role": "viewer"});
    for refused in [
        api.delete("/v1/users/1").await,
        api.patch("/v1/users/1", demoted.clone()).await,
    ] {
        assert_eq!(refused.problem(), (409, "last_admin"));
    }
    api.post("/v1/users", user("budi", "admin")).await.done();
    let demoted = api.patch("/v1/users/1", demoted).await;
    assert_eq!(demoted.done()["role"], "viewer");
    assert_eq!(api.delete("/v1/users/1").await.status, 204);
    let last = api.delete("/v1/users/2").await;
    assert_eq!(last.problem(), (409, "last_admin"));
}

#[tokio::test]
async fn users_are_for_admins_alone() {
    let api = ApiTest::online().await;
    api.post("/v1/users", user("ani", "admin")).await.done();
    let token = api.token_of(1).await;
    let all = [
        (Method::GET, "/v1/users", ""),
        (Method::POST, "/v1/users", "{}"),
        (Method::GET, "/v1/users/1", ""),
        (Method::PATCH, "/v1/users/1", "{}"),
        (Method::DELETE, "/v1/users/1", ""),
    ];
    for (method, path, body) in all {
        let what = format!("{method} {path}");
        let answer = api.ask(method.clone(), path, &token, body.into()).await;
        assert_eq!(answer.problem(), (403, "admin_only"), "{what}");
        let operator = UserRole::Operator(vec![1]);
        let answer = as_user(&api, operator, method.clone(), path, body).await;
        assert_eq!(answer.problem(), (403, "admin_only"), "{what}");
        let answer = as_user(&api, UserRole::Viewer, method, path, body).await;
        assert_eq!(answer.problem().0, 403, "{what}");
    }
    assert_eq!(api.get("/v1/users/1").await.done()["name"], "ani");
}

#[tokio::test]
async fn a_viewer_sees_every_bot_changes_nothing_and_sees_no_secret() {
    let api = ApiTest::online().await;
    api.post("/v1/bots", json!({"name": "warung"})).await.done();
    let rule = json!({"keyword": "harga", "url": "https://toko.example/"});
    api.post("/v1/bots/1/rules", rule).await.done();
    let ask = async |method, path: &str| as_user(&api, UserRole::Viewer, method, path, "{}").await;
    let bots = ask(Method::GET, "/v1/bots").await;
    assert_eq!(bots.done()["data"].as_array().unwrap().len(), 2);
    for path in [
        "rules/1",
        "settings",
        "keys",
        "subscriptions",
        "deliveries",
        "messages",
    ] {
        let answer = ask(Method::GET, &format!("/v1/bots/1/{path}")).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    for secret in ["webhook-key", "signing-secret"] {
        let answer = ask(Method::GET, &format!("/v1/bots/1/{secret}")).await;
        assert_eq!(answer.problem(), (403, "read_only"), "{secret}");
    }
    // Every method except GET is refused.
    for (method, path) in api.operations() {
        if method == Method::GET || path.starts_with("/v1/media/") {
            continue;
        }
        let answer = ask(method.clone(), &path).await;
        assert_eq!(answer.problem(), (403, "read_only"), "{method} {path}");
    }
    assert_eq!(api.get("/v1/bots/1").await.done()["name"], "toko");
}

#[tokio::test]
async fn an_operator_does_everything_with_its_bots_and_other_bots_are_404() {
    let api = ApiTest::online().await;
    for name in ["warung", "kafe"] {
        api.post("/v1/bots", json!({"name": name})).await.done();
    }
    let ask = async |method, path: &str, body: &str| {
        as_user(&api, UserRole::Operator(vec![1, 3]), method, path, body).await
    };
    let bots = ask(Method::GET, "/v1/bots", "").await;
    let bots = bots.done()["data"].as_array().unwrap();
    let names: Vec<_> = bots.iter().map(|bot| bot["name"].as_str()).collect();
    assert_eq!(names, [Some("toko"), Some("kafe")]);
    for path in [
        "/v1/bots/2",
        "/v1/bots/warung/rules",
        "/v1/bots/2/webhook-key",
    ] {
        let answer = ask(Method::GET, path, "").await;
        assert_eq!(answer.problem(), (404, "no_such_bot"), "{path}");
    }
    let rule = r#"{"keyword":"harga","url":"https://toko.example/"}"#;
    let added = ask(Method::POST, "/v1/bots/3/rules", rule).await;
    assert_eq!(added.status, 201, "{added:?}");
    let foreign = ask(Method::POST, "/v1/bots/2/rules", rule).await;
    assert_eq!(foreign.problem(), (404, "no_such_bot"));
    let rotated = ask(Method::POST, "/v1/bots/1/keys/rotate", "").await;
    assert!(rotated.done()["secret_key"].is_string());
    assert_eq!(
        ask(Method::GET, "/v1/bots/1/webhook-key", "").await.status,
        200
    );
    for (method, path, body) in [
        (Method::POST, "/v1/bots", r#"{"name":"baru"}"#),
        (Method::DELETE, "/v1/bots/1", ""),
        (Method::GET, "/v1/tokens", ""),
        (
            Method::PATCH,
            "/v1/bots/1/settings",
            r#"{"allow":["10.0.0.5"]}"#,
        ),
    ] {
        let answer = ask(method.clone(), path, body).await;
        assert_eq!(answer.problem(), (403, "admin_only"), "{method} {path}");
    }
}

#[tokio::test]
async fn a_user_changes_the_own_password_only_with_the_old_password() {
    let api = ApiTest::online().await;
    api.post("/v1/users", user("ani", "admin")).await.done();
    api.post("/v1/users", user("budi", "viewer")).await.done();
    let ani = Caller::new(UserRole::Admin.into(), "a session").logged_in_as(1);
    let change = async |id: i64, body: Value| {
        let request = Request::patch(format!("/v1/users/{id}")).extension(ani.clone());
        let request = request.body(Body::from(body.to_string())).unwrap();
        api.app.send(request).await
    };
    let new = "kata sandi yang baru";
    for (body, code) in [
        (json!({ "password": new }), "missing_field"),
        (
            json!({"password": new, "old_password": null}),
            "missing_field",
        ),
        (
            json!({"password": new, "old_password": ""}),
            "invalid_field",
        ),
        (
            json!({"password": new, "old_password": "salah sekali"}),
            "invalid_field",
        ),
        (
            json!({"password": new, "old_password": new}),
            "invalid_field",
        ),
    ] {
        let refused = change(1, body.clone()).await;
        assert_eq!(
            refused.problem_and_field(),
            (422, code, "old_password"),
            "{body}"
        );
    }
    let users = api.app.inner.users();
    assert_eq!(
        users.knows(NOWHERE, "ani", PASSWORD).await.unwrap(),
        Some(1)
    );
    // Changes without a password need no old password, and changes to other users neither.
    change(1, json!({"role": "admin"})).await.done();
    change(2, json!({ "password": new })).await.done();
    let right = json!({"password": new, "old_password": PASSWORD});
    change(1, right).await.done();
    assert_eq!(users.knows(NOWHERE, "ani", new).await.unwrap(), Some(1));
    // A token belongs to no user, so it needs no old password.
    let token = json!({ "password": PASSWORD });
    api.patch("/v1/users/1", token).await.done();
}
