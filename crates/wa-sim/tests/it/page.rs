//! The simulator's web page: headers, restrictions and texts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use reqwest::{Response, StatusCode};

use wa_sim::Sim;

use crate::client::plain_http;

/// The limit for all files of the page together, in bytes on the wire.
const MAX_WEIGHT: usize = 150 * 1024;

async fn get(sim: &Sim, path: &str) -> Response {
    let url = format!("{}{path}", sim.http_url());
    plain_http().get(url).send().await.expect("answered")
}

fn header(response: &Response, name: &str) -> String {
    let value = response.headers().get(name).map(|value| value.to_str());
    value.expect("is there").expect("is text").to_owned()
}

/// Returns the files of the page by name.
fn files() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
    fs::read_dir(folder)
        .expect("is there")
        .map(|entry| {
            let path = entry.expect("is read").path();
            let name = path.file_name().expect("has a name").to_string_lossy();
            (
                name.into_owned(),
                fs::read_to_string(&path).expect("is text"),
            )
        })
        .collect()
}

#[tokio::test]
async fn the_page_is_served_with_what_keeps_it_to_itself() {
    let sim = Sim::start().await.expect("starts");
    let page = get(&sim, "/").await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(
        header(&page, "content-security-policy"),
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(header(&page, name), value);
    }
    let tag = header(&page, "etag");
    let again = plain_http()
        .get(sim.http_url())
        .header("if-none-match", &tag)
        .send();
    assert_eq!(
        again.await.expect("answered").status(),
        StatusCode::NOT_MODIFIED
    );
    let rebound = plain_http()
        .get(sim.http_url())
        .header("host", "rebound.example")
        .send();
    assert_eq!(
        rebound.await.expect("answered").status(),
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn every_file_of_the_page_is_served_under_its_type_and_all_are_light() {
    let sim = Sim::start().await.expect("starts");
    let mut weight = 0;
    for (name, text) in files() {
        let served = get(&sim, &format!("/page/{name}")).await;
        assert_eq!(served.status(), StatusCode::OK, "{name}");
        let kind = match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(header(&served, "content-type"), kind);
        assert!(header(&served, "content-security-policy").starts_with("default-src 'none'"));
        assert_eq!(header(&served, "x-content-type-options"), "nosniff");
        assert_eq!(served.text().await.expect("is text"), text, "{name}");
        weight += text.len();
    }
    assert!(weight <= MAX_WEIGHT, "{weight} bytes");
    let missing = get(&sim, "/page/nothing.js").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

/// Forbids every function that turns a text into markup, and every address of another host.
#[test]
fn no_file_makes_markup_of_data_or_names_another_host() {
    for (name, text) in files() {
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "createContextualFragment",
            "srcdoc",
            "eval(",
            "new Function",
            "http://",
            "https://",
        ] {
            let places = text.matches(forbidden).count();
            let namespaces = text.matches("\"http://www.w3.org/2000/svg\"").count();
            let allowed = if forbidden == "http://" {
                namespaces
            } else {
                0
            };
            assert_eq!(places, allowed, "{name} has {forbidden}");
        }
    }
    let page = &files()["index.html"];
    assert!(!page.contains(" style=") && !page.contains("<style") && !page.contains(" on"));
    assert_eq!(
        page.matches("<script").count(),
        page.matches("<script type=\"module\" src=\"page/").count()
    );
}

/// Returns the Indonesian and English text of each key.
fn words() -> BTreeMap<String, [String; 2]> {
    let text = &files()["words.js"];
    let mut words = BTreeMap::new();
    let (_, table) = text
        .split_once("export const words = {\n")
        .expect("the table");
    for line in table
        .lines()
        .take_while(|line| *line != "};")
        .map(str::trim)
    {
        let (key, both) = line.split_once(": [\"").expect("a key and its words");
        let both = both.strip_suffix("\"],").expect("a line of the table");
        let both: Vec<_> = both.split("\", \"").map(str::to_owned).collect();
        let both = <[String; 2]>::try_from(both);
        let both = both.unwrap_or_else(|both| panic!("{key} is said in {} languages", both.len()));
        assert!(
            words.insert(key.to_owned(), both).is_none(),
            "{key} is there twice"
        );
    }
    words
}

/// Returns the placeholders of a text, such as `{name}`.
fn holes(sentence: &str) -> BTreeSet<&str> {
    let parts = sentence.split('{').skip(1);
    parts
        .filter_map(|part| Some(part.split_once('}')?.0))
        .collect()
}

#[test]
fn both_languages_say_the_same() {
    let words = words();
    assert!(words.len() > 100);
    for (key, [indonesian, english]) in &words {
        assert!(
            !indonesian.trim().is_empty() && !english.trim().is_empty(),
            "{key}"
        );
        assert_eq!(holes(indonesian), holes(english), "{key}");
    }
}

/// Returns the quoted words directly after each `before`. For a conditional expression in a call,
/// returns both alternatives.
fn after<'t>(text: &'t str, before: &str) -> BTreeSet<&'t str> {
    let calls = text.split(before).skip(1);
    calls
        .flat_map(|call| {
            let inside = call.split(['(', ')', '{', ',']).next().unwrap_or_default();
            // The condition of a conditional expression contains words that are not keys.
            let inside = inside.split_once('?').map_or(inside, |(_, choice)| choice);
            inside.split('"').skip(1).step_by(2)
        })
        .collect()
}

#[test]
fn every_sentence_is_said_somewhere_and_none_is_missing() {
    let (words, files) = (words(), files());
    let others = files.iter().filter(|(name, _)| *name != "words.js");
    let all = others.fold(String::new(), |all, (_, text)| all + text);
    for key in words.keys() {
        // The name of a kind of message is found by the kind.
        let kind = key.strip_prefix("kind_").unwrap_or(key);
        let is_said = [key.as_str(), kind].map(|said| all.contains(&format!("\"{said}\"")));
        assert!(is_said.contains(&true), "nothing says {key}");
    }
    let mut said = after(&all, "say(");
    for attribute in ["data-say=", "data-say-label="] {
        let places = all.split(attribute).skip(1);
        said.extend(places.filter_map(|place| place.split('"').nth(1)));
    }
    assert!(said.len() > 100, "{said:?}");
    for key in said {
        assert!(words.contains_key(key), "{key} is said, but has no words");
    }
}

#[test]
fn no_sentence_stands_in_the_scripts_themselves() {
    for (name, text) in files() {
        let is_script = name.rsplit_once('.').is_some_and(|(_, kind)| kind == "js");
        if name == "words.js" || !is_script {
            continue;
        }
        for (at, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for property in [
                "text: \"",
                "title: \"",
                "action: \"",
                "placeholder: \"",
                "label\": \"",
            ] {
                let shown = code.split(property).skip(1);
                for words in shown.filter_map(|rest| rest.split('"').next()) {
                    let is_sample = property == "placeholder: \"" || words.trim().is_empty();
                    assert!(
                        is_sample,
                        "{name}:{}: {words:?} belongs into words.js",
                        at + 1
                    );
                }
            }
        }
    }
}
