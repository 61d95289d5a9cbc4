//! Reads a whole list of the administration API, page by page.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Dashboard;
use super::errors::PageError;
use super::session::Me;

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    next: Option<String>,
}

/// Returns all rows of the list at `path`. Only for lists with at most a few hundred rows.
pub(super) async fn all<T: DeserializeOwned>(
    dashboard: &Dashboard,
    me: &Me,
    path: &str,
) -> Result<Vec<T>, PageError> {
    let (mut rows, mut from) = (Vec::new(), format!("{path}?limit=100"));
    loop {
        let page: Page<T> = dashboard.inside.get(&me.caller, &from).await?;
        rows.extend(page.data);
        match page.next {
            Some(next) => from = format!("{path}?limit=100&cursor={next}"),
            None => return Ok(rows),
        }
    }
}
