//! The rig of the dashboard: pages and forms as a browser asks for them, over the whole gateway on a fake link.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use tower::ServiceExt;
use url::form_urlencoded;
use waviro::store::UserRole;

use crate::front::Front;

/// Everybody's.
pub const PASSWORD: &str = "kata sandi yang panjang";

/// A gateway with one bot, and the dashboard's users.
pub struct Pages {
    pub front: Front,
}

impl Pages {
    /// Nobody can log in.
    pub async fn empty() -> Self {
        Self {
            front: Front::online().await,
        }
    }

    /// The same with a bot that was never linked.
    pub async fn unlinked() -> Self {
        Self {
            front: Front::unlinked().await,
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
        let users = self.front.app.users();
        users.add(name, PASSWORD, role, false).await.unwrap();
        self.cookie(name).await
    }

    /// Logs in: the cookie.
    pub async fn cookie(&self, name: &str) -> String {
        let users = self.front.app.users();
        let session = users.log_in(name, PASSWORD).await.unwrap().unwrap();
        format!("waviro_session={}", session.reveal())
    }

    pub async fn add_bot(&self, name: &str) {
        self.front.app.bots().add(name).await.unwrap();
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
        let mut form = form_urlencoded::Serializer::new(String::new());
        let form = form.extend_pairs(fields).finish();
        let own = [("sec-fetch-site", "same-origin")];
        self.send(Method::POST, path, &form, cookie, &own).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: &str,
        cookie: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, HeaderMap, String) {
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
        let response = self.front.app.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 22).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (parts.status, parts.headers, text)
    }
}
