//! The test browser of the dashboard: requests pages and submits forms on a gateway with a fake
//! link. [`Pages`] uses any cookie or none; a [`Visitor`] is a logged-in user on the gateway of a
//! [`TestApp`].

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use tower::ServiceExt;
use url::form_urlencoded;
use waviro_store::UserRole;

use crate::test_app::TestApp;

/// The password of all test users.
pub const PASSWORD: &str = "kata sandi yang panjang";

/// The address of a request without a connection.
pub const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The header that a browser sends with a form of the same site.
const OWN: [(&str, &str); 1] = [("sec-fetch-site", "same-origin")];

/// A gateway with one bot and dashboard users.
pub struct Pages {
    pub app: TestApp,
}

/// A logged-in user with English pages.
pub struct Visitor<'f> {
    app: &'f TestApp,
    cookie: String,
}

/// A received page.
#[derive(Debug)]
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Pages {
    /// Starts a gateway without users.
    pub async fn empty() -> Self {
        Self {
            app: TestApp::online().await,
        }
    }

    /// Starts a gateway with the user `admin`.
    pub async fn with_admin() -> Self {
        let pages = Self::empty().await;
        pages.user("admin", UserRole::Admin).await;
        pages
    }

    /// Returns the setup link of the first user.
    pub async fn first_link(&self) -> Option<String> {
        self.app.inner.first_link().await.unwrap()
    }

    /// Adds a user, logs in and returns the cookie.
    pub async fn user(&self, name: &str, role: UserRole) -> String {
        Visitor::new(&self.app, name, role).await.cookie
    }

    /// Logs in and returns the cookie.
    pub async fn cookie(&self, name: &str) -> String {
        Visitor::again(&self.app, name).await.cookie
    }

    pub async fn get(&self, path: &str, cookie: &str) -> (StatusCode, HeaderMap, String) {
        self.send(Method::GET, path, "", cookie, &[]).await
    }

    /// Submits a form of the dashboard.
    pub async fn post(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        cookie: &str,
    ) -> (StatusCode, HeaderMap, String) {
        self.send(Method::POST, path, &form(fields), cookie, &OWN)
            .await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: &str,
        cookie: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, HeaderMap, String) {
        let page = ask(&self.app, method, path, body, cookie, headers).await;
        (page.status, page.headers, page.text)
    }
}

impl<'f> Visitor<'f> {
    /// Adds a user and logs in.
    pub async fn new(app: &'f TestApp, name: &str, role: UserRole) -> Self {
        let users = app.inner.users();
        users.add(name, PASSWORD, role, false).await.unwrap();
        Self::again(app, name).await
    }

    /// Adds the user `admin` and logs in.
    pub async fn admin(app: &'f TestApp) -> Self {
        Self::new(app, "admin", UserRole::Admin).await
    }

    /// Logs in an existing user with a new session.
    pub async fn again(app: &'f TestApp, name: &str) -> Self {
        let session = app.inner.users().log_in(NOWHERE, name, PASSWORD).await;
        let session = session.unwrap().unwrap();
        Self::with(app, format!("waviro_session={}", session.reveal()))
    }

    /// Uses an existing cookie.
    pub fn with(app: &'f TestApp, cookie: String) -> Self {
        Self { app, cookie }
    }

    pub async fn get(&self, path: &str) -> Page {
        self.ask(Method::GET, path, "", &[]).await
    }

    /// Requests a page and expects status 200.
    pub async fn page(&self, path: &str) -> Page {
        let page = self.get(path).await;
        page.shown();
        page
    }

    /// Submits a form of the dashboard.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.ask(Method::POST, path, &form(fields), &OWN).await
    }

    async fn ask(&self, method: Method, path: &str, body: &str, headers: &[(&str, &str)]) -> Page {
        let headers = [headers, &[("accept-language", "en")]].concat();
        ask(self.app, method, path, body, &self.cookie, &headers).await
    }
}

impl Page {
    /// Returns the redirect target after an accepted form.
    #[track_caller]
    pub fn leads_to(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        self.headers["location"].to_str().unwrap()
    }

    #[track_caller]
    pub fn shown(&self) -> &Self {
        self.is(200)
    }

    /// Expects an error page with this status.
    #[track_caller]
    pub fn refused(&self, status: u16) -> &Self {
        assert!(status >= 400, "{status} is no refusal");
        self.is(status)
    }

    #[track_caller]
    pub fn has(&self, wanted: &[&str]) -> &Self {
        for wanted in wanted {
            assert!(self.text.contains(wanted), "{wanted}: {}", self.text);
        }
        self
    }

    #[track_caller]
    pub fn lacks(&self, unwanted: &[&str]) -> &Self {
        for unwanted in unwanted {
            assert!(!self.text.contains(unwanted), "{unwanted}: {}", self.text);
        }
        self
    }

    /// Returns the page without its navigation bar, which depends on the user.
    #[track_caller]
    pub fn main(&self) -> &str {
        let (_, main) = self.text.split_once("<main").unwrap();
        main
    }

    /// Returns the value of the readonly field with this id.
    #[track_caller]
    pub fn value_of(&self, id: &str) -> String {
        let (_, rest) = self.text.split_once(&format!("id=\"{id}\"")).unwrap();
        let (_, rest) = rest.split_once("value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    #[track_caller]
    fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        let kind = self.headers["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/html"), "no page: {kind}");
        self
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields).finish()
}

async fn ask(
    app: &TestApp,
    method: Method,
    path: &str,
    body: &str,
    cookie: &str,
    headers: &[(&str, &str)],
) -> Page {
    let mut request = Request::builder().method(method).uri(path);
    if !cookie.is_empty() {
        request = request.header("cookie", cookie);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .header("host", "127.0.0.1:8080")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let response = app.inner.router().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 22).await.unwrap();
    Page {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.into()).unwrap(),
    }
}
