//! The body of a form.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use super::Shared;
use super::wrong::Wrong;
use crate::door::{self, BodyFault};
use crate::v1::inside::Refused;

/// Its fields, as they were sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// A field with the blanks around it taken away; `None` where it is missing or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let said = self.raw(name).trim();
        (!said.is_empty()).then_some(said)
    }

    /// A field to the letter; empty where it is missing.
    pub(super) fn raw(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// What tells this form from every other that was ever shown and filled in; `None` for one that was not shown by a page of ours. The
    /// same form sent again is not done again.
    pub(super) fn once(&self) -> Option<String> {
        if self.raw("once").is_empty() {
            return None;
        }
        let mut all = form_urlencoded::Serializer::new(String::new());
        all.extend_pairs(&self.0);
        Some(hex::encode(Sha256::digest(all.finish())))
    }

    /// Every value of a field that may be there several times: the boxes that were ticked.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let fields = self.0.iter().filter(move |(known, _)| known == name);
        fields.map(|(_, value)| value.as_str())
    }
}

impl FromRequest<Arc<Shared>> for Form {
    type Rejection = Wrong;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Wrong> {
        let body = door::read(request, shared.body)
            .await
            .map_err(|fault| match fault {
                BodyFault::TooLarge => Refused::too_large().into(),
                BodyFault::Incomplete => Wrong::BadForm,
            })?;
        let fields = form_urlencoded::parse(&body);
        Ok(Self(fields.into_owned().collect()))
    }
}
