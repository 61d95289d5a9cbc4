//! `/docs/openapi.json`: exact about what the gateway takes and answers.

use boon::{Compiler, Schemas};
use serde_json::{Value, json};
use waviro::docs::catalogue;

use super::get;
use crate::front::{Front, GROUP};

/// The description as it is served, to hold bodies and answers to.
pub struct Described(Value);

impl Described {
    pub async fn of(front: &Front) -> Self {
        let headers = [("Host", "127.0.0.1:8080"), ("Accept-Language", "en")];
        Self(get(front, "/docs/openapi.json", &headers).await.body)
    }

    fn operation(&self, endpoint: &str) -> &Value {
        &self.0["paths"][format!("/api/{endpoint}")]["post"]
    }

    /// Why a value is not what the schema at `pointer` (below the operation) says.
    fn fault(&self, endpoint: &str, pointer: &str, value: &Value) -> Option<String> {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler
            .add_resource("http://described/api.json", self.0.clone())
            .unwrap();
        let at = format!(
            "http://described/api.json#/paths/~1api~1{endpoint}/post/{pointer}/content/application~1json/schema"
        );
        let schema = compiler.compile(&at, &mut schemas).unwrap();
        let fault = schemas.validate(value, schema).err();
        fault.map(|fault| fault.to_string())
    }

    /// Whether the description says that this body is taken.
    fn takes(&self, endpoint: &str, body: &Value) -> bool {
        self.fault(endpoint, "requestBody", body).is_none()
    }

    /// Fails unless the description has this very answer.
    pub fn answers(&self, endpoint: &str, status: u16, body: &Value) {
        let documented = &self.operation(endpoint)["responses"][status.to_string()];
        assert!(documented.is_object(), "{endpoint} {status}: {body}");
        let fault = self.fault(endpoint, &format!("responses/{status}"), body);
        assert_eq!(fault, None, "{endpoint} {status}: {body}");
    }
}

#[tokio::test]
async fn the_description_is_the_one_that_was_reviewed() {
    let front = Front::online().await;
    for language in ["id", "en"] {
        let path = format!("/docs/openapi.json?lang={language}");
        let mut answer = get(&front, &path, &[("Host", "bot.example")]).await;
        assert_eq!(answer.headers["content-language"], language);
        assert_eq!(answer.headers["content-type"], "application/json");
        if language == "en" {
            // A release is no change of the API.
            answer.body["info"]["version"] = json!("0.0.0");
            insta::assert_json_snapshot!("openapi", answer.body);
        }
    }
}

#[tokio::test]
async fn its_paths_stand_in_the_documents_order_and_its_server_is_the_one_that_was_asked() {
    let front = Front::with(&[("server.base_path", "/bot1")]).await;
    let request = axum::http::Request::get("/bot1/docs/openapi.json")
        .header("Host", "wa.example.com")
        .header("X-Forwarded-Proto", "https");
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(front.app.router(), request).await;
    let body = axum::body::to_bytes(response.unwrap().into_body(), 1 << 20);
    let text = String::from_utf8(body.await.unwrap().to_vec()).unwrap();
    let places: Vec<Option<usize>> = catalogue::endpoints()
        .map(|endpoint| text.find(&format!("\"{}\": {{", endpoint.path())))
        .collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted());
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        document["servers"],
        json!([{"url": "https://wa.example.com/bot1"}])
    );
}

