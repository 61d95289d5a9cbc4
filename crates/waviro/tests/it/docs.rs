//! `/docs`: the documentation matches the gateway's behaviour.

mod bodies;
mod openapi;
mod page;
mod postman;
mod samples;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use waviro_web::api;
use waviro_web::api::error::Language;
use waviro_web::docs::catalogue::{self, Catalogue};

use super::test_app::{Answer, TestApp};

/// Sends a GET request with these headers.
async fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.send(request.body(Body::empty()).unwrap()).await
}

#[test]
fn every_endpoint_is_documented_in_the_order_of_the_router() {
    let documented: Vec<&str> = english().endpoints().map(|one| &*one.name).collect();
    assert_eq!(documented, api::names().collect::<Vec<_>>());
}

#[test]
fn every_refusal_is_documented_with_its_status() {
    let page = api_page();
    let (_, refusals) = page.split_once("## Refusals").unwrap();
    let on_the_page: BTreeSet<(String, u16)> = rows(refusals)
        .map(|row| (row[0].clone(), row[1].parse().unwrap()))
        .collect();
    let in_the_catalogue: BTreeSet<(String, u16)> = english()
        .refusals()
        .map(|refusal| (refusal.code().to_owned(), refusal.status().as_u16()))
        .collect();
    // tidy.rs checks that the page contains every code of the source.
    assert_eq!(in_the_catalogue, on_the_page);
}

#[test]
fn the_page_for_readers_of_the_source_names_the_same_endpoints_and_fields() {
    let page = api_page();
    let (_, table) = page.split_once("## Endpoints").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let documented: Vec<(String, BTreeSet<&str>, BTreeSet<&str>)> = rows(table)
        .map(|row| {
            let name = row[0].trim_start_matches("/api/").to_owned();
            (name, known(&row[1]), known(&row[2]))
        })
        .collect();
    let described: Vec<(String, BTreeSet<&str>, BTreeSet<&str>)> = english()
        .endpoints()
        .map(|endpoint| {
            let names = |required: bool| {
                let fields = endpoint.fields.iter();
                let fields = fields.filter(|field| field.required == required);
                let mut names: BTreeSet<&str> = fields.map(|field| &*field.name).collect();
                // For a person's path, the text of the page mentions that a group id is also
                // allowed.
                if required && endpoint.name == "sendcontact" {
                    names.insert("groupid");
                }
                names
            };
            (endpoint.name.clone(), names(true), names(false))
        })
        .collect();
    assert_eq!(described, documented);
}

/// Returns the English catalogue. Names, fields and refusals are the same in both languages.
fn english() -> &'static Catalogue {
    catalogue::of(Language::English)
}

fn api_page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md");
    fs::read_to_string(path).unwrap()
}

/// Returns the cells of a table's rows without backticks and without the head.
fn rows(table: &str) -> impl Iterator<Item = Vec<String>> {
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| {
        let cells = row.trim_matches('|').split('|');
        cells
            .map(|cell| cell.trim().replace('`', ""))
            .collect::<Vec<_>>()
    });
    cells.filter(|cells| cells[0] != "code")
}

/// Returns the field names in a cell.
fn known(cell: &str) -> BTreeSet<&'static str> {
    let words: Vec<&str> = cell
        .split(|other: char| !other.is_ascii_alphanumeric())
        .collect();
    let fields = english().endpoints().flat_map(|endpoint| &endpoint.fields);
    let names = fields.map(|field| &*field.name);
    names.filter(|name| words.contains(name)).collect()
}
