//! The page to link a bot (by QR code or by pairing code) and to log the bot out.

use askama::Template;
use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use url::form_urlencoded;

use super::errors::PageError;
use super::form::Form;
use super::page_context::PageContext;
use super::refused::Refused;
use super::send::as_number;
use super::session::Me;
use crate::v1::body;
use crate::v1::bots::{self, BotView};
use crate::v1::linking::{self, Linking};

#[derive(Template)]
#[template(path = "dashboard/link.html")]
struct Page {
    context: PageContext,
    bot: BotView,
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
pub(super) async fn show(me: Me, Path(bot): Path<i32>) -> Result<Response, PageError> {
    page(me, bot, (None, String::new()), None).await
}

/// Starts linking, requests a pairing code, or logs the bot out.
pub(super) async fn act(me: Me, Path(bot): Path<i32>, form: Form) -> Result<Response, PageError> {
    let (services, number) = (&me.services, form.raw("number").trim());
    let done = match form.raw("do") {
        "start" => {
            let started = me.ask(async { linking::relink(services, &me.changes(bot)?).await });
            started.await.map(|_| None)
        }
        "pair" => {
            let body = json!({ "number": as_number(number) });
            let code = me.ask(async {
                linking::pairing_code(services, &me.changes(bot)?, body::of(&body)?).await
            });
            code.await.map(|code| Some(code.code))
        }
        "logout" => {
            let left = me.ask(async { linking::logout(services, &me.changes(bot)?).await });
            left.await.map(|()| None)
        }
        _ => return Err(PageError::BadForm),
    };
    let number = number.to_owned();
    match done {
        Ok(None) => {
            let back = format!("{}/bots/{bot}/link", me.context.home);
            Ok(Redirect::to(&back).into_response())
        }
        Ok(code) => page(me, bot, (code, number), None).await,
        Err(refused) => page(me, bot, (None, number), Some(refused)).await,
    }
}

/// Returns the QR code as a picture.
pub(super) async fn picture(me: Me, Path(bot): Path<i32>) -> Result<Response, PageError> {
    let svg = me
        .ask(async { linking::picture(&me.changes(bot)?) })
        .await?;
    Ok(([(CONTENT_TYPE, "image/svg+xml")], svg).into_response())
}

async fn page(
    me: Me,
    bot: i32,
    (typed, number): (Option<String>, String),
    wrong: Option<Refused>,
) -> Result<Response, PageError> {
    let shown = me.ask(async {
        let bot_view = bots::show(&me.services, &me.sees(bot)?).await?;
        Ok((bot_view, linking::qr(&me.changes(bot)?)))
    });
    let (bot, linking) = shown.await?;
    let status = Refused::status_of(wrong.as_ref());
    let page = Page {
        context: me.context.clone(),
        bot,
        linking,
        typed,
        number,
        wrong,
    };
    Ok(me.context.show(status, &page))
}
