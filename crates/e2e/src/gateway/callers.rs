//! The API clients of a gateway: a bot with its SecretKey and an operator with a token.

use reqwest::StatusCode;
use serde_json::{Value, json};
use wa_sim::Phone;

use crate::eventually;

/// A bot of a gateway, with its SecretKey.
#[derive(Clone)]
pub struct Bot {
    /// The bot's SecretKey, as sent in the header.
    pub key: String,
    pub(super) http: reqwest::Client,
    pub(super) url: String,
}

/// An operator with full rights in `/v1`.
#[derive(Clone)]
pub struct Admin {
    pub(super) http: reqwest::Client,
    pub(super) url: String,
    pub(super) token: String,
}

/// A response of the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The JSON body.
    pub body: Value,
}

impl Bot {
    /// Posts a JSON body to the API and expects a response.
    pub async fn call(&self, path: &str, body: Value) -> Answer {
        self.try_call(path, body)
            .await
            .expect("the gateway answers")
    }

    /// Posts a JSON body to the API; the gateway may be down.
    pub async fn try_call(&self, path: &str, body: Value) -> Result<Answer, reqwest::Error> {
        let answer = self
            .http
            .post(format!("{}{path}", self.url))
            .header("SecretKey", &self.key)
            .json(&body)
            .send()
            .await?;
        Ok(Answer {
            status: answer.status(),
            body: answer.json().await?,
        })
    }

    /// Sends a text with `/api/sendwa`; `notify` is the `notifyurl`.
    pub async fn sendwa(&self, to: &str, text: &str, notify: Option<&str>) -> Answer {
        let body = json!({"nohp": to, "pesan": text, "notifyurl": notify});
        self.call("/api/sendwa", body).await
    }

    /// Calls `/api/sendwa`, expects 200, and returns the message id.
    pub async fn accepted(&self, to: &str, text: &str, notify: Option<&str>) -> String {
        let answer = self.sendwa(to, text, notify).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.id()
    }

    /// Links the bot by QR code: fetches the code from `/api/getqr`, lets the phone scan the code,
    /// and waits until `/api/getqr` reports the bot as linked.
    pub async fn link(&self, phone: &Phone) {
        let code = eventually("a QR code", async || {
            let answer = self.call("/api/getqr", json!({})).await;
            answer.body["message"]["qrcode"]
                .as_str()
                .filter(|code| code.starts_with("2@"))
                .map(ToOwned::to_owned)
                .ok_or(answer)
        })
        .await;
        phone.scan(&code).await.expect("the phone links the device");
        self.wait_linked().await;
    }

    /// Waits until `/api/getqr` reports the bot as linked.
    pub async fn wait_linked(&self) {
        eventually("the bot to be linked", async || {
            let answer = self.call("/api/getqr", json!({})).await;
            match answer.body["message"]["isAuthenticated"].as_bool() {
                Some(true) => Ok(()),
                _ => Err(answer),
            }
        })
        .await;
    }
}

impl Admin {
    /// Sends a GET request, expects success, and returns the body.
    pub async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.url));
        self.done(request).await
    }

    /// Sends a POST request, expects success, and returns the body.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.url)).json(&body);
        self.done(request).await
    }

    /// Sends a POST request with an `Idempotency-Key`, expects success, and returns the body.
    pub async fn post_with_key(&self, path: &str, key: &str, body: &'static str) -> Value {
        let request = self.http.post(format!("{}{path}", self.url)).body(body);
        self.done(request.header("Idempotency-Key", key)).await
    }

    /// Sends any request and returns status and body; the gateway may be down. A POST carries an
    /// `Idempotency-Key`, as clients should send.
    pub async fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<(u16, Value), reqwest::Error> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.url));
        let key = format!("{:032x}", rand::random::<u128>());
        let request = request
            .bearer_auth(&self.token)
            .header("Idempotency-Key", key);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or_default()))
    }

    /// Logs in to the dashboard as a browser does; returns the cookie after a successful login.
    pub async fn log_in(&self, name: &str, password: &str) -> Option<String> {
        let form = form(&[("name", name), ("password", password)]);
        let answer = self.submit("/dashboard/login", form, "").await?;
        let cookie = answer.headers().get("set-cookie")?.to_str().ok()?;
        cookie.split(';').next().map(ToOwned::to_owned)
    }

    async fn submit(&self, path: &str, form: String, cookie: &str) -> Option<reqwest::Response> {
        let request = self.http.post(format!("{}{path}", self.url));
        let request = request
            .header("Sec-Fetch-Site", "same-origin")
            .header("Cookie", cookie)
            .body(form);
        request.send().await.ok()
    }

    /// Returns the same client with another token.
    #[must_use]
    pub fn with(&self, token: &str) -> Self {
        Self {
            http: self.http.clone(),
            url: self.url.clone(),
            token: token.to_owned(),
        }
    }

    async fn done(&self, request: reqwest::RequestBuilder) -> Value {
        let request = request.bearer_auth(&self.token);
        let answer = request.send().await.expect("the gateway answers");
        let status = answer.status();
        let body = answer.text().await.expect("a body");
        assert!(status.is_success(), "{status} {body}");
        serde_json::from_str(&body).unwrap_or_default()
    }
}

impl Answer {
    /// The id of an accepted message.
    #[must_use]
    pub fn id(&self) -> String {
        self.body["message"]["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The machine-readable code of a refusal.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields).finish()
}
