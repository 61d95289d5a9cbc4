//! Indonesian and English: each browser's choice is remembered, and no template has a sentence of
//! its own. The build compares the files with the sentences of both languages.

use std::fs;
use std::path::Path;

use axum::http::StatusCode;
use waviro_store::UserRole;

use crate::pages::Pages;

#[tokio::test]
async fn language_and_theme_are_remembered() {
    let pages = Pages::with_admin().await;
    let (_, _, page) = pages.get("/dashboard/login", "waviro_lang=en").await;
    assert!(page.contains("<html lang=\"en\"") && page.contains("Log in"));
    let (_, _, page) = pages.get("/dashboard/login", "").await;
    assert!(page.contains("<html lang=\"id\"") && page.contains("Masuk"));
    let (_, _, page) = pages.get("/dashboard/login", "waviro_theme=dark").await;
    assert!(page.contains("data-theme=\"dark\""));
    let form = [("lang", "en"), ("to", "/dashboard/login")];
    let (status, headers, _) = pages.post("/dashboard/look", &form, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers["location"], "/dashboard/login");
    assert!(
        headers["set-cookie"]
            .to_str()
            .unwrap()
            .starts_with("waviro_lang=en;")
    );
}

#[tokio::test]
async fn a_switch_of_the_language_on_a_login_page_returns_to_the_page() {
    let pages = Pages::empty().await;
    let comes_back = async |page: &str| {
        let (_, rest) = page.split_once("name=\"to\" value=\"").unwrap();
        let to = rest.split('"').next().unwrap().replace("&#38;", "&");
        let form = [("lang", "en"), ("to", &*to)];
        let (_, headers, _) = pages.post("/dashboard/look", &form, "").await;
        let back = headers["location"].to_str().unwrap();
        let (status, _, page) = pages.get(back, "waviro_lang=en").await;
        assert_eq!(status, StatusCode::OK, "{back}");
        page
    };
    let link = pages.first_link().await.unwrap();
    let (_, _, page) = pages.get(&link, "").await;
    let page = comes_back(&page).await;
    assert!(page.contains(link.split_once("token=").unwrap().1));
    pages.user("admin", UserRole::Admin).await;
    let (_, _, page) = pages.get("/dashboard/login", "").await;
    assert!(comes_back(&page).await.contains("Log in"));
}

/// Returns the words of a template: between its tags, in attributes for people, and in the quoted
/// texts of expressions that have a blank.
fn literal_words(template: &str) -> Vec<String> {
    let (mut rest, mut words) = (String::new(), Vec::new());
    let mut left = template;
    // Removes the expressions of the template engine.
    while let Some(at) = left.find('{') {
        let (before, after) = left.split_at(at);
        rest.push_str(before);
        let end = match after.get(..2) {
            Some("{{") => after.find("}}"),
            Some("{%") => after.find("%}"),
            Some("{#") => after.find("#}"),
            _ => None,
        };
        let (expression, behind) = after.split_at(end.map_or(1, |end| end + 2));
        let quoted = expression.split('"').skip(1).step_by(2);
        words.extend(quoted.filter(|it| it.contains(' ')).map(ToOwned::to_owned));
        left = behind;
    }
    rest.push_str(left);
    let mut text = rest.as_str();
    while let Some(open) = text.find('<') {
        words.push(text[..open].to_owned());
        let close = text[open..].find('>').map_or(text.len(), |at| open + at);
        let tag = &text[open..close];
        for name in ["placeholder", "title", "alt", "aria-label"] {
            if let Some((_, value)) = tag.split_once(&format!(" {name}=\"")) {
                words.push(value.split('"').next().unwrap_or_default().to_owned());
            }
        }
        text = text.get(close + 1..).unwrap_or_default();
    }
    words.push(text.to_owned());
    for words in &mut words {
        // A block that sets an attribute in a tag of the page around the block.
        for here in [" aria-current=\"page\"", " aria-current=\"true\""] {
            *words = words.replace(here, "");
        }
    }
    words.retain(|words| words.chars().any(char::is_alphabetic));
    words
}

/// Names, examples and code, which are equal in both languages.
const THE_SAME: [&str; 10] = [
    "3EB0… / https://toko.example",
    "waviro user password",
    "waviro user add admin",
    "penawaran#Jhon Doe#jhon@example.com",
    "penawaran#",
    "Waviro",
    "HTTP",
    "POST",
    "ack",
    "ms",
];

#[test]
fn no_template_has_a_sentence_outside_the_files_of_texts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../waviro-web/templates/dashboard");
    let mut templates = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        templates += 1;
        for words in literal_words(&text) {
            let mut left = words.clone();
            for same in THE_SAME {
                left = left.replace(same, "");
            }
            let left = left.trim();
            let example = !left.contains(' ') && left.contains(['.', '/', ':', '-', '_'])
                || left.chars().all(|one| !one.is_lowercase());
            assert!(example, "{}: {words:?}", path.display());
        }
    }
    assert!(templates >= 9);
    assert_eq!(
        literal_words("<p>{{ context.text.page.title }} kata</p>"),
        [" kata"]
    );
    assert_eq!(literal_words("<input placeholder=\"kata\">"), ["kata"]);
    assert_eq!(literal_words("{{ \"dua kata\" }}"), ["dua kata"]);
}
