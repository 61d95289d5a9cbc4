//! A host with one defect: a proxy in front of the real API that changes requests, answers or
//! callbacks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::defects::{Defect, Spoils};

/// A server that stops on drop.
pub struct DefectiveHost {
    address: SocketAddr,
    stop: CancellationToken,
}

/// An incoming request.
#[derive(Clone)]
pub struct IncomingRequest {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The parsed JSON body; null for other bodies.
    pub json: Value,
    /// True if an equal body was accepted before.
    pub repeated: bool,
}

/// An outgoing answer.
pub struct OutgoingAnswer {
    pub status: u16,
    pub content_type: &'static str,
    pub location: Option<String>,
    pub body: Value,
}

/// A callback on the way to the suite.
pub struct OutgoingCallback {
    pub method: Method,
    pub content_type: &'static str,
    pub chunked: bool,
    pub body: String,
}

struct Proxy {
    api: Router,
    defect: Option<Defect>,
    address: SocketAddr,
    accepted: Mutex<Vec<Value>>,
    http: reqwest::Client,
}

struct Listening {
    listener: TcpListener,
    refuses: Option<fn(&str) -> bool>,
}

impl DefectiveHost {
    pub async fn start(api: Router, defect: Option<Defect>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let refuses = match &defect {
            Some(Defect {
                spoils: Spoils::Head(refuses),
                ..
            }) => Some(*refuses),
            _ => None,
        };
        let listening = Listening { listener, refuses };
        let proxy = Proxy {
            api,
            defect,
            address,
            accepted: Mutex::default(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        };
        let router = Router::new()
            .route("/relay", any(relay))
            .fallback(through)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::new(proxy));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        TaskTracker::new().spawn(async move {
            tokio::select! {
                served = axum::serve(listening, router) => served.unwrap(),
                () = stopped => {}
            }
        });
        Self { address, stop }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for DefectiveHost {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Reads the request head as written on the wire, because no HTTP library shows the original to a
/// handler.
impl axum::serve::Listener for Listening {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (mut stream, address) = self.listener.accept().await.unwrap();
            let Some(refuses) = self.refuses else {
                return (stream, address);
            };
            let mut head = vec![0; 2048];
            let read = stream.peek(&mut head).await.unwrap_or(0);
            if !refuses(&String::from_utf8_lossy(&head[..read])) {
                return (stream, address);
            }
            let no = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.write_all(no.as_bytes()).await;
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

async fn through(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let mut asked = IncomingRequest {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        json: serde_json::from_slice(&body).unwrap_or_default(),
        body,
        repeated: false,
    };
    asked.repeated = proxy.accepted.lock().unwrap().contains(&asked.json);
    let before = asked.json.clone();
    match proxy.defect.as_ref().map(|defect| &defect.spoils) {
        Some(Spoils::Request(spoil)) => {
            if let Some(answer) = spoil(&mut asked) {
                return answer.into_response();
            }
        }
        Some(Spoils::Callback(_) | Spoils::Lost(_)) if asked.json["notifyurl"].is_string() => {
            let to = asked.json["notifyurl"].as_str().unwrap();
            asked.json["notifyurl"] = json!(format!("http://{}/relay?to={to}", proxy.address));
        }
        _ => {}
    }
    if asked.json != before {
        asked.body = asked.json.to_string().into();
        asked.headers.remove("content-length");
    }
    let mut request = Request::builder()
        .method(&asked.method)
        .uri(&asked.path)
        .body(Body::from(asked.body.clone()))
        .unwrap();
    *request.headers_mut() = asked.headers.clone();
    let response = proxy.api.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20)
        .await
        .unwrap();
    let mut answer = OutgoingAnswer {
        status,
        content_type: "application/json",
        location: None,
        body: serde_json::from_slice(&body).unwrap(),
    };
    if status == 200 {
        proxy.accepted.lock().unwrap().push(before);
    }
    if let Some(Spoils::Answer(spoil)) = proxy.defect.as_ref().map(|defect| &defect.spoils) {
        spoil(&asked, &mut answer);
    }
    answer.into_response()
}

#[derive(serde::Deserialize)]
struct Target {
    to: String,
}

/// Forwards the gateway's callback to the suite with the defect.
async fn relay(
    State(proxy): State<Arc<Proxy>>,
    Query(target): Query<Target>,
    body: Bytes,
) -> StatusCode {
    let callback: Value = serde_json::from_slice(&body).unwrap();
    let (calls, passes_on) = match proxy.defect.as_ref().map(|defect| &defect.spoils) {
        Some(Spoils::Callback(spoil)) => (spoil(&callback), true),
        Some(Spoils::Lost(spoil)) => (spoil(&callback), false),
        _ => unreachable!("only these come here"),
    };
    let mut status = StatusCode::OK;
    for call in calls {
        let request = proxy.http.request(call.method, &target.to);
        let request = request.header(CONTENT_TYPE, call.content_type);
        let request = if call.chunked {
            let piece = Ok::<_, std::io::Error>(call.body.into_bytes());
            request.body(reqwest::Body::wrap_stream(futures::stream::iter([piece])))
        } else {
            request.body(call.body)
        };
        status = request.send().await.unwrap().status();
    }
    if passes_on { status } else { StatusCode::OK }
}

impl IncomingRequest {
    pub fn endpoint(&self) -> &str {
        self.path.trim_start_matches("/api/").trim_end_matches('/')
    }

    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl OutgoingAnswer {
    pub fn refusal() -> Self {
        Self {
            status: 400,
            content_type: "application/json",
            location: None,
            body: json!({"success": false, "errorMessage": "Tidak bisa."}),
        }
    }

    pub fn success(message: Value) -> Self {
        let mut body = json!({"success": true});
        body["message"] = message;
        Self {
            status: 200,
            body,
            ..Self::refusal()
        }
    }
}

impl OutgoingCallback {
    pub fn unchanged(callback: &Value) -> Self {
        Self {
            method: Method::POST,
            content_type: "application/json",
            chunked: false,
            body: callback.to_string(),
        }
    }
}

impl IntoResponse for OutgoingAnswer {
    fn into_response(self) -> Response {
        let text = match self.body {
            Value::String(text) if self.content_type != "application/json" => text,
            json => json.to_string(),
        };
        let mut response = (
            StatusCode::from_u16(self.status).unwrap(),
            [
                (CONTENT_TYPE, self.content_type.to_owned()),
                // Closes the connection after each request, so that the listener sees the head of
                // each request.
                (CONNECTION, "close".to_owned()),
            ],
            text,
        )
            .into_response();
        if let Some(location) = self.location {
            response
                .headers_mut()
                .insert(LOCATION, location.parse().unwrap());
        }
        response
    }
}
