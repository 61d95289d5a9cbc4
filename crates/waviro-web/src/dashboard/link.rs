//! The page to link a bot (by QR code or by pairing code) and to log the bot out.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded;

use super::Dashboard;
use super::bots::BotRow;
use super::errors::PageError;
use super::form::Form;
use super::page_context::PageContext;
use super::send::as_number;
use super::session::Me;
use crate::v1::inside::Refused;

/// The state of linking in the API's response.
#[derive(Debug, Deserialize)]
struct Linking {
    qrcode: Option<String>,
    expires_at: Option<String>,
}

#[derive(Template)]
#[template(path = "dashboard/link.html")]
struct Page {
    context: PageContext,
    bot: BotRow,
    linking: Linking,
    /// The pairing code, if requested.
    typed: Option<String>,
    /// The number of the phone for the pairing code.
    number: String,
    wrong: Option<Refused>,
}

impl Page {
    /// Returns the URL at which a virtual phone scans the code, in a sandbox.
    fn phone(&self) -> Option<String> {
        let (phones, code) = (self.context.phones.as_ref()?, self.linking.qrcode.as_ref()?);
        let code: String = form_urlencoded::byte_serialize(code.as_bytes()).collect();
        // A fragment after `#` is not sent to the server, so the code stays out of logs.
        Some(format!("{phones}/#scan={code}"))
    }

    /// Formats a pairing code as phones do: four and four characters.
    fn spaced(code: &str) -> String {
        match code.split_at_checked(4) {
            Some((first, second)) if !code.contains('-') => format!("{first}-{second}"),
            _ => code.to_owned(),
        }
    }

    /// Returns the URL of the QR picture. Each code has a different URL, so that the browser loads
    /// the new picture.
    fn picture(&self) -> String {
        let code = self.linking.qrcode.as_deref().unwrap_or_default();
        let hash: String = hex::encode(code.bytes().rev().take(8).collect::<Vec<_>>());
        format!(
            "{}/bots/{}/link/qr.svg?{hash}",
            self.context.home, self.bot.id
        )
    }
}

/// Shows the state of linking.
pub(super) async fn show(
    State(dashboard): State<Arc<Dashboard>>,
    me: Me,
    Path(bot): Path<i32>,
) -> Result<Response, PageError> {
    page(&dashboard, me, bot, (None, String::new()), None).await
}

/// Starts linking, requests a pairing code, or logs the bot out.
pub(super) async fn act(
    State(dashboard): State<Arc<Dashboard>>,
    me: Me,
    Path(bot): Path<i32>,
    form: Form,
) -> Result<Response, PageError> {
    let (inside, number) = (&dashboard.inside, form.raw("number").trim());
    let ask = async |what: &str, body| {
        let path = format!("/v1/bots/{bot}/{what}");
        inside.ask(&me.caller, Method::POST, &path, body).await
    };
    let done = match form.raw("do") {
        "start" => ask("relink", None).await,
        "pair" => {
            let number = as_number(number);
            ask("pairing-code", Some(json!({ "number": number }))).await
        }
        "logout" => ask("logout", None).await,
        _ => return Err(PageError::BadForm),
    };
    match done {
        Ok(answer) => {
            if let Some(code) = answer["code"].as_str() {
                let typed = (Some(code.to_owned()), number.to_owned());
                return page(&dashboard, me, bot, typed, None).await;
            }
            let back = format!("{}/bots/{bot}/link", me.context.home);
            Ok(Redirect::to(&back).into_response())
        }
        Err(refused) => {
            let number = (None, number.to_owned());
            page(&dashboard, me, bot, number, Some(refused)).await
        }
    }
}

/// Returns the QR code as a picture.
pub(super) async fn picture(
    State(dashboard): State<Arc<Dashboard>>,
    me: Me,
    Path(bot): Path<i32>,
) -> Result<Response, PageError> {
    let path = format!("/v1/bots/{bot}/qr");
    let svg = dashboard
        .inside
        .text(&me.caller, &path, "image/svg+xml")
        .await?;
    Ok(([(CONTENT_TYPE, "image/svg+xml")], svg).into_response())
}

async fn page(
    dashboard: &Dashboard,
    me: Me,
    bot: i32,
    (typed, number): (Option<String>, String),
    wrong: Option<Refused>,
) -> Result<Response, PageError> {
    let inside = &dashboard.inside;
    let row: BotRow = inside.get(&me.caller, &format!("/v1/bots/{bot}")).await?;
    let linking = inside
        .get(&me.caller, &format!("/v1/bots/{bot}/qr"))
        .await?;
    let status = Refused::status_of(wrong.as_ref());
    let page = Page {
        context: me.context.clone(),
        bot: row,
        linking,
        typed,
        number,
        wrong,
    };
    Ok(me.context.show(status, &page))
}
