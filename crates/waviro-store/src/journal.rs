//! The journal: every attempt of every delivery, stored until retention deletes it.

use sqlx::{AnyConnection, AssertSqlSafe};

use super::deliveries::Attempt;
use super::writer::Counters;
use super::{StoreError, sql};

/// The maximum stored size of a response body, in bytes: enough for the first lines of an error
/// page.
const KEPT: usize = 2048;

/// An attempt with the id of its delivery.
pub(super) struct Tried<'a> {
    pub(super) delivery: i64,
    pub(super) stage: i64,
    pub(super) attempt: &'a Attempt,
}

/// Inserts attempts, in the transaction that records their results.
pub(super) async fn insert(
    tried: &[Tried<'_>],
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<(), StoreError> {
    for rows in sql::cut(tried) {
        let text = format!(
            "INSERT INTO attempts (id, delivery, at, stage, url, status, duration_ms, address, answer, cause, cause_code) VALUES {}",
            sql::tuples(rows.len(), 11)
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
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
                .bind(attempt.url.clone())
                .bind(attempt.status.map(i64::from))
                .bind(attempt.took_ms)
                .bind(attempt.address.clone())
                .bind(beginning(&attempt.answer).to_owned())
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
