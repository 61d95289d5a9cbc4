//! The form that sends a message.

use crate::front::Front;
use crate::pages::Visitor;

#[tokio::test]
async fn a_number_as_it_is_written_at_home_is_sent_to() {
    let front = Front::online().await;
    let admin = Visitor::admin(&front).await;
    let form = [("kind", "text"), ("to", "0813-0000-0001"), ("text", "halo")];
    let sent = admin.post("/dashboard/bots/1/send", &form).await;
    sent.shown();
    sent.has(&["&#34;nohp&#34;: &#34;6281300000001&#34;"]);
}

#[tokio::test]
async fn a_number_that_a_spreadsheet_broke_is_refused_and_never_sent_to_another() {
    let front = Front::online().await;
    let admin = Visitor::admin(&front).await;
    let send = "/dashboard/bots/1/send";
    for broken in ["6.28120000002E+12", "6.28120000002", "6281200000002.0"] {
        let text = [("kind", "text"), ("to", broken), ("text", "halo")];
        let page = admin.post(send, &text).await;
        page.refused(422);
        page.has(&["The recipient must be a number", broken]);
        let card = [
            ("kind", "contact"),
            ("to", "6281300000001"),
            ("name", "Ani"),
            ("numbers", broken),
        ];
        let page = admin.post(send, &card).await;
        page.refused(422);
        page.has(&["Give numbers with their country code"]);
    }
    assert!(front.link().sent().is_empty());
}
