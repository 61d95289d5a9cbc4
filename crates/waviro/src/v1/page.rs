//! Lists in pages: `?limit=…&cursor=…`, answered by `{"data":[…],"next":…}`.
//!
//! A cursor holds the list's name and the key of the last row that was shown, so rows that come and go between two pages
//! neither repeat nor hide others. It is opaque to callers: what is in it may change.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;

/// Rows of a page where nothing is said.
const USUAL: usize = 50;

/// Rows of a page at most.
const MOST: usize = 100;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    data: Vec<T>,
    /// Pass it as `cursor` for the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// Which page is asked for.
#[derive(Debug)]
pub struct Paging {
    limit: usize,
    cursor: Option<String>,
}

/// The parameters of every list, for the documentation.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "read by hand, which can name the parameter that is wrong"
)]
pub struct PageParams {
    /// Rows at most.
    #[param(minimum = 1, maximum = 100, default = 50, nullable = false)]
    limit: Option<u32>,
    /// `next` of the page before.
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
    // `parse` takes a plus sign, which is no digit of a number here.
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let limit = value
        .parse()
        .ok()
        .filter(|limit| digits && (1..=MOST).contains(limit));
    limit.ok_or(Problem::InvalidField(
        "limit",
        Cow::Borrowed("a whole number from 1 to 100"),
    ))
}

impl Paging {
    /// The key after which the page of this list begins; `None` for the first one.
    ///
    /// # Errors
    /// [`Problem::InvalidField`] for a cursor that is none of this list.
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
        let wrong =
            || Problem::InvalidField("cursor", Cow::Borrowed("the next of a page of this list"));
        read().map(Some).ok_or_else(wrong)
    }

    /// How many rows to read: one more than are shown, to know whether there is a next page.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.limit + 1
    }

    /// The page of these rows, of which there are [`Paging::rows`] at most. `key` is what [`Paging::after`] gives back.
    pub fn page<R, K: Display>(
        &self,
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

    /// The same of a search, which may have ended before it had read everything: the next page goes on where it ended.
    pub fn page_so_far<R, K: Display>(
        &self,
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
    /// The same page of something else.
    #[must_use]
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            data: self.data.into_iter().map(change).collect(),
            next: self.next,
        }
    }

    /// Takes it apart, for rows that are filled in one after the other: the rows, and `next`.
    #[must_use]
    pub fn into_parts(self) -> (Vec<T>, Option<String>) {
        (self.data, self.next)
    }

    /// Puts it together again.
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
    fn a_search_that_ended_early_goes_on_where_it_ended() {
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
