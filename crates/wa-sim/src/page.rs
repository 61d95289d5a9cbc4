//! The simulator's web page: the virtual phones, used in a browser.
//!
//! The page consists of plain files embedded in the program, and reads only the control API. The
//! content of messages is untrusted input, so the content security policy below allows no script
//! and no resource except these files and the media of the control API.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::sim::Sim;
use crate::world::media::{hex, sha256};

/// Allows no foreign resource, no inline code and no embedding in a frame. Pictures and films come
/// from the control API. Files to be sent are previewed as blobs; thumbnails are data URLs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const DRAWING: &str = "image/svg+xml";

/// A file of the page: name, content type, text.
type File = (&'static str, &'static str, &'static str);

macro_rules! files {
    ($($name:literal is $kind:ident),+ $(,)?) => {
        [$(($name, $kind, include_str!(concat!("../page/", $name)))),+]
    };
}

/// All files of the page. The first file is the page itself.
const FILES: [File; 22] = files![
    "index.html" is HTML,
    "page.css" is STYLE,
    "icon.svg" is DRAWING,
    "api.js" is SCRIPT,
    "app.js" is SCRIPT,
    "bubble.js" is SCRIPT,
    "chats.js" is SCRIPT,
    "composer.js" is SCRIPT,
    "conversation.js" is SCRIPT,
    "devices.js" is SCRIPT,
    "dialogs.js" is SCRIPT,
    "dom.js" is SCRIPT,
    "faults.js" is SCRIPT,
    "groups.js" is SCRIPT,
    "icons.js" is SCRIPT,
    "link.js" is SCRIPT,
    "look.js" is SCRIPT,
    "pane.js" is SCRIPT,
    "say.js" is SCRIPT,
    "state.js" is SCRIPT,
    "wire.js" is SCRIPT,
    "words.js" is SCRIPT,
];

/// Serves the page at `/`, and its files below `/page`.
pub(crate) fn router() -> Router<Sim> {
    Router::new()
        .route(
            "/",
            get(async |headers: HeaderMap| serve("index.html", &headers)),
        )
        .route(
            "/page/{name}",
            get(async |Path(name): Path<String>, headers: HeaderMap| serve(&name, &headers)),
        )
        .layer(map_response(guarded))
}

fn serve(name: &str, asked: &HeaderMap) -> Response {
    let found = FILES.iter().find(|(known, _, _)| *known == name);
    let Some((_, kind, text)) = found else {
        return (StatusCode::NOT_FOUND, "the page has no such file").into_response();
    };
    let tag = format!("\"{}\"", &hex(&sha256(text.as_bytes()))[..16]);
    let known = asked.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    // `no-cache` makes the browser revalidate each file, so that files of two versions never mix.
    let headers = [(ETAG, tag.as_str()), (CACHE_CONTROL, "no-cache")];
    if known.is_some_and(|tags| tags.contains(&tag)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(CONTENT_TYPE, *kind)], *text).into_response()
}

async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
