//! The HTTP client for the tested host. The client sends requests exactly as specified and does not
//! interpret the answers.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde_json::Value;
use url::Url;

use crate::answer::{Answer, Failure};

/// The timeout of an answer. The host may fetch a file of 16 MiB before answering.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// The limit for reading an answer.
const ANSWER_CAP: usize = 1024 * 1024;

/// The tested host with the bot's key.
pub(crate) struct Host {
    base: String,
    key: String,
    lower: Client,
    title: Client,
}

/// A request under construction.
pub(crate) struct Ask<'h> {
    host: &'h Host,
    method: Method,
    path: String,
    key: Option<String>,
    title_case: bool,
    content_type: Option<&'static str>,
    body: Option<Vec<u8>>,
    language: Option<&'static str>,
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

    /// Prepares a POST to `/api/{endpoint}` with the bot's key and without a body.
    pub(crate) fn post(&self, endpoint: &str) -> Ask<'_> {
        Ask {
            host: self,
            method: Method::POST,
            path: format!("/api/{endpoint}"),
            key: Some(self.key.clone()),
            title_case: false,
            content_type: None,
            body: None,
            language: None,
        }
    }

    /// Prepares a POST with a JSON body, as the documented samples do.
    pub(crate) fn json(&self, endpoint: &str, body: &Value) -> Ask<'_> {
        self.post(endpoint)
            .body(Some("application/json"), body.to_string())
    }

    /// The bot's key, for tests of the header's form.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }
}

impl Ask<'_> {
    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Sets the SecretKey header unchanged; `None` leaves the header out.
    pub(crate) fn key(mut self, value: Option<String>) -> Self {
        self.key = value;
        self
    }

    /// Sends the header name as `Secretkey` instead of `secretkey`.
    pub(crate) fn title_case(mut self) -> Self {
        self.title_case = true;
        self
    }

    pub(crate) fn language(mut self, language: &'static str) -> Self {
        self.language = Some(language);
        self
    }

    pub(crate) fn body(
        mut self,
        content_type: Option<&'static str>,
        body: impl Into<Vec<u8>>,
    ) -> Self {
        self.content_type = content_type;
        self.body = Some(body.into());
        self
    }

    /// Sends the request and reads any answer.
    pub(crate) async fn send(self) -> Result<Answer, Failure> {
        let asked = self.described();
        let client = if self.title_case {
            &self.host.title
        } else {
            &self.host.lower
        };
        let url = format!("{}{}", self.host.base, self.path);
        let mut request = client.request(self.method, url);
        if let Some(key) = self.key {
            let value = HeaderValue::from_bytes(key.as_bytes())
                .map_err(|_| Failure::new("the key cannot be sent in an HTTP header"))?;
            request = request.header("secretkey", value);
        }
        if let Some(content_type) = self.content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        if let Some(language) = self.language {
            request = request.header("accept-language", language);
        }
        // An empty body sends a Content-Length of 0, as PHP's curl does.
        request = request.body(self.body.unwrap_or_default());
        let broken =
            |error: reqwest::Error| Failure::new(format!("{asked}: no answer: {}", chain(&error)));
        let mut response = request.send().await.map_err(&broken)?;
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

    /// Describes the request without the key.
    fn described(&self) -> String {
        const SHOWN: usize = 200;
        let body = self.body.as_deref().map(String::from_utf8_lossy);
        let mut body: String = body.as_deref().unwrap_or("").chars().take(SHOWN).collect();
        if body.chars().count() == SHOWN {
            body.push('…');
        }
        format!("{} {} {body}", self.method, self.path)
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
