//! The HTML page: askama renders `templates/docs` from the catalogue.

use askama::Template;

use super::catalogue::{Catalogue, Endpoint, Field};
use super::samples::{self, Sample};
use super::{Reader, highlight};
use crate::api::error::{ApiError, Language};

/// A webhook for a PHP host.
const WEBHOOK_IN_PHP: &str = include_str!("../../templates/docs/webhook.php");

/// The page with the whole documentation.
#[derive(Template)]
#[template(path = "docs/page.html")]
pub struct Page<'r> {
    pub reader: &'r Reader,
    pub catalogue: &'static Catalogue,
}

/// The page of a path that does not exist.
#[derive(Template)]
#[template(path = "docs/nothing.html")]
pub struct Nothing<'r> {
    pub reader: &'r Reader,
}

impl Page<'_> {
    /// Returns the fields of the body, the required fields first.
    fn fields(endpoint: &Endpoint) -> Vec<&Field> {
        let mut fields: Vec<&Field> = endpoint.fields.iter().collect();
        fields.sort_by_key(|field| !field.required);
        fields
    }

    fn samples(&self, endpoint: &Endpoint) -> Vec<Sample> {
        let key = self.reader.translate("SECRET_KEY_ANDA", "YOUR_SECRET_KEY");
        samples::of(endpoint, &self.reader.origin, key)
    }

    fn sentence(&self, refusal: &ApiError) -> String {
        refusal.sentence(self.reader.language, "1f2e3d4c", self.reader.docs.body_cap)
    }
}

impl Reader {
    fn translate<'t>(&self, indonesian: &'t str, english: &'t str) -> &'t str {
        match self.language {
            Language::Indonesian => indonesian,
            Language::English => english,
        }
    }
}
