//! The client library's HTTP: the version of WhatsApp Web, later media hosts.
//!
//! It talks to WhatsApp's own hosts and to nobody else, whatever the server on the socket says.

use std::time::Duration;

use async_trait::async_trait;
use whatsapp_rust::anyhow::{self, anyhow, bail};
use whatsapp_rust::http::{HttpClient, HttpRequest, HttpResponse};

use super::is_whatsapp;

/// Longer than any answer of WhatsApp's takes; the library adds no deadline of its own.
const DEADLINE: Duration = Duration::from_secs(20);

/// HTTP to WhatsApp's hosts.
#[derive(Debug, Clone)]
pub(super) struct Http(reqwest::Client);

impl Http {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        // Installs the TLS provider that both this client and the socket use.
        let _ = whatsapp_rust_tokio_transport::default_tls_connector();
        reqwest::Client::builder()
            .timeout(DEADLINE)
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map(Self)
    }
}

#[async_trait]
impl HttpClient for Http {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let url = url::Url::parse(&request.url)?;
        if !url.host_str().is_some_and(is_whatsapp) {
            bail!("refused to ask a host that is not WhatsApp's");
        }
        let method = request
            .method
            .parse()
            .map_err(|_| anyhow!("no such HTTP method: {}", request.method))?;
        let mut call = self.0.request(method, url);
        for (name, value) in request.headers {
            call = call.header(name, value);
        }
        if let Some(body) = request.body {
            call = call.body(body);
        }
        let answer = call.send().await?;
        Ok(HttpResponse {
            status_code: answer.status().as_u16(),
            body: answer.bytes().await?.to_vec(),
        })
    }
}
