//! `/v1/bots/{bot}/relink`, `/qr`, `/pairing-code` and `/logout`: link a bot's device to WhatsApp
//! and log the device out.

use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use axum::Json;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use qrcode::render::svg;
use serde::{Deserialize, Serialize};
use tracing::error;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_core::bots::{Bot, LinkCode};
use waviro_link::{Identity, Link, Number, QrCode, Status};
use waviro_store::clock::millis;

use super::auth::ChangesBot;
use super::body::Body;
use super::bots::LinkState;
use super::fields::Field;
use super::problem::Problem;
use super::responses::{Conflict, JsonResult, Unavailable};
use super::state::V1;
use super::timestamp::Timestamp;
use crate::services::{Services, SharedServices};

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new()
        .routes(routes!(http_relink))
        .routes(routes!(http_qr))
        .routes(routes!(http_pairing_code))
        .routes(routes!(http_logout))
}

/// The linked account of a bot, or the QR code to scan.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Linking {
    /// The state of the link.
    pub(crate) state: LinkState,
    /// True if the bot has a device at WhatsApp.
    pub(crate) linked: bool,
    /// The phone number of the linked account.
    #[schema(required, example = "6281200000001")]
    pub(crate) number: Option<String>,
    /// The display name of the account; empty until WhatsApp has sent the name.
    #[schema(required)]
    pub(crate) account_name: Option<String>,
    /// The text of the QR code to scan with the phone (WhatsApp, Linked devices, Link a device);
    /// null if there is no code.
    #[schema(required, example = "2@…")]
    pub(crate) qrcode: Option<String>,
    /// When WhatsApp stops accepting the code; then call again for the next code.
    #[schema(required)]
    pub(crate) expires_at: Option<Timestamp>,
}

/// The phone for a pairing code.
#[derive(Deserialize, ToSchema)]
pub struct AskPairingCode {
    /// The phone's number: country code first, digits only.
    #[schema(pattern = "^[1-9][0-9]{6,14}$", example = "6281200000001", value_type = String)]
    number: Field<Number>,
}

/// A pairing code to type on the phone.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct PairingCode {
    /// Eight characters to type on the phone under Linked devices, Link with phone number.
    #[schema(example = "ABCD-EFGH")]
    pub(crate) code: String,
}

/// Link a bot
///
/// Starts linking if the bot has no device, and returns the first QR code. If the bot is already
/// linked, returns the account. In the state `replaced`, the bot reconnects and takes the device
/// back from the other program. In the states `banned` and `client_outdated`, the bot logs in
/// again, because WhatsApp may lift a ban early.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/relink", tag = "linking",
    responses(
        (status = 200, description = "The code to scan, or the linked account.", body = Linking),
        Conflict, Unavailable,
    )
)]
async fn http_relink(services: SharedServices, at: ChangesBot) -> JsonResult<Linking> {
    relink(&services, &at).await.map(Json)
}

pub(crate) async fn relink(services: &Services, at: &ChangesBot) -> Result<Linking, Problem> {
    if let Some(link) = at.bot().link() {
        match at.bot().status() {
            Status::Replaced => link.reconnect().await,
            Status::Banned { .. } | Status::ClientOutdated => retry(services, &*link).await,
            _ => {}
        }
    }
    let code = code(services, at.bot()).await?;
    let state = LinkState::of(&at.bot().status());
    Ok(match code {
        LinkCode::Linked(identity) => Linking::linked(state, identity),
        LinkCode::Code(code) => Linking::code(state, code),
    })
}

/// Logs in again after WhatsApp refused the login, and waits for the result.
async fn retry(services: &Services, link: &dyn Link) {
    link.reconnect().await;
    let mut status = link.status();
    tokio::select! {
        _ = status.wait_for(|status| !matches!(status, Status::Reconnecting { .. })) => {}
        () = services.clock.sleep(services.qr_within) => {}
        () = services.stop.cancelled() => {}
    }
}

/// Show the QR code
///
/// Returns the current response of relink without starting anything. With `Accept: image/svg+xml`
/// the response is a picture of the code.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/qr", tag = "linking",
    responses(
        (status = 200, description = "The code, or null if no code is shown.",
            content((Linking = "application/json"), (String = "image/svg+xml"))),
        Conflict,
    )
)]
async fn http_qr(at: ChangesBot, headers: HeaderMap) -> Result<Response, Problem> {
    let as_picture = headers.get_all(ACCEPT).iter().any(|accept| {
        let text = accept.to_str().unwrap_or_default();
        text.contains("image/svg+xml")
    });
    if as_picture {
        let kinds = [(CONTENT_TYPE, "image/svg+xml"), (VARY, "accept")];
        return Ok((kinds, picture(&at)?).into_response());
    }
    Ok(([(VARY, "accept")], Json(qr(&at))).into_response())
}

