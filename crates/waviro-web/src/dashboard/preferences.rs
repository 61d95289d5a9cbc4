//! Language and theme, stored in two cookies, so that pages have the chosen look without
//! JavaScript.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::cookies::{LANGUAGE, THEME};
use super::form::Form;
use super::page_context::back_to;
use super::state::Dashboard;

/// The lifetime of the cookies: a year.
const KEPT_S: u32 = 365 * 24 * 3600;

/// Stores the choices of the form and redirects back to the form's page.
pub(super) async fn change(State(dashboard): State<Arc<Dashboard>>, form: Form) -> Response {
    let choices = [
        (LANGUAGE, form.get("lang"), ["id", "en"].as_slice()),
        (
            THEME,
            form.get("theme"),
            ["light", "dark", "system"].as_slice(),
        ),
    ];
    let base = &dashboard.base;
    let cookies = choices.into_iter().filter_map(|(name, choice, known)| {
        let choice = choice.filter(|choice| known.contains(choice))?;
        let text = format!("{name}={choice}; Path={base}/; Max-Age={KEPT_S}; SameSite=Lax");
        Some((SET_COOKIE, text))
    });
    let cookies: Vec<_> = cookies.collect();
    let back = back_to(&dashboard, form.get("to"));
    (AppendHeaders(cookies), Redirect::to(&back)).into_response()
}
