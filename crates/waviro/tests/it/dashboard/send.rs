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
