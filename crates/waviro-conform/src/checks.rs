//! The checks in the order of the API document, read from the table `checks.json`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::row::Row;

/// A check of a promise.
#[derive(Clone, Copy)]
pub struct Check {
    /// The part of the API and the promise, such as `text.sample`.
    pub name: &'static str,
    /// The source of the promise.
    pub origin: Origin,
    /// The promise in words.
    pub says: &'static str,
    pub(crate) rows: &'static [Row],
}

/// The source of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The API document or its samples.
    Document,
    /// The API document leaves the point open, and Waviro decided (`docs/quirks.md`).
    Waviro,
}

/// The content of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'static"))]
struct Table {
    /// Good requests by name. A row with `like` has the columns of the sample and its own columns.
    samples: BTreeMap<String, Map<String, Value>>,
    checks: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: &'static str,
    origin: Origin,
    says: &'static str,
    rows: Vec<Map<String, Value>>,
}

/// A check with complete rows.
struct Loaded {
    entry: Entry,
    rows: Vec<Row>,
}

#[expect(
    clippy::expect_used,
    reason = "the table is part of the program, and every test of the suite reads the table"
)]
static LOADED: LazyLock<Vec<Loaded>> =
    LazyLock::new(|| load(include_str!("../checks.json")).expect("checks.json is readable"));

/// Returns all checks in the order of execution.
#[must_use]
pub fn checks() -> Vec<Check> {
    let check = |loaded: &'static Loaded| Check {
        name: loaded.entry.name,
        origin: loaded.entry.origin,
        says: loaded.entry.says,
        rows: &loaded.rows,
    };
    LOADED.iter().map(check).collect()
}

fn load(text: &'static str) -> Result<Vec<Loaded>, String> {
    let Table { samples, checks } =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let load = |entry: Entry| {
        let rows = entry.rows.iter().map(|row| complete(&samples, row));
        let rows = rows.collect::<Result<Vec<_>, _>>();
        let rows = rows.map_err(|error| format!("{}: {error}", entry.name))?;
        Ok(Loaded { entry, rows })
    };
    checks.into_iter().map(load).collect()
}

fn complete(
    samples: &BTreeMap<String, Map<String, Value>>,
    row: &Map<String, Value>,
) -> Result<Row, String> {
    let mut row = row.clone();
    if let Some(like) = row.remove("like") {
        let sample = samples.get(like.as_str().unwrap_or_default());
        let mut columns = sample.ok_or_else(|| format!("no sample {like}"))?.clone();
        columns.extend(row);
        row = columns;
    }
    serde_json::from_value(Value::Object(row)).map_err(|error| error.to_string())
}
