//! Actions of a person other than plain sending: edits and reactions, choices of a business's
//! buttons, changes of groups, and calls.

use reqwest::StatusCode;
use serde_json::{Value, json};
use whatsapp_rust::prelude::{Event, wa};
use whatsapp_rust::wacore::types::call::{CallAction, IncomingCall};

use wa_sim::{GroupSetting, MediaKind, Outgoing, OutgoingMedia, SendError, Sim};

use crate::client::{DEADLINE, TestClient, plain_http};

const SHOP: &str = "6281111111111";
const BUDI: &str = "6282222222222";

/// Sends a request to the control API. Returns the status, and the JSON of the answer if there is
/// one.
async fn ask(sim: &Sim, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
    let url = format!("{}/control/{path}", sim.http_url());
    let method = method.parse().expect("a method");
    let answer = plain_http().request(method, url).json(body).send().await;
    let answer = answer.expect("answered");
    (answer.status(), answer.json().await.unwrap_or_default())
}

/// Waits for the offer of a call at the client.
async fn rung(client: &TestClient, id: &str) -> IncomingCall {
    let offer = |event: &Event| match event {
        Event::IncomingCall(call) if call.action.call_id() == id => Some(call.clone()),
        _ => None,
    };
    client.event("the call", offer).await
}

#[tokio::test]
async fn a_phone_changes_only_what_it_shows_and_what_is_its_own() {
    let sim = Sim::start().await.expect("starts");
    let (shop, budi) = (sim.phone(SHOP).await, sim.phone(BUDI).await);
    let id = budi.send_text(SHOP, "halo").await.expect("sent");
    let shown = shop.wait_for(DEADLINE, |shown| shown.id == id).await;
    shown.expect("shown");
    let edit = |of: &str| Outgoing::Edit {
        of: of.to_owned(),
        text: "hai".to_owned(),
    };
    let revoke = |of: &str| Outgoing::Revoke { of: of.to_owned() };
    let foreign = Err(SendError::NotOwn(id.clone()));
    assert_eq!(shop.send(BUDI, edit(&id)).await, foreign);
    assert_eq!(shop.send(BUDI, revoke(&id)).await, foreign);
    let unknown = Err(SendError::UnknownMessage("3A0".to_owned()));
    assert_eq!(budi.send(SHOP, edit("3A0")).await, unknown);
    let reaction = Outgoing::Reaction {
        to: "3A0".to_owned(),
        emoji: "👍".to_owned(),
    };
    assert_eq!(budi.send(SHOP, reaction).await, unknown);

    let edited = budi.send(SHOP, edit(&id)).await.expect("sent");
    let shown = shop.wait_for(DEADLINE, |shown| shown.id == edited).await;
    let shown = shown.expect("shown");
    assert_eq!((shown.kind.as_str(), shown.text.as_str()), ("edit", "hai"));
    assert_eq!(shown.fields["target_id"], json!(id));
}

