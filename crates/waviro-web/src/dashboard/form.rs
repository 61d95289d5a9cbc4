//! Extractor for the body of an HTML form.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use sha2::{Digest, Sha256};
use url::form_urlencoded;
use waviro_core::idempotency::Key;

use super::errors::PageError;
use super::refused::Refused;
use super::state::Dashboard;
use crate::http::{self, BodyFault};

/// The fields of a form, unchanged.
#[derive(Debug, Clone, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Returns a field without surrounding white space, or `None` if the field is missing or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let said = self.raw(name).trim();
        (!said.is_empty()).then_some(said)
    }

    /// Returns a field unchanged, or an empty text if the field is missing.
    pub(super) fn raw(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// Returns an idempotency key made of the form's one-time word and all fields, or `None` if the
    /// form came from no page of the dashboard. The same form sent twice has its effect only once.
    pub(super) fn idempotency_key(&self) -> Option<Key> {
        if self.raw("once").is_empty() {
            return None;
        }
        let mut all = form_urlencoded::Serializer::new(String::new());
        all.extend_pairs(&self.0);
        hex::encode(Sha256::digest(all.finish())).parse().ok()
    }

    /// Returns all values of a repeated field, such as checkboxes.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let fields = self.0.iter().filter(move |(known, _)| known == name);
        fields.map(|(_, value)| value.as_str())
    }
}

impl FromRequest<Arc<Dashboard>> for Form {
    type Rejection = PageError;

    async fn from_request(request: Request, dashboard: &Arc<Dashboard>) -> Result<Self, PageError> {
        let body =
            http::read(request, dashboard.services.body)
                .await
                .map_err(|fault| match fault {
                    BodyFault::TooLarge => Refused::too_large().into(),
                    BodyFault::Incomplete => PageError::BadForm,
                })?;
        let fields = form_urlencoded::parse(&body);
        Ok(Self(fields.into_owned().collect()))
    }
}
