//! Lists in pages: `?limit=…&cursor=…`, with the response `{"data":[…],"next":…}`.
//!
//! A cursor holds the name of the list and the key of the last row on the page. Therefore rows
//! added or removed between two pages cause no repeated and no missing rows. A cursor is opaque to
//! clients: its content may change.

use std::fmt::{self, Display};
use std::num::ParseIntError;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;

/// The default number of rows of a page.
const USUAL: usize = 50;

/// The maximum number of rows of a page.
const MOST: usize = 100;

/// A page of a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub(crate) data: Vec<T>,
    /// The `cursor` of the next page; null on the last page.
    #[schema(required)]
    pub(crate) next: Option<String>,
}

/// Extractor: the requested page.
#[derive(Debug)]
pub struct Paging {
    limit: usize,
    cursor: Option<String>,
}

/// The key of a row in a list by time: the time, and the number of the row.
pub struct Cursor(pub i64, pub i64);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for Cursor {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (time, number) = text.split_once('.').unwrap_or((text, ""));
        Ok(Self(time.parse()?, number.parse()?))
    }
}

/// The parameters of every list, for the documentation.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "parsed by hand, so that the error names the wrong parameter"
)]
pub struct PageParams {
    /// The maximum number of rows.
    #[param(minimum = 1, maximum = 100, default = 50, nullable = false)]
    limit: Option<u32>,
    /// The `next` of the previous page.
    #[param(nullable = false)]
    cursor: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let (mut limit, mut cursor) = (USUAL, None);
        let query = parts.uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "limit" => limit = wanted(&value)?,
                "cursor" => cursor = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(Self { limit, cursor })
    }
}

fn wanted(value: &str) -> Result<usize, Problem> {
    // `parse` accepts a plus sign; a limit has only digits.
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let limit = value
        .parse()
        .ok()
        .filter(|limit| digits && (1..=MOST).contains(limit));
    limit.ok_or(Problem::invalid("limit", "a whole number from 1 to 100"))
}

/// Returns all rows of a list, page by page. Only for lists with at most a few hundred rows.
pub(crate) async fn all<T, F>(list: impl Fn(Paging) -> F) -> Result<Vec<T>, Problem>
where
    F: Future<Output = Result<Page<T>, Problem>>,
{
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let limit = MOST;
        let page = list(Paging { limit, cursor }).await?;
        rows.extend(page.data);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(rows);
        }
    }
}

impl Paging {
    /// Requests a page of the usual size; an empty cursor is the first page.
    pub(crate) fn at(cursor: &str) -> Self {
        Self {
            limit: USUAL,
            cursor: (!cursor.is_empty()).then(|| cursor.to_owned()),
        }
    }

    /// Requests the first row of a list.
    pub(crate) fn first() -> Self {
        Self {
            limit: 1,
            cursor: None,
        }
    }

    /// Returns the key of the row before the page; `None` for the first page.
    ///
    /// # Errors
    /// [`Problem::InvalidField`] for a cursor of another list.
    pub fn after<K: FromStr>(&self, list: &str) -> Result<Option<K>, Problem> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let read = || {
            let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
            let text = String::from_utf8(bytes).ok()?;
            let (of, key) = text.split_once(':')?;
            (of == list).then(|| key.parse().ok())?
        };
        let wrong = || Problem::invalid("cursor", "the value of next from a page of this list");
        read().map(Some).ok_or_else(wrong)
    }

    /// Returns the number of rows to read. The extra row shows whether there is a next page.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.limit + 1
    }

    /// Builds the page of at most [`Paging::rows`] rows. `key` returns the value for
    /// [`Paging::after`].
    pub fn page<R, K: Display>(
        self,
        list: &str,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> K,
    ) -> Page<R> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next = rows.last().filter(|_| more);
        let next = next.map(|row| URL_SAFE_NO_PAD.encode(format!("{list}:{}", key(row))));
        Page { data: rows, next }
    }

    /// Builds the page of a list that is in memory as a whole, ordered by id.
    pub fn page_of<R>(
        self,
        list: &str,
        rows: impl IntoIterator<Item = R>,
        id: impl Fn(&R) -> i64,
    ) -> Result<Page<R>, Problem> {
        let after = self.after(list)?.unwrap_or(0);
        let rows = rows.into_iter().filter(|row| id(row) > after);
        let rows = rows.take(self.rows()).collect();
        Ok(self.page(list, rows, id))
    }

    /// Builds the page of a search that may have stopped early; the next page continues at `go_on`.
    pub fn page_so_far<R, K: Display>(
        self,
        list: &str,
        rows: Vec<R>,
        key: impl Fn(&R) -> K,
        go_on: Option<K>,
    ) -> Page<R> {
        let mut page = self.page(list, rows, key);
        let go_on = || go_on.map(|key| URL_SAFE_NO_PAD.encode(format!("{list}:{key}")));
        page.next = page.next.or_else(go_on);
        page
    }
}

impl<T> Page<T> {
    /// Converts the rows of the page.
    #[must_use]
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            data: self.data.into_iter().map(change).collect(),
            next: self.next,
        }
    }

    /// Splits the page into its rows and `next`, for rows that need asynchronous work.
    #[must_use]
    pub fn into_parts(self) -> (Vec<T>, Option<String>) {
        (self.data, self.next)
    }

    /// Builds a page from its rows and `next`.
    #[must_use]
    pub fn from_parts(data: Vec<T>, next: Option<String>) -> Self {
        Self { data, next }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paging(limit: usize, cursor: Option<&str>) -> Paging {
        Paging {
            limit,
            cursor: cursor.map(ToOwned::to_owned),
        }
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let page = paging(1, None).page("bots", vec![1, 2], |row| *row);
        let next = page.next.unwrap();
        assert_eq!(paging(1, Some(&next)).after("bots").unwrap(), Some(1));
        assert!(paging(1, Some(&next)).after::<i64>("tokens").is_err());
    }

    #[test]
    fn an_early_ended_search_continues_at_its_end() {
        let page = |rows, go_on| paging(2, None).page_so_far("rows", rows, |row| *row, go_on);
        let after = |page: Page<i64>| {
            let next = page.next?;
            paging(2, Some(&next)).after::<i64>("rows").unwrap()
        };
        assert_eq!(after(page(vec![9], Some(4))), Some(4));
        assert_eq!(after(page(Vec::new(), Some(4))), Some(4));
        assert_eq!(after(page(vec![9, 8, 7], Some(7))), Some(8));
        assert_eq!(after(page(vec![9], None)), None);
    }

    proptest! {
        #[test]
        fn pages_show_every_row_once_and_in_order(count in 0_i64..40, limit in 1_usize..20) {
            let (mut shown, mut cursor) = (Vec::new(), None);
            loop {
                let asked = paging(limit, cursor.as_deref());
                let after = asked.after("rows").unwrap().unwrap_or(0);
                let rows = (after + 1..=count).take(asked.rows()).collect();
                let page = asked.page("rows", rows, |row| *row);
                prop_assert!(page.data.len() <= limit);
                shown.extend(page.data);
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            prop_assert_eq!(shown, (1..=count).collect::<Vec<_>>());
        }

        #[test]
        fn no_text_breaks_a_cursor(text in ".*") {
            let _ = paging(1, Some(&text)).after::<i64>("bots");
        }
    }
}
