//! The HTML page: askama renders `templates/docs` from the catalogue.

use askama::Template;

use super::catalogue::{self, ACKS, CALLBACK, Endpoint, HOOK, HOOK_IN_PHP, REFUSAL, REPLY, Text};
use super::highlight;
use super::origin::Origin;
use super::samples::{self, Sample};
use crate::api::error::{ApiError, Language};

/// The page with the whole documentation.
#[derive(Template)]
#[template(path = "docs/page.html")]
pub struct Page {
    language: Language,
    /// The relative path from the page to its files: `docs/` from `/docs`, empty from `/docs/`. A
    /// relative path works below any path that a proxy chooses.
    beside: &'static str,
    style: String,
    script: String,
    url: String,
    chapters: Vec<Chapter>,
    anywhere: Vec<Said>,
}

/// The page of a path that does not exist.
#[derive(Template)]
#[template(path = "docs/nothing.html")]
pub struct Nothing {
    /// The language of the response.
    pub language: Language,
    /// The path of the documentation.
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

/// A refusal as shown to the reader.
struct Said {
    status: u16,
    code: &'static str,
    field: Option<&'static str>,
    sentence: String,
}

/// The properties of the request that the page depends on.
pub struct Reader<'r> {
    /// The chosen or preferred language.
    pub language: Language,
    /// The origin of the request.
    pub origin: &'r Origin,
    /// True if the path ended in a slash.
    pub inside: bool,
    /// The value of `limits.body_kib`, in bytes.
    pub body_cap: usize,
}

impl Page {
    /// Builds the page; `style` and `script` are the names of the page's files.
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

    fn translate<'t>(&self, indonesian: &'t str, english: &'t str) -> &'t str {
        match self.language {
            Language::Indonesian => indonesian,
            Language::English => english,
        }
    }

    fn text(&self, text: impl Spoken) -> &'static str {
        text.spoken(self.language)
    }
}

/// A text behind any number of references, as templates add references.
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
    fn translate<'t>(&self, indonesian: &'t str, english: &'t str) -> &'t str {
        match self.language {
            Language::Indonesian => indonesian,
            Language::English => english,
        }
    }
}