#[tokio::test]
async fn everything_a_person_does_is_done_over_the_control_api() {
    let sim = Sim::start().await.expect("starts");
    let budi = sim.phone(BUDI).await;
    let (client, _) = TestClient::paired(&sim, &sim.phone(SHOP).await).await;
    let path = format!("phones/{BUDI}/send");
    let sent = async |mut body: Value| -> (String, wa::Message) {
        body["to"] = json!(SHOP);
        let (status, answer) = ask(&sim, "POST", &path, &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let id = answer["id"].as_str().expect("an id");
        (id.to_owned(), client.message(id).await)
    };
    let (first, _) = sent(json!({ "text": "halo" })).await;
    let (_, message) = sent(json!({ "reaction": { "id": first, "emoji": "👍" } })).await;
    assert_eq!(message.reaction_message.text.as_deref(), Some("👍"));
    assert_eq!(message.reaction_message.key.id.as_deref(), Some(&*first));
    let (_, message) = sent(json!({ "edit": { "id": first, "text": "hai" } })).await;
    let inner = message.edited_message.message.as_option().expect("wrapped");
    let key = &inner.protocol_message.key;
    assert_eq!(key.id.as_deref(), Some(&*first));
    let (_, message) = sent(json!({ "text": "ya", "quote": first })).await;
    let context = &message.extended_text_message.context_info;
    assert_eq!(context.stanza_id.as_deref(), Some(&*first));
    let (_, message) = sent(json!({ "revoke": first })).await;
    assert!(message.protocol_message.is_set());
    let answer = json!({ "to": "list", "id": "1", "title": "Nasi" });
    let (_, message) = sent(json!({ "answer": answer })).await;
    let title = message.list_response_message.title.as_deref();
    assert_eq!(title, Some("Nasi"));
    let card = json!({ "name": "Cici", "numbers": ["6283333333333"] });
    let (_, message) = sent(json!({ "contacts": [card, card] })).await;
    assert_eq!(message.contacts_array_message.contacts.len(), 2);
    let (_, message) = sent(json!({ "text": "rahasia", "disappearing": true })).await;
    assert!(message.ephemeral_message.is_set());
    let file = json!({ "kind": "image", "base64": "AAEC" });
    let (image, message) = sent(json!({ "media": file, "view_once": true })).await;
    assert!(message.view_once_message_v2.is_set());

    let (status, _) = ask(
        &sim,
        "DELETE",
        &format!("phones/{BUDI}/media/{image}"),
        &json!({}),
    )
    .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(budi.media(&image).await.is_none());
    let call = json!({ "to": SHOP, "video": true });
    let (status, answer) = ask(&sim, "POST", &format!("phones/{BUDI}/call"), &call).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    rung(&client, answer["id"].as_str().expect("an id")).await;

    for (path, body, expected) in [
        (
            "send",
            json!({ "to": SHOP, "edit": { "id": "3A0", "text": "x" } }),
            404,
        ),
        (
            "send",
            json!({ "to": SHOP, "text": "x", "revoke": first }),
            400,
        ),
        (
            "send",
            json!({ "to": SHOP, "answer": { "to": "quiz", "id": "1" } }),
            400,
        ),
        ("call", json!({ "video": true }), 400),
        ("call", json!({ "to": "628000" }), 404),
    ] {
        let (status, answer) = ask(&sim, "POST", &format!("phones/{BUDI}/{path}"), &body).await;
        assert_eq!(status.as_u16(), expected, "{body}: {answer}");
        assert!(answer["error"].is_string(), "{answer}");
    }
}

#[tokio::test]
async fn a_call_rings_once_and_is_off_the_queue_then() {
    let sim = Sim::start().await.expect("starts");
    let budi = sim.phone(BUDI).await;
    let (client, device) = TestClient::paired(&sim, &sim.phone(SHOP).await).await;
    let id = budi.call(SHOP, true).await.expect("rings");
    let call = rung(&client, &id).await;
    let CallAction::Offer {
        call_creator,
        caller_pn,
        is_video,
        group_jid,
        ..
    } = call.action
    else {
        panic!("no offer: {call:?}")
    };
    assert_eq!(call_creator.user, budi.lid());
    assert_eq!(caller_pn.expect("a phone number").user, BUDI);
    assert!(is_video && group_jid.is_none() && !call.offline);
    let group = sim.create_group("Team", SHOP, &[BUDI]).await;
    let id = budi.call_group(group.id(), false).await.expect("rings");
    let call = rung(&client, &id).await;
    let CallAction::Offer { group_jid, .. } = call.action else {
        panic!("no offer: {call:?}")
    };
    assert_eq!(group_jid.expect("named").user, group.id());
    // A stanza after the call is acknowledged after the call, so the empty queue proves both acks.
    let text = budi.send_text(SHOP, "tidak diangkat").await.expect("sent");
    client.message(&text).await;
    let taken = async {
        while sim.waiting(&device.id) > 0 {
            tokio::task::yield_now().await;
        }
    };
    let taken = tokio::time::timeout(DEADLINE, taken).await;
    assert!(taken.is_ok(), "{} wait", sim.waiting(&device.id));
    let strange = sim.create_group("Others", SHOP, &[]).await;
    let refused = budi.call_group(strange.id(), false).await;
    assert!(matches!(refused, Err(SendError::NotAMember { .. })));
}

#[tokio::test]
async fn admins_description_and_settings_are_shown_and_survive_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let start = async || {
        let sim = Sim::builder().data_dir(dir.path()).start().await;
        sim.expect("starts")
    };
    let sim = start().await;
    let group = sim.create_group("Team", SHOP, &[BUDI]).await;
    let path = format!("groups/{}", group.id());
    let rules = json!({ "description": "arisan", "announcement": true, "locked": true });
    let (status, answer) = ask(&sim, "PATCH", &path, &rules).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["settings"], json!(["announcement", "locked"]));
    let members = format!("{path}/members");
    let promote = json!({ "promote": [BUDI, SHOP, "628000"] });
    let (_, answer) = ask(&sim, "POST", &members, &promote).await;
    assert_eq!(answer["admins"], json!([BUDI]), "the owner is one anyway");
    let off = ask(&sim, "PATCH", &path, &json!({ "locked": false })).await;
    assert_eq!(off.1["settings"], json!(["announcement"]));
    sim.stop().await;

    let sim = start().await;
    let info = sim.find_group(group.id()).expect("kept").info();
    assert_eq!(info.description, "arisan");
    assert!(info.settings.contains(&GroupSetting::Announcement));
    assert!(info.admins.contains(BUDI));
    let (client, _) = TestClient::paired(&sim, &sim.phone(SHOP).await).await;
    let groups = client.client.groups().get_participating().await;
    let groups = groups.expect("answered");
    let shown = groups.values().next().expect("one");
    assert_eq!(shown.description.as_deref(), Some("arisan"));
    assert!(shown.is_announcement && !shown.is_locked);
    let removed = sim.remove_members(group.id(), &[BUDI]).await;
    assert_eq!(removed, Ok(vec![BUDI.to_owned()]));
    let info = sim.find_group(group.id()).expect("kept").info();
    assert!(info.admins.is_empty(), "who left is no admin");
}

