//! The HTTP client for the tested host. The client sends requests exactly as specified and does not
//! interpret the answers.

use std::time::Duration;

use reqwest::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use url::Url;

use crate::answer::Answer;
use crate::failure::Failure;

/// The timeout of an answer. The host may fetch a file of 16 MiB before answering.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// The limit for reading an answer.
const ANSWER_CAP: usize = 1024 * 1024;

const KEY: HeaderName = HeaderName::from_static("secretkey");

/// The tested host with the bot's key.
pub(crate) struct Host {
    base: String,
    pub(crate) key: String,
    lower: Client,
    title: Client,
}

/// A request to `/api/{path}`.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The SecretKey header, sent unchanged; `None` leaves the header out.
    pub(crate) key: Option<String>,
    /// Sends the header name as `Secretkey` instead of `secretkey`.
    pub(crate) title_case: bool,
    pub(crate) content_type: Option<String>,
    pub(crate) language: Option<&'static str>,
    /// An empty body sends a Content-Length of 0, as PHP's curl does.
    pub(crate) body: Vec<u8>,
}

impl Host {
    pub(crate) fn new(url: &Url, key: &str) -> Result<Self, reqwest::Error> {
        // Only the first installation in a process succeeds, and the client works with any
        // provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A redirect counts as the answer, and is always wrong.
        let client = || {
            Client::builder()
                .redirect(Policy::none())
                .timeout(ANSWER_WITHIN)
                .no_proxy()
        };
        Ok(Self {
            base: url.as_str().trim_end_matches('/').to_owned(),
            key: key.to_owned(),
            lower: client().build()?,
            title: client().http1_title_case_headers().build()?,
        })
    }

    /// Returns a POST to `/api/{path}` with the bot's key and without a body.
    pub(crate) fn post(&self, path: impl Into<String>) -> Request {
        Request {
            method: Method::POST,
            path: path.into(),
            key: Some(self.key.clone()),
            title_case: false,
            content_type: None,
            language: None,
            body: Vec::new(),
        }
    }

    /// Sends the request and reads any answer.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let asked = request.described();
        let client = if request.title_case {
            &self.title
        } else {
            &self.lower
        };
        let url = format!("{}/api/{}", self.base, request.path);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (KEY, request.key.as_deref()),
            (CONTENT_TYPE, request.content_type.as_deref()),
            (ACCEPT_LANGUAGE, request.language),
        ] {
            let Some(value) = value else { continue };
            let value = HeaderValue::from_bytes(value.as_bytes())
                .map_err(|_| Failure::new(format!("the header {name} cannot be sent over HTTP")))?;
            headers.insert(name, value);
        }
        let sending = client
            .request(request.method.clone(), url)
            .headers(headers)
            .body(request.body.clone());
        let broken =
            |error: reqwest::Error| Failure::new(format!("{asked}: no answer: {}", chain(&error)));
        let mut response = sending.send().await.map_err(&broken)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(&broken)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_CAP {
                return Err(Failure::new(format!(
                    "{asked}: the answer is larger than 1 MiB"
                )));
            }
        }
        Ok(Answer::new(asked, status, headers, &body))
    }
}

impl Request {
    /// Describes the request without the key.
    fn described(&self) -> String {
        const SHOWN: usize = 200;
        let body = String::from_utf8_lossy(&self.body);
        let mut body: String = body.chars().take(SHOWN).collect();
        if body.chars().count() == SHOWN {
            body.push('…');
        }
        format!("{} /api/{} {body}", self.method, self.path)
            .trim_end()
            .to_owned()
    }
}

/// Joins an error with its sources: the text of reqwest alone does not name the cause.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