/// Bodies in every odd form that the gateway takes or refuses, without those that only WhatsApp or the network can judge.
fn bodies() -> Vec<(&'static str, Value)> {
    let (ani, group) = ("6282386000001", GROUP);
    let card = json!({"name": "Test", "numbers": ["6281240000001"]});
    let with = |mut base: Value, more: Value| {
        for (key, value) in more.as_object().unwrap() {
            base[key] = value.clone();
        }
        base
    };
    let mut all = Vec::new();
    for nohp in [
        json!(ani),
        json!(6_282_386_000_001_u64),
        json!(" 6282386000001\t"),
        json!("\u{a0}6282386000001\n"),
        json!("082386000001"),
        json!("+6282386000001"),
        json!("62 823"),
        json!("628"),
        json!(628),
        json!(0),
        json!("6282386000001234"),
        json!(6_282_386_000_001_234_u64),
        json!(-6_282_386_000_001_i64),
        json!(6.5),
        json!(true),
        json!([ani]),
        json!({}),
        json!(""),
        json!(" \u{2003}"),
        json!(null),
        json!("\u{feff}6282386000001"),
    ] {
        all.push(("checknumber", json!({"nohp": nohp})));
        all.push(("sendwa", json!({"nohp": nohp, "pesan": "a"})));
        all.push((
            "sendwatogroup",
            json!({"nohp": nohp, "groupid": group, "pesan": "a"}),
        ));
        let numbers = json!([nohp, "6281240000001"]);
        all.push((
            "sendcontact",
            json!({"nohp": ani, "contact": {"name": "a", "numbers": numbers}}),
        ));
        all.push((
            "sendcontact",
            json!({"nohp": ani, "contact": {"name": "a", "numbers": nohp}}),
        ));
    }
    for id in [
        json!(group),
        json!(format!("{group}@g.us")),
        json!(format!(" {group} ")),
        json!("6281200000001-1500000000"),
        json!(120_363_000_000_000_001_u64),
        json!("120363@c.us"),
        json!("abc"),
        json!("1-2"),
        json!(""),
        json!(null),
        json!([]),
    ] {
        all.push(("sendwatogroup", json!({"groupid": id, "pesan": "a"})));
        all.push(("sendwa", json!({"groupid": id, "nohp": ani, "pesan": "a"})));
    }
    for pesan in [
        json!("a"),
        json!(" a "),
        json!("a\nb"),
        json!(""),
        json!("  "),
        json!(null),
        json!(5),
        json!(["a"]),
        json!("a\0b"),
        json!("\0"),
        json!("\n"),
        json!("a".repeat(65_536)),
        json!("ä".repeat(65_537)),
        json!(true),
    ] {
        all.push(("sendwa", json!({"nohp": ani, "pesan": pesan})));
        all.push((
            "sendwa",
            json!({"nohp": ani, "pesan": pesan, "contact": card}),
        ));
        all.push((
            "sendlocation",
            json!({"nohp": ani, "latitude": 1, "longitude": 2, "pesan": pesan}),
        ));
        all.push((
            "sendcontact",
            json!({"nohp": ani, "contact": {"name": pesan, "numbers": ["6281240000001"]}}),
        ));
    }
    for degrees in [
        json!("0.525960"),
        json!(0.52),
        json!(-90),
        json!("-90"),
        json!("90.0"),
        json!(90.1),
        json!("90.1"),
        json!("91"),
        json!("+5"),
        json!(".5"),
        json!("5."),
        json!("007"),
        json!(" 5 "),
        json!("."),
        json!("5,2"),
        json!("abc"),
        json!("nan"),
        json!("inf"),
        json!(""),
        json!(null),
        json!(true),
        json!([]),
        json!("-"),
    ] {
        all.push((
            "sendlocation",
            json!({"nohp": ani, "latitude": degrees, "longitude": 5}),
        ));
        all.push((
            "sendlocation",
            json!({"nohp": ani, "latitude": degrees, "contact": card}),
        ));
        all.push((
            "sendlocationtogroup",
            json!({"groupid": group, "latitude": 5, "longitude": degrees}),
        ));
    }
    all.push((
        "sendlocation",
        json!({"nohp": ani, "latitude": 1, "longitude": "180.0"}),
    ));
    all.push((
        "sendlocation",
        json!({"nohp": ani, "latitude": 1, "longitude": "179.9"}),
    ));
    all.push((
        "sendlocation",
        json!({"nohp": ani, "latitude": 1, "longitude": "180.1"}),
    ));
    for url in [
        json!("https://yourdomain/your_notify_url"),
        json!("HTTP://example.com"),
        json!(" https://example.com/?a=b "),
        json!(""),
        json!(null),
        json!("halo"),
        json!("ftp://example.com/"),
        json!(5),
        json!("https://me:secret@example.com/"),
        json!("http://"),
        json!("https://example.com/a b"),
        json!(format!("https://example.com/{}", "a".repeat(2048))),
        json!("https:///"),
    ] {
        all.push((
            "sendwa",
            json!({"nohp": ani, "pesan": "a", "notifyurl": url}),
        ));
    }
    let many: Vec<String> = (0..51).map(|n| format!("62812400000{n:02}")).collect();
    for contact in [
        card.clone(),
        json!(card.to_string()),
        json!(format!("\n{card} ")),
        json!({"name": "a", "numbers": many}),
        json!({"name": "a", "numbers": many[..50]}),
        json!({"name": "a", "numbers": []}),
        json!({"name": "a"}),
        json!({}),
        json!({"numbers": ["6281240000001"]}),
        json!("Test"),
        json!([card]),
        json!(null),
        json!(""),
        json!(" "),
        json!(5),
        json!({"name": "a", "numbers": [null, "6281240000001", ""], "more": 1}),
        json!({"name": "a", "numbers": [null]}),
    ] {
        all.push(("sendcontact", json!({"nohp": ani, "contact": contact})));
        all.push((
            "sendcontacttogroup",
            json!({"groupid": group, "Contact": contact}),
        ));
        all.push((
            "sendcontact",
            json!({"nohp": ani, "contact": contact, "Contact": card}),
        ));
        all.push(("sendwa", json!({"nohp": ani, "contact": contact})));
        all.push((
            "sendwa",
            json!({"nohp": ani, "pesan": "a", "contact": contact}),
        ));
        all.push((
            "sendmedia",
            json!({"groupid": group, "contact": contact, "pesan": 5}),
        ));
        all.push((
            "sendlocation",
            json!({"nohp": ani, "contact": contact, "longitude": ""}),
        ));
    }
    let empty = json!({});
    for body in [
        empty.clone(),
        with(empty, json!({"more": 1})),
        json!([]),
        json!("a"),
        json!(null),
        json!(5),
    ] {
        for endpoint in [
            "sendwa",
            "sendmedia",
            "sendlocation",
            "sendcontact",
            "sendwatogroup",
            "checknumber",
        ] {
            all.push((endpoint, body.clone()));
        }
    }
    all
}