#[tokio::test]
async fn a_file_that_expired_is_gone_until_the_phone_is_asked_for_it() {
    let sim = Sim::start().await.expect("starts");
    let budi = sim.phone(BUDI).await;
    let (client, _) = TestClient::paired(&sim, &sim.phone(SHOP).await).await;
    let image = OutgoingMedia::new(MediaKind::Image, &b"an image"[..]);
    let id = budi.send(SHOP, image).await.expect("sent");
    let message = client.message(&id).await;
    let image = message.image_message.as_option().expect("an image");
    assert!(budi.expire_media(&id));
    assert!(!budi.expire_media(&id), "it is gone already");
    let refused = client.client.download(image).await;
    let refused = refused.expect_err("gone").to_string();
    assert!(refused.contains("410"), "{refused}");

    let chat = sim.phone(BUDI).await.lid().to_owned();
    let chat = whatsapp_rust::Jid::lid(&*chat);
    let ask = |key| whatsapp_rust::MediaReuploadRequest {
        msg_id: &id,
        chat_jid: &chat,
        media_key: key,
        is_from_me: false,
        participant: None,
    };
    let key = image.media_key.as_deref().expect("a key");
    let answer = client.client.media_reupload().request(&ask(key)).await;
    let whatsapp_rust::MediaRetryResult::Success { direct_path } = answer.expect("answered") else {
        panic!("the phone has it")
    };
    let mut renewed = image.clone();
    renewed.direct_path = Some(direct_path);
    let bytes = client.client.download(&renewed).await;
    assert_eq!(bytes.expect("there again"), b"an image");
}
