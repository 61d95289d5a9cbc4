//! Builds the texts of statements over many rows. Each statement costs a hand-off between threads,
//! independent of its size, so a batch becomes one statement.
//!
//! The numbers of rows are powers of two up to [`MAX_ROWS`]. So few different texts exist that all
//! fit in the driver's statement cache (100).

use std::fmt::Write as _;

use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Encode, Type};

/// A statement with its parameters.
pub(crate) type Bound = Query<'static, Any, sqlx::any::AnyArguments>;

/// The maximum number of rows in a statement: 64 rows of 13 columns stay far below SQLite's limit
/// of 32,766 parameters.
const MAX_ROWS: usize = 64;

/// Returns the statement of a text. Values are parameters and never a part of the text.
pub(crate) fn query(text: String) -> Bound {
    sqlx::query(AssertSqlSafe(text))
}

/// Binds a list of values.
pub(crate) fn bind_all<'t, T>(query: Bound, values: impl IntoIterator<Item = T>) -> Bound
where
    T: Encode<'t, Any> + Type<Any>,
{
    values.into_iter().fold(query, Query::bind)
}

/// Returns `($1,$2),($3,$4)`: `rows` tuples of `columns` parameters, starting at `$1`.
pub(crate) fn tuples(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 4);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ",(" });
        text.push_str(&parameters(columns, row * columns + 1));
        text.push(')');
    }
    text
}

/// Returns `$3,$4,$5`: `count` parameters, starting at `$first`.
pub(crate) fn parameters(count: usize, first: usize) -> String {
    let mut text = String::with_capacity(count * 4);
    for n in first..first + count {
        if n > first {
            text.push(',');
        }
        // Writing to a `String` cannot fail.
        let _ = write!(text, "${n}");
    }
    text
}

/// Splits rows for statements that must hold each row once: 100 rows become 64, 32 and 4.
pub(crate) fn cut<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = 1usize
            .checked_shl(rows.len().checked_ilog2()?)?
            .min(MAX_ROWS);
        let (head, rest) = rows.split_at(size);
        rows = rest;
        Some(head)
    })
}

/// Splits keys for `IN` lists. A list may hold a key twice, so each list has at most [`MAX_ROWS`]
/// keys and is padded to a power of two with copies of the last key.
pub(crate) fn lists<T: Clone>(keys: &[T]) -> impl Iterator<Item = Vec<T>> + '_ {
    keys.chunks(MAX_ROWS).map(|chunk| {
        let mut list = chunk.to_vec();
        if let Some(last) = chunk.last() {
            list.resize(chunk.len().next_power_of_two(), last.clone());
        }
        list
    })
}

/// Splits keys for `IN` lists, each with the text of its parameters, which start at `$first`.
pub(crate) fn numbered<T: Clone>(
    keys: &[T],
    first: usize,
) -> impl Iterator<Item = (String, Vec<T>)> + '_ {
    lists(keys).map(move |list| (parameters(list.len(), first), list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_exactly_one_statement() {
        let rows: Vec<usize> = (0..100).collect();
        let cuts: Vec<usize> = cut(&rows).map(<[usize]>::len).collect();
        assert_eq!(cuts, [64, 32, 4]);
        assert_eq!(cut(&rows).flatten().copied().collect::<Vec<_>>(), rows);
        assert_eq!(cut::<u8>(&[]).count(), 0);
    }

    #[test]
    fn lists_are_padded_with_a_key_they_hold() {
        let lists: Vec<Vec<u8>> = lists(&[1, 2, 3]).collect();
        assert_eq!(lists, [vec![1, 2, 3, 3]]);
    }

    #[test]
    fn tuples_number_their_parameters_through() {
        assert_eq!(tuples(2, 2), "($1,$2),($3,$4)");
        assert_eq!(parameters(3, 2), "$2,$3,$4");
    }
}
