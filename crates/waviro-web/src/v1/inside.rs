//! Calls of the administration API from inside the process: the dashboard calls `/v1` on behalf of
//! its user.
//!
//! The dashboard has no other way to the data. A page shows the API's response, and a form runs the
//! API's handler, with the same checks and the same problems.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, HeaderMap, HeaderValue};
use axum::http::{Method, Request, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::ServiceExt;
use tracing::error;
use waviro_core::idempotency::{KEY, REPLAY};

use super::auth::Caller;
use super::problem::{Answered, Problem};
use crate::http::header;

/// The maximum number of bytes of a response; handlers return less.
pub(super) const ANSWER_CAP: usize = 16 * 1024 * 1024;

/// A client of the `/v1` router without a socket.
#[derive(Clone)]
pub struct Inside {
    router: Router,
}

/// The API's refusal of a call.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Refused {
    /// The status.
    pub status: u16,
    /// The stable code of the problem.
    pub code: String,
    /// The problem and its remedy, in English.
    pub detail: String,
    /// The wrong field.
    pub field: Option<String>,
    /// The request's id in the log.
    pub request_id: String,
    /// The typed problem, with details that the text leaves out.
    #[serde(skip)]
    pub problem: Option<Box<Problem>>,
}

impl Inside {
    /// Creates a client of the same routes that the listener serves.
    #[must_use]
    pub fn new(router: Router) -> Self {
        Self { router }
    }

    /// Returns the response of a GET request.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn get<T: DeserializeOwned>(&self, who: &Caller, path: &str) -> Result<T, Refused> {
        let body = self.ask(who, Method::GET, path, None).await?;
        serde_json::from_value(body).map_err(|cause| failed(path, &cause.to_string()))
    }

    /// Returns the response of a GET request as text of another media type.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn text(
        &self,
        who: &Caller,
        path: &str,
        accept: &'static str,
    ) -> Result<String, Refused> {
        let mut request = begun(who, Method::GET, path)?;
        request
            .headers_mut()
            .insert(ACCEPT, HeaderValue::from_static(accept));
        let bytes = self.answer(request, path).await?;
        String::from_utf8(bytes.into()).map_err(|cause| failed(path, &cause.to_string()))
    }

    /// Returns the response of any other request, or null if the response has no body.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn ask(
        &self,
        who: &Caller,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Refused> {
        let mut request = begun(who, method, path)?;
        if let Some(body) = body {
            *request.body_mut() = Body::from(body.to_string());
        }
        let bytes = self.answer(request, path).await?;
        read(path, &bytes)
    }

    /// Returns the response of a POST request with the `Idempotency-Key` `key`, and whether the
    /// response was a stored first response.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn once(
        &self,
        who: &Caller,
        path: &str,
        body: Option<Value>,
        key: Option<String>,
    ) -> Result<(Value, bool), Refused> {
        let mut request = begun(who, Method::POST, path)?;
        if let Some(body) = body {
            *request.body_mut() = Body::from(body.to_string());
        }
        if let Some(key) = key {
            let value =
                HeaderValue::try_from(key).map_err(|_| failed(path, "invalid idempotency key"))?;
            request.headers_mut().insert(KEY.clone(), value);
        }
        let (headers, bytes) = self.told(request, path).await?;
        let before = header(&headers, &REPLAY.0).is_some();
        Ok((read(path, &bytes)?, before))
    }

    async fn answer(&self, request: Request<Body>, path: &str) -> Result<Bytes, Refused> {
        Ok(self.told(request, path).await?.1)
    }

    async fn told(
        &self,
        request: Request<Body>,
        path: &str,
    ) -> Result<(HeaderMap, Bytes), Refused> {
        let answer = match self.router.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let (parts, body) = answer.into_parts();
        let bytes = axum::body::to_bytes(body, ANSWER_CAP).await;
        let bytes = bytes.map_err(|cause| failed(path, &cause.to_string()))?;
        if parts.status.is_success() {
            return Ok((parts.headers, bytes));
        }
        let refused = serde_json::from_slice(&bytes);
        let mut refused: Refused = refused.unwrap_or_else(|_| failed(path, parts.status.as_str()));
        let problem = parts.extensions.get::<Answered>();
        refused.problem = problem.map(|answered| Box::new(answered.0.clone()));
        Err(refused)
    }
}

/// Parses a response body; an empty body is null.
fn read(path: &str, bytes: &[u8]) -> Result<Value, Refused> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|cause| failed(path, &cause.to_string()))
}

fn begun(who: &Caller, method: Method, path: &str) -> Result<Request<Body>, Refused> {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().map_err(|_| failed(path, "invalid path"))?;
    request.extensions_mut().insert(who.clone());
    Ok(request)
}

fn failed(path: &str, cause: &str) -> Refused {
    error!(path, cause, "API request of the dashboard failed");
    Refused {
        status: StatusCode::INTERNAL_SERVER_ERROR.as_u16(),
        code: "internal".to_owned(),
        detail: "The gateway failed; its log has the cause.".to_owned(),
        field: None,
        request_id: String::new(),
        problem: None,
    }
}
