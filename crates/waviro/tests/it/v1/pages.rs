//! Pagination of lists.

use serde_json::{Value, json};

use super::ApiTest;

/// Returns the ids of each page of `list`.
async fn pages(api: &ApiTest, list: &str, limit: usize) -> Vec<Vec<i64>> {
    let (mut pages, mut path) = (Vec::new(), format!("{list}?limit={limit}"));
    loop {
        let page = api.get(&path).await.done().clone();
        let data = page["data"].as_array().unwrap();
        pages.push(data.iter().map(|row| row["id"].as_i64().unwrap()).collect());
        match &page["next"] {
            Value::Null => return pages,
            next => path = format!("{list}?limit={limit}&cursor={}", next.as_str().unwrap()),
        }
    }
}

#[tokio::test]
async fn every_row_is_on_one_page_and_the_last_page_says_so() {
    let api = ApiTest::online().await;
    for n in 2..=5 {
        api.post("/v1/bots", json!({"name": format!("bot {n}")}))
            .await
            .done();
        let token = json!({"name": format!("token {n}"), "role": "admin"});
        api.post("/v1/tokens", token).await.done();
    }
    for list in ["/v1/bots", "/v1/tokens"] {
        assert_eq!(
            pages(&api, list, 2).await,
            [vec![1, 2], vec![3, 4], vec![5]],
            "{list}"
        );
        assert_eq!(pages(&api, list, 5).await, [vec![1, 2, 3, 4, 5]], "{list}");
        assert_eq!(pages(&api, list, 100).await.len(), 1, "{list}");
    }
}

#[tokio::test]
async fn rows_that_come_and_go_between_pages_neither_repeat_nor_hide_others() {
    let api = ApiTest::online().await;
    for n in 2..=4 {
        api.post("/v1/bots", json!({"name": format!("bot {n}")}))
            .await
            .done();
    }
    let first = api.get("/v1/bots?limit=2").await.done().clone();
    api.delete("/v1/bots/2").await;
    api.post("/v1/bots", json!({"name": "baru"})).await.done();
    let next = first["next"].as_str().unwrap();
    let second = api
        .get(&format!("/v1/bots?cursor={next}"))
        .await
        .done()
        .clone();
    let ids: Vec<_> = second["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["id"])
        .collect();
    assert_eq!(ids, [3, 4, 5]);
}

#[tokio::test]
async fn an_invalid_limit_or_cursor_is_refused_with_its_name() {
    let api = ApiTest::online().await;
    api.post("/v1/bots", json!({"name": "kedua"})).await.done();
    let next = api.get("/v1/bots?limit=1").await.done()["next"].clone();
    let next = next.as_str().unwrap();
    for limit in [
        "0",
        "101",
        "-1",
        "+5",
        "x",
        "",
        "1.0",
        "99999999999999999999",
    ] {
        for list in ["/v1/bots", "/v1/tokens"] {
            let answer = api.get(&format!("{list}?limit={limit}")).await;
            assert_eq!(
                answer.problem_and_field(),
                (422, "invalid_field", "limit"),
                "{limit}"
            );
        }
    }
    let tampered = format!("{next}x");
    for (list, cursor) in [
        ("bots", "x"),
        ("bots", ""),
        ("bots", "1"),
        ("bots", &tampered),
        ("tokens", next),
    ] {
        let answer = api.get(&format!("/v1/{list}?cursor={cursor}")).await;
        assert_eq!(
            answer.problem_and_field(),
            (422, "invalid_field", "cursor"),
            "{cursor}"
        );
    }
}
