//! Request bodies in every unusual form, accepted or refused. Bodies are left out if only WhatsApp
//! or the network decides about them.

use serde_json::{Value, json};
use waviro_testing::samples::GROUP;

/// An endpoint with a body.
pub type Sent = (&'static str, Value);

const ANI: &str = "6282386000001";

pub fn all() -> Vec<Sent> {
    [
        numbers(),
        groups(),
        texts(),
        places(),
        urls(),
        contacts(),
        bare(),
    ]
    .concat()
}

fn card() -> Value {
    json!({"name": "Test", "numbers": ["6281240000001"]})
}

fn numbers() -> Vec<Sent> {
    let texts = [
        ANI,
        " 6282386000001\t",
        "\u{a0}6282386000001\n",
        "\u{feff}6282386000001",
        "082386000001",
        "+6282386000001",
        "62 823",
        "628",
        "6282386000001234",
        "",
        " \u{2003}",
    ];
    let others = json!([
        6_282_386_000_001_u64,
        628,
        0,
        6_282_386_000_001_234_u64,
        -6_282_386_000_001_i64,
        6.5,
        true,
        [ANI],
        {},
        null
    ]);
    let in_every_place = |nohp: Value| {
        let of =
            |numbers: Value| json!({"nohp": ANI, "contact": {"name": "a", "numbers": numbers}});
        [
            ("checknumber", json!({"nohp": nohp})),
            ("sendwa", json!({"nohp": nohp, "pesan": "a"})),
            (
                "sendwatogroup",
                json!({"nohp": nohp, "groupid": GROUP, "pesan": "a"}),
            ),
            ("sendcontact", of(json!([nohp, "6281240000001"]))),
            ("sendcontact", of(nohp)),
        ]
    };
    either(&texts, &others).flat_map(in_every_place).collect()
}

fn groups() -> Vec<Sent> {
    let (whole, blanks) = (format!("{GROUP}@g.us"), format!(" {GROUP} "));
    let texts = [
        GROUP,
        &whole,
        &blanks,
        "6281200000001-1500000000",
        "120363@c.us",
        "abc",
        "1-2",
        "",
    ];
    let in_both_places = |id: Value| {
        [
            ("sendwatogroup", json!({"groupid": id, "pesan": "a"})),
            ("sendwa", json!({"groupid": id, "nohp": ANI, "pesan": "a"})),
        ]
    };
    let others = json!([120_363_000_000_000_001_u64, null, []]);
    either(&texts, &others).flat_map(in_both_places).collect()
}

fn texts() -> Vec<Sent> {
    let (longest, too_long) = ("a".repeat(65_536), "\u{e4}".repeat(65_537));
    let texts = [
        "a", " a ", "a\nb", "", "  ", "a\0b", "\0", "\n", &longest, &too_long,
    ];
    let in_every_place = |pesan: Value| {
        let place = json!({"nohp": ANI, "latitude": 1, "longitude": 2, "pesan": pesan});
        let named = json!({"name": pesan, "numbers": ["6281240000001"]});
        [
            ("sendwa", json!({"nohp": ANI, "pesan": pesan})),
            (
                "sendwa",
                json!({"nohp": ANI, "pesan": pesan, "contact": card()}),
            ),
            ("sendlocation", place),
            ("sendcontact", json!({"nohp": ANI, "contact": named})),
        ]
    };
    let others = json!([null, 5, ["a"], true]);
    either(&texts, &others).flat_map(in_every_place).collect()
}

fn places() -> Vec<Sent> {
    let texts = [
        "0.525960", "-90", "90.0", "90.1", "91", "+5", ".5", "5.", "007", " 5 ", ".", "5,2", "abc",
        "nan", "inf", "", "-", "179.9", "180.0", "180.1",
    ];
    let others = json!([0.52, -90, 90.1, 180, -180.5, null, true, []]);
    let in_every_place = |degrees: Value| {
        let group = json!({"groupid": GROUP, "latitude": 5, "longitude": degrees});
        [
            (
                "sendlocation",
                json!({"nohp": ANI, "latitude": degrees, "longitude": 5}),
            ),
            (
                "sendlocation",
                json!({"nohp": ANI, "latitude": degrees, "contact": card()}),
            ),
            ("sendlocationtogroup", group),
        ]
    };
    either(&texts, &others).flat_map(in_every_place).collect()
}

fn urls() -> Vec<Sent> {
    let long = format!("https://example.com/{}", "a".repeat(2048));
    let texts = [
        "https://yourdomain/your_notify_url",
        "HTTP://example.com",
        " https://example.com/?a=b ",
        "https://example.com/a b",
        "",
        "halo",
        "ftp://example.com/",
        "https://me:secret@example.com/",
        "http://",
        "https:///",
        &long,
    ];
    let sent = |url| {
        (
            "sendwa",
            json!({"nohp": ANI, "pesan": "a", "notifyurl": url}),
        )
    };
    either(&texts, &json!([null, 5])).map(sent).collect()
}

fn contacts() -> Vec<Sent> {
    let many: Vec<String> = (0..51).map(|n| format!("62812400000{n:02}")).collect();
    let (text, blanks) = (card().to_string(), format!("\n{} ", card()));
    let texts = [&text, &blanks, "Test", "{", "[]", "", " "];
    let others = json!([
        card(),
        {"name": "a", "numbers": many},
        {"name": "a", "numbers": many[..50]},
        {"name": "a", "numbers": []},
        {"name": "a", "numbers": [null]},
        {"name": "a", "numbers": [null, "6281240000001", ""], "more": 1},
        {"name": "a"},
        {"numbers": ["6281240000001"]},
        {},
        [card()],
        null,
        5,
    ]);
    let in_every_place = |contact: Value| {
        [
            ("sendcontact", json!({"nohp": ANI, "contact": contact})),
            (
                "sendcontacttogroup",
                json!({"groupid": GROUP, "Contact": contact}),
            ),
            (
                "sendcontact",
                json!({"nohp": ANI, "contact": contact, "Contact": card()}),
            ),
            ("sendwa", json!({"nohp": ANI, "contact": contact})),
            (
                "sendwa",
                json!({"nohp": ANI, "pesan": "a", "contact": contact}),
            ),
            (
                "sendmedia",
                json!({"groupid": GROUP, "contact": contact, "pesan": 5}),
            ),
            (
                "sendlocation",
                json!({"nohp": ANI, "contact": contact, "longitude": ""}),
            ),
        ]
    };
    either(&texts, &others).flat_map(in_every_place).collect()
}

fn bare() -> Vec<Sent> {
    let bodies = [
        json!({}),
        json!({"more": 1}),
        json!([]),
        json!("a"),
        json!(null),
        json!(5),
    ];
    let endpoints = [
        "sendwa",
        "sendmedia",
        "sendlocation",
        "sendcontact",
        "sendwatogroup",
        "checknumber",
    ];
    let to_all = |body: Value| endpoints.map(|endpoint| (endpoint, body.clone()));
    bodies.into_iter().flat_map(to_all).collect()
}

fn either(texts: &[&str], others: &Value) -> impl Iterator<Item = Value> {
    let texts: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
    texts.into_iter().chain(others.as_array().unwrap().clone())
}
