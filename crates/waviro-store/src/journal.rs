//! The journal: every attempt of every delivery, stored until retention deletes it.

use sqlx::AnyConnection;

use crate::counts::Counters;
use crate::deliveries::Attempt;
use crate::{StoreError, sql};

/// The maximum stored size of a response body, in bytes: enough for the first lines of an error
/// page.
const KEPT: usize = 2048;

/// An attempt with the id of its delivery.
pub(crate) struct Tried<'a> {
    delivery: i64,
    stage: i64,
    attempt: &'a Attempt,
}

impl<'a> Tried<'a> {
    pub(crate) fn new(delivery: i64, stage: i64, attempt: &'a Attempt) -> Self {
        Self {
            delivery,
            stage,
            attempt,
        }
    }
}

/// Inserts attempts, in the transaction that records their results.
pub(crate) async fn insert(
    tried: &[Tried<'_>],
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<(), StoreError> {
    for rows in sql::cut(tried) {
        let text = format!(
            "INSERT INTO attempts (id, delivery, at, stage, url, status, duration_ms, address, answer, cause, cause_code) VALUES {}",
            sql::tuples(rows.len(), 11)
        );
        let mut query = sql::query(text);
        for Tried {
            delivery,
            stage,
            attempt,
        } in rows
        {
            counters.attempt += 1;
            query = query
                .bind(counters.attempt)
                .bind(*delivery)
                .bind(attempt.at)
                .bind(*stage)
                .bind(&attempt.url)
                .bind(attempt.status.map(i64::from))
                .bind(attempt.took_ms)
                .bind(&attempt.address)
                .bind(beginning(&attempt.answer))
                .bind(attempt.text())
                .bind(attempt.code());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Returns the stored beginning of a response body. PostgreSQL refuses a text with NUL, so the text
/// ends before the first NUL.
#[must_use]
pub fn beginning(text: &str) -> &str {
    let end = text.find('\0').unwrap_or(text.len()).min(KEPT);
    let end = (0..=end).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_between_characters_and_before_a_nul() {
        assert_eq!(beginning("ok"), "ok");
        assert_eq!(beginning("a\0b"), "a");
        let long = "é".repeat(KEPT);
        assert_eq!(beginning(&long).len(), KEPT);
        let odd = format!("a{long}");
        assert_eq!(beginning(&odd).len(), KEPT - 1);
    }
}
