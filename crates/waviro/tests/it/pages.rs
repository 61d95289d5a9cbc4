//! The rig of the dashboard: pages and forms as a browser asks for them, over the whole gateway on a fake link. [`Pages`] asks with any
//! cookie or none; a [`Visitor`] is somebody who is logged in, over any rig that has a [`Front`].

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use tower::ServiceExt;
use url::form_urlencoded;
use waviro::store::UserRole;

use crate::front::Front;

/// Everybody's.
pub const PASSWORD: &str = "kata sandi yang panjang";

/// The address of a request that came over no connection.
pub const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What a browser says of a form of one of the dashboard's own pages.
const OWN: [(&str, &str); 1] = [("sec-fetch-site", "same-origin")];

/// A gateway with one bot, and the dashboard's users.
pub struct Pages {
    pub front: Front,
}

/// Somebody who is logged in and reads English.
pub struct Visitor<'f> {
    front: &'f Front,
    cookie: String,
}

/// What came back.
#[derive(Debug)]
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Pages {
    /// Nobody can log in.
    pub async fn empty() -> Self {
        Self {
            front: Front::online().await,
        }
    }

    /// `admin` can.
    pub async fn with_admin() -> Self {
        let pages = Self::empty().await;
        pages.user("admin", UserRole::Admin).await;
        pages
    }

    /// The link by which the first user is made.
    pub async fn first_link(&self) -> Option<String> {
        self.front.app.first_link().await.unwrap()
    }

    /// Makes a user and logs in: the cookie.
    pub async fn user(&self, name: &str, role: UserRole) -> String {
        Visitor::new(&self.front, name, role).await.cookie
    }

    /// Logs in: the cookie.
    pub async fn cookie(&self, name: &str) -> String {
        Visitor::again(&self.front, name).await.cookie
    }

    pub async fn get(&self, path: &str, cookie: &str) -> (StatusCode, HeaderMap, String) {
        self.send(Method::GET, path, "", cookie, &[]).await
    }

    /// A form of one of the dashboard's own pages.
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
        let page = ask(&self.front, method, path, body, cookie, headers).await;
        (page.status, page.headers, page.text)
    }
}

impl<'f> Visitor<'f> {
    /// A new user, logged in.
    pub async fn new(front: &'f Front, name: &str, role: UserRole) -> Self {
        let users = front.app.users();
        users.add(name, PASSWORD, role, false).await.unwrap();
        Self::again(front, name).await
    }

    /// A new admin of that name.
    pub async fn admin(front: &'f Front) -> Self {
        Self::new(front, "admin", UserRole::Admin).await
    }

    /// A user that there is, with a session of their own.
    pub async fn again(front: &'f Front, name: &str) -> Self {
        let session = front.app.users().log_in(NOWHERE, name, PASSWORD).await;
        let session = session.unwrap().unwrap();
        Self::with(front, format!("waviro_session={}", session.reveal()))
    }

    /// Whoever has this cookie.
    pub fn with(front: &'f Front, cookie: String) -> Self {
        Self { front, cookie }
    }

    pub async fn get(&self, path: &str) -> Page {
        self.ask(Method::GET, path, "", &[]).await
    }

    /// The page, which must be there.
    pub async fn page(&self, path: &str) -> Page {
        let page = self.get(path).await;
        page.shown();
        page
    }

    /// A form of one of the dashboard's own pages.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.ask(Method::POST, path, &form(fields), &OWN).await
    }

    async fn ask(&self, method: Method, path: &str, body: &str, headers: &[(&str, &str)]) -> Page {
        let headers = [headers, &[("accept-language", "en")]].concat();
        ask(self.front, method, path, body, &self.cookie, &headers).await
    }
}

impl Page {
    /// Where a form that was taken sends the browser.
    #[track_caller]
    pub fn leads_to(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        self.headers["location"].to_str().unwrap()
    }

    #[track_caller]
    pub fn shown(&self) -> &Self {
        self.is(200)
    }

    /// With this status, on a page that says so.
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

    /// The page without its bar, which is about the reader alone.
    #[track_caller]
    pub fn main(&self) -> &str {
        let (_, main) = self.text.split_once("<main").unwrap();
        main
    }

    /// The value of the readonly field with this id.
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
    front: &Front,
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
    let response = front.app.router().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 22).await.unwrap();
    Page {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.into()).unwrap(),
    }
}