/// Returns the QR code. A person with the code can link any account as the bot, so the operation
/// needs the permission to change the bot.
pub(crate) fn qr(at: &ChangesBot) -> Linking {
    let status = at.bot().status();
    let state = LinkState::of(&status);
    match status {
        Status::Linking { qr: Some(code) } => Linking::code(state, code),
        linked if linked.is_linked() => match at.bot().identity() {
            Some(identity) => Linking::linked(state, identity),
            None => Linking::nothing(state),
        },
        _ => Linking::nothing(state),
    }
}

/// Returns the QR code as SVG.
pub(crate) fn picture(at: &ChangesBot) -> Result<String, Problem> {
    match at.bot().status() {
        Status::Linking { qr: Some(code) } => drawn(&code),
        status => Err(Problem::WrongState(
            status.word(),
            "there is no code to show; relink requests a code",
        )),
    }
}

/// Request a pairing code
///
/// For a phone that cannot scan: the code is typed on the phone, under Linked devices, Link with
/// phone number. Starts linking if necessary.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/pairing-code", tag = "linking", request_body = AskPairingCode,
    responses((status = 200, description = "The code.", body = PairingCode), Conflict, Unavailable)
)]
async fn http_pairing_code(
    services: SharedServices,
    at: ChangesBot,
    Body(asked): Body<AskPairingCode>,
) -> JsonResult<PairingCode> {
    pairing_code(&services, &at, asked).await.map(Json)
}

pub(crate) async fn pairing_code(
    services: &Services,
    at: &ChangesBot,
    asked: AskPairingCode,
) -> Result<PairingCode, Problem> {
    if let LinkCode::Linked(_) = code(services, at.bot()).await? {
        let word = at.bot().status().word();
        return Err(Problem::WrongState(
            word,
            "the bot is linked; log it out first",
        ));
    }
    let link = at.bot().link().ok_or(Problem::WhatsAppUnavailable)?;
    let code = link.pairing_code(&asked.number.0).await?;
    Ok(PairingCode { code })
}

/// Log a bot out
///
/// Removes the bot's device at WhatsApp. Waiting messages get ack -1. The bot itself stays and can
/// be linked again.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/logout", tag = "linking",
    responses((status = 204, description = "The device is removed."), Conflict, Unavailable)
)]
async fn http_logout(services: SharedServices, at: ChangesBot) -> Result<StatusCode, Problem> {
    logout(&services, &at).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn logout(services: &Services, at: &ChangesBot) -> Result<(), Problem> {
    let status = at.bot().status();
    match status {
        Status::Online => {}
        Status::Reconnecting { .. } | Status::Replaced => {
            let advice = "the logout needs a connection to WhatsApp; relink or wait, or remove the bot, or remove the device on the phone";
            return Err(Problem::WrongState(status.word(), advice));
        }
        _ => {
            return Err(Problem::WrongState(
                status.word(),
                "there is no device to log out",
            ));
        }
    }
    let link = at.bot().link().ok_or(Problem::WhatsAppUnavailable)?;
    // The logout runs in its own task: if the client disconnects, a cancelled logout would leave
    // the device half removed.
    let leaving = services.tasks.spawn(async move { link.logout().await });
    tokio::select! {
        left = leaving => match left {
            Ok(()) => Ok(()),
            Err(cause) => {
                error!(%cause, "logout failed");
                Err(Problem::Internal)
            }
        },
        () = services.clock.sleep(services.qr_within) => Err(Problem::WhatsAppUnavailable),
    }
}

/// Returns the first QR code or the linked account. A shutdown cancels the wait.
async fn code(services: &Services, bot: &Bot) -> Result<LinkCode, Problem> {
    tokio::select! {
        code = bot.link_code(&services.clock, services.qr_within) => Ok(code?),
        () = services.stop.cancelled() => Err(Problem::WhatsAppUnavailable),
    }
}

/// Renders the code as SVG, with the quiet zone that scanners need.
fn drawn(code: &QrCode) -> Result<String, Problem> {
    let drawn = qrcode::QrCode::new(code.text.as_bytes());
    let drawn = drawn.map_err(|cause| {
        error!(%cause, "QR code could not be rendered");
        Problem::Internal
    })?;
    let mut text = drawn
        .render::<svg::Color<'_>>()
        .min_dimensions(264, 264)
        .build();
    // The final newline helps terminal users. Writing to a `String` cannot fail.
    let _ = writeln!(text);
    Ok(text)
}

impl Linking {
    fn linked(state: LinkState, identity: Identity) -> Self {
        Self {
            state,
            linked: true,
            number: Some(identity.number.to_string()),
            account_name: Some(identity.name),
            qrcode: None,
            expires_at: None,
        }
    }

    fn code(state: LinkState, code: QrCode) -> Self {
        let expires = code.expires.duration_since(UNIX_EPOCH).map_or(0, millis);
        Self {
            qrcode: Some(code.text),
            expires_at: Some(Timestamp(expires)),
            ..Self::nothing(state)
        }
    }

    fn nothing(state: LinkState) -> Self {
        Self {
            state,
            linked: false,
            number: None,
            account_name: None,
            qrcode: None,
            expires_at: None,
        }
    }
}
