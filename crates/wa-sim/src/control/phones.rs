//! `/control/phones`: add, list, scan, read, change settings. The inbox is in `messages`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::request::{ApiError, Body, Named};
use crate::number::digits;
use crate::phone::Phone;
use crate::sim::Sim;
use crate::world::account::PhoneSpec;
use crate::world::companion::DeviceInfo;
use crate::world::habits::Receipts;
use crate::world::pairings::ScanError;

#[derive(Deserialize)]
pub(super) struct NewPhone {
    number: String,
    name: Option<String>,
    lid_migrated: Option<bool>,
}

/// `POST /control/phones {"number","name"[,"lid_migrated"]}`: 201 for a new phone, 200 for an
/// existing phone.
pub(super) async fn add(
    State(sim): State<Sim>,
    Body(new): Body<NewPhone>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let number = digits(&new.number);
    if !(5..=15).contains(&number.len()) {
        return Err(ApiError::bad_request(
            "number must have 5 to 15 digits and start with the country code, for example 6281234567890",
        ));
    }
    let status = if sim.find_phone(&number).is_some() {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let name = new.name.unwrap_or_else(|| number.clone());
    let phone = sim
        .add_phone(PhoneSpec::new(number, name).lid_migrated(new.lid_migrated.unwrap_or(true)))
        .await;
    Ok((status, Json(show(&phone))))
}

/// `GET /control/phones`.
pub(super) async fn list(State(sim): State<Sim>) -> Json<Vec<Value>> {
    Json(sim.phones().await.iter().map(show).collect())
}

#[derive(Deserialize)]
pub(super) struct Scan {
    qr: String,
}

/// `POST /control/phones/{n}/scan {"qr"}`: the new device.
pub(super) async fn scan(
    State(sim): State<Sim>,
    Named(number): Named,
    Body(scan): Body<Scan>,
) -> Result<Json<Value>, ApiError> {
    linked(find(&sim, &number)?.scan(&scan.qr).await)
}

#[derive(Deserialize)]
pub(super) struct Code {
    code: String,
}

/// `POST /control/phones/{n}/enter-code {"code"}`: the new device.
pub(super) async fn enter_code(
    State(sim): State<Sim>,
    Named(number): Named,
    Body(code): Body<Code>,
) -> Result<Json<Value>, ApiError> {
    linked(find(&sim, &number)?.enter_code(&code.code).await)
}

fn linked(outcome: Result<DeviceInfo, ScanError>) -> Result<Json<Value>, ApiError> {
    match outcome {
        Ok(device) => Ok(Json(json!(device))),
        Err(error @ ScanError::Unreadable(_)) => Err(ApiError::bad_request(error.to_string())),
        Err(error) => Err(ApiError::new(StatusCode::CONFLICT, error.to_string())),
    }
}

#[derive(Deserialize)]
pub(super) struct Chat {
    chat: String,
}

/// `POST /control/phones/{n}/read {"chat"}`: `{"read": number of messages}`.
pub(super) async fn read(
    State(sim): State<Sim>,
    Named(number): Named,
    Body(chat): Body<Chat>,
) -> Result<Json<Value>, ApiError> {
    let read = find(&sim, &number)?.read(&chat.chat).await;
    Ok(Json(json!({ "read": read })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Habits {
    receipts: Option<Receipts>,
    online: Option<bool>,
    receipt_delay_ms: Option<u64>,
    ask_again_ms: Option<u64>,
}

/// `PATCH /control/phones/{n} {"receipts","online","receipt_delay_ms","ask_again_ms"}`: the phone.
pub(super) async fn change(
    State(sim): State<Sim>,
    Named(number): Named,
    Body(habits): Body<Habits>,
) -> Result<Json<Value>, ApiError> {
    let phone = find(&sim, &number)?;
    if let Some(receipts) = habits.receipts {
        phone.set_receipts(receipts);
    }
    if let Some(delay) = habits.receipt_delay_ms {
        phone.set_receipt_delay(Duration::from_millis(delay));
    }
    if let Some(after) = habits.ask_again_ms {
        phone.set_ask_again(Duration::from_millis(after));
    }
    if let Some(online) = habits.online {
        phone.set_online(online);
    }
    Ok(Json(show(&phone)))
}

/// `POST /control/phones/{n}/logout-devices`: `{"logged_out": number of devices}`.
pub(super) async fn logout_devices(
    State(sim): State<Sim>,
    Named(number): Named,
) -> Result<Json<Value>, ApiError> {
    let count = find(&sim, &number)?.logout_devices().await;
    Ok(Json(json!({ "logged_out": count })))
}

pub(super) fn find(sim: &Sim, number: &str) -> Result<Phone, ApiError> {
    sim.find_phone(number).ok_or_else(|| {
        ApiError::not_found(format!(
            "no phone has the number {number}; add it with POST /control/phones"
        ))
    })
}

fn show(phone: &Phone) -> Value {
    let habits = *phone.account.habits.lock();
    let (messages, unread) = {
        let inbox = phone.account.inbox.lock();
        let unread = inbox.unread().iter();
        let counted: BTreeMap<_, _> = unread
            .map(|(chat, list)| (chat.clone(), list.len()))
            .collect();
        (inbox.len(), counted)
    };
    let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    json!({
        "number": phone.number(),
        "name": phone.name(),
        "lid": phone.lid(),
        "lid_migrated": phone.is_lid_migrated(),
        "online": phone.account.is_online(),
        "receipts": habits.receipts,
        "receipt_delay_ms": ms(habits.receipt_delay),
        "ask_again_ms": ms(habits.ask_again),
        "messages": messages,
        "unread": unread,
        "duplicates": phone.duplicates(),
        "devices": phone.devices(),
    })
}