#[tokio::test]
async fn a_body_is_described_as_taken_exactly_where_the_gateway_takes_it() {
    let front = Front::online().await;
    let described = Described::of(&front).await;
    let mut wrong = Vec::new();
    let bodies = bodies();
    for (endpoint, body) in &bodies {
        let answer = front
            .post(&format!("/api/{endpoint}"), body.to_string())
            .await;
        let status = answer.status.as_u16();
        described.answers(endpoint, status, &answer.body);
        // What the gateway knows besides the form: who is a member of what, and what was said before.
        let code = answer.body["code"].as_str().unwrap_or_default();
        let taken = status == 200
            || code == "duplicate_message"
            || (code == "invalid_group"
                && answer.body["errorMessage"]
                    .as_str()
                    .unwrap()
                    .contains("anggota"));
        if taken != described.takes(endpoint, body) {
            let text: String = body.to_string().chars().take(200).collect();
            wrong.push(format!("{endpoint}: taken {taken}, {code}: {text}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "of {}:\n{}",
        bodies.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn every_other_refusal_is_described_too() {
    let front = Front::online().await;
    let described = Described::of(&front).await;
    let large = front.post("/api/sendwa", "a".repeat(300 * 1024)).await;
    assert_eq!(large.refusal(), (413, "body_too_large"));
    described.answers("sendwa", 413, &large.body);
    let broken = front.post("/api/checknumber", "{").await;
    described.answers("checknumber", 400, &broken.body);
    let mut last = 0;
    for _ in 0..11 {
        let request = axum::http::Request::post("/api/groups").header("SecretKey", "wrong");
        let answer = front
            .send(request.body(axum::body::Body::empty()).unwrap())
            .await;
        last = answer.status.as_u16();
        described.answers("groups", last, &answer.body);
    }
    assert_eq!(last, 429);
}
