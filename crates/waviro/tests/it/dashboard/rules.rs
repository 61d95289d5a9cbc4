//! The pages of keyword rules, and the form for testing a text.

use waviro_testing::hooks::Hooks;

use crate::pages::Visitor;
use crate::test_app::TestApp;

pub(super) const RULES: &str = "/dashboard/bots/1/rules";

#[tokio::test]
async fn a_rule_is_made_switched_edited_and_deleted_on_its_pages() {
    let app = TestApp::online().await;
    let admin = Visitor::admin(&app).await;
    let empty = admin.page(RULES).await;
    empty.has(&["No keyword yet", "json_decode", "Add a keyword"]);
    empty.lacks(&["Try this text"]);
    let rule = [
        ("do", "add"),
        ("keyword", "<b>harga</b>"),
        ("url", "https://toko.example/hook.php"),
        ("timeout_s", "10"),
        ("groups", "1"),
    ];
    assert_eq!(admin.post(RULES, &rule).await.leads_to(), RULES);
    let list = admin.page(RULES).await;
    list.has(&[
        "https://toko.example/hook.php",
        "Private chats and groups",
        "10 s",
        "Try this text",
    ]);
    // User input is escaped everywhere.
    list.lacks(&["<b>harga</b>"]);
    let twice = admin.post(RULES, &rule).await;
    twice.refused(409);
    twice.has(&["Another rule has that keyword", "keyword_taken"]);
    assert!(twice.value_of("url").starts_with("https://toko"));
    for (fields, says) in [
        (vec![("url", "toko")], "write a complete address"),
        (vec![("url", "ftp://toko.example/")], "must start with http"),
        (vec![("url", "http://10.0.0.1/")], "outbound.allow"),
        (
            vec![("url", "https://toko.example/"), ("timeout_s", "16")],
            "The deadline is",
        ),
        (
            vec![("url", "https://toko.example/"), ("timeout_s", "soon")],
            "The deadline is",
        ),
    ] {
        let fields = [vec![("do", "add"), ("keyword", "lain")], fields].concat();
        let page = admin.post(RULES, &fields).await;
        page.refused(422);
        page.has(&[says]);
    }
    let off = [("do", "off"), ("rule", "1")];
    assert_eq!(admin.post(RULES, &off).await.leads_to(), RULES);
    admin.page(RULES).await.has(&["Switch on"]);
    let on = [("do", "on"), ("rule", "1")];
    admin.post(RULES, &on).await.leads_to();
    let one = format!("{RULES}/1");
    let page = admin.page(&one).await;
    assert_eq!(page.value_of("timeout"), "10");
    let edit = [
        ("do", "change"),
        ("keyword", "katalog"),
        ("url", "https://toko.example/katalog.php"),
        ("timeout_s", ""),
    ];
    assert_eq!(admin.post(&one, &edit).await.leads_to(), RULES);
    let list = admin.page(RULES).await;
    list.has(&["katalog.php", "the gateway&#39;s deadline"]);
    list.lacks(&["Private chats and groups", "example/hook.php"]);
    let gone = [("do", "remove")];
    assert_eq!(admin.post(&one, &gone).await.leads_to(), RULES);
    admin.page(RULES).await.has(&["No keyword yet"]);
    admin.get(&one).await.refused(404);
    let nothing = admin.post(RULES, &[("do", "dance")]).await;
    nothing.refused(400);
}

#[tokio::test]
async fn a_text_is_tested_and_only_the_separate_button_calls_the_webhook() {
    let app = TestApp::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    let admin = Visitor::admin(&app).await;
    let hooks = Hooks::start().await;
    let url = hooks.url("hook");
    let rule = [("do", "add"), ("keyword", "harga#"), ("url", url.as_str())];
    admin.post(RULES, &rule).await.leads_to();
    let text = [
        ("text", "Harga#<i>semua</i>"),
        ("from", "+62 823-8600-0000"),
    ];
    let with = |word| [vec![("do", word)], text.to_vec()].concat();
    let tried = admin.post(RULES, &with("try")).await;
    tried.shown();
    tried.has(&[
        "The keyword that wins:",
        "6282386000000",
        "webhook-signature",
    ]);
    tried.lacks(&["<i>semua</i>", "The webhook&#39;s answer"]);
    assert!(hooks.bodies().is_empty());
    hooks.answer(
        200,
        r#"{"success":true,"message":{"reply":[{"type":"message","content":"<u>Terima</u> kasih"},{"type":"tari"}]}}"#,
    );
    let asked = admin.post(RULES, &with("really")).await;
    asked.shown();
    asked.has(&["Accepted by the webhook", "HTTP 200", "kasih", "Number 2:"]);
    asked.lacks(&["<u>Terima</u>"]);
    assert_eq!(hooks.bodies().len(), 1);
    assert!(app.link().sent().is_empty());
    let none = [("do", "try"), ("text", "selamat pagi")];
    let none = admin.post(RULES, &none).await;
    none.has(&["No keyword takes it"]);
    let wrong = [("do", "try"), ("text", "harga"), ("from", "ibu")];
    let wrong = admin.post(RULES, &wrong).await;
    wrong.refused(422);
    wrong.has(&["The sender must be a number"]);
}
