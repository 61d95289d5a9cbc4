//! The page: askama fills `templates/docs` from the catalogue.

use askama::Template;

use super::catalogue::{self, ACKS, CALLBACK, Endpoint, HOOK, HOOK_IN_PHP, REFUSAL, REPLY, Text};
use super::highlight;
use super::origin::Origin;
use super::samples::{self, Sample};
use crate::api::error::{ApiError, Language};

/// Everything on one page.
#[derive(Template)]
#[template(path = "docs/page.html")]
pub struct Page {
    language: Language,
    /// How the page reaches its files from where it was opened: `docs/` from `/docs`, nothing from `/docs/`. Relative, so that a
    /// proxy may serve it below whatever path it likes.
    beside: &'static str,
    style: String,
    script: String,
    url: String,
    chapters: Vec<Chapter>,
    anywhere: Vec<Said>,
}

/// What is shown where there is nothing.
#[derive(Template)]
#[template(path = "docs/nothing.html")]
pub struct Nothing {
    /// Of the answer.
    pub language: Language,
    /// Where the documentation is.
    pub docs: String,
}

struct Chapter {
    anchor: &'static str,
    title: Text,
    text: Text,
    calls: Vec<Call>,
}

struct Call {
    endpoint: Endpoint,
    samples: [Sample; 5],
    refusals: Vec<Said>,
}

/// A refusal as its reader meets it.
struct Said {
    status: u16,
    code: &'static str,
    field: Option<&'static str>,
    sentence: String,
}

/// What the page is made for.
pub struct Reader<'r> {
    /// Chosen or preferred.
    pub language: Language,
    /// Where the gateway was found.
    pub origin: &'r Origin,
    /// Whether the path ended in a slash.
    pub inside: bool,
    /// `limits.body_kib`, in bytes.
    pub body_cap: usize,
}

impl Page {
    /// Fills the page; `style` and `script` are the names of its files.
    #[must_use]
    pub fn new(reader: &Reader<'_>, style: &str, script: &str) -> Self {
        let language = reader.language;
        let said = |refusals: Vec<ApiError>| {
            let said = refusals.iter().map(|refusal| Said {
                status: refusal.status().as_u16(),
                code: refusal.code(),
                field: refusal.field(),
                sentence: refusal.sentence(language, "1f2e3d4c", reader.body_cap),
            });
            said.collect::<Vec<_>>()
        };
        let key = match language {
            Language::Indonesian => "SECRET_KEY_ANDA",
            Language::English => "YOUR_SECRET_KEY",
        };
        let call = |endpoint: Endpoint| Call {
            samples: samples::of(&endpoint, reader.origin, key),
            refusals: said(endpoint.refusals()),
            endpoint,
        };
        let chapters = catalogue::sections().into_iter().map(|section| Chapter {
            anchor: section.anchor,
            title: section.title,
            text: section.text,
            calls: section.endpoints.into_iter().map(call).collect(),
        });
        Self {
            language,
            beside: if reader.inside { "" } else { "docs/" },
            style: style.to_owned(),
            script: script.to_owned(),
            url: reader.origin.url(),
            chapters: chapters.collect(),
            anywhere: said(catalogue::anywhere()),
        }
    }

    fn say<'t>(&self, indonesian: &'t str, english: &'t str) -> &'t str {
        match self.language {
            Language::Indonesian => indonesian,
            Language::English => english,
        }
    }

    fn text(&self, text: impl Spoken) -> &'static str {
        text.spoken(self.language)
    }
}

/// A text, through as many references as a template puts before it.
trait Spoken {
    fn spoken(&self, language: Language) -> &'static str;
}

impl Spoken for Text {
    fn spoken(&self, language: Language) -> &'static str {
        self.r#in(language)
    }
}

impl<S: Spoken> Spoken for &S {
    fn spoken(&self, language: Language) -> &'static str {
        (**self).spoken(language)
    }
}

impl Nothing {
    fn say<'t>(&self, indonesian: &'t str, english: &'t str) -> &'t str {
        match self.language {
            Language::Indonesian => indonesian,
            Language::English => english,
        }
    }
}
