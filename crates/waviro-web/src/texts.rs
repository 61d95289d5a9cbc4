//! The texts for people, in each language. The words are in `texts/id.toml` and `texts/en.toml`;
//! the build script turns the files into the structs and statics of this module.
//!
//! A table is a struct, and a text is a field: `language.texts().api.refusal.not_found`. A text
//! with placeholders is a method with an argument per placeholder. So the compiler finds a wrong
//! key, a missing argument and an unused text, and the build script finds a text that a language
//! lacks.

#[cfg(test)]
mod generate;
mod language;

use std::fmt::Display;

pub use language::Language;

include!(concat!(env!("OUT_DIR"), "/texts.rs"));

impl Language {
    /// Returns the texts in the language.
    pub(crate) fn texts(self) -> &'static Texts {
        match self {
            Self::Indonesian => &INDONESIAN,
            Self::English => &ENGLISH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::generate::rust;

    fn both(indonesian: &str, english: &str) -> Result<String, Vec<String>> {
        let files = [("Indonesian", indonesian), ("English", english)];
        rust(&files.map(|(language, file)| (language, file.to_owned())))
    }

    #[test]
    fn a_text_that_one_language_lacks_stops_the_build() {
        let whole = "[page]\ntitle = 'Judul'\nage = '{days} hari'";
        assert!(both(whole, whole).is_ok());
        for (other, fault) in [
            (
                "[page]\nage = '{days} d'",
                "page.title has no text in English",
            ),
            (
                "[page]\ntitle = ' '\nage = '{days} d'",
                "page.title has no text in English",
            ),
            (
                "[page]\ntitle = 1\nage = '{days} d'",
                "page.title has no text in English",
            ),
            (
                "[page.title]\n[page]\nage = '{days} d'",
                "page.title has no text in English",
            ),
            ("page = 'Title'", "page has no text in Indonesian"),
            (
                "[page]\ntitle = 'Title'\nage = '{hours} h'",
                "page.age has other placeholders in English",
            ),
            (
                "[page]\ntitle = 'Title'\nage = 'old'",
                "page.age has other placeholders in English",
            ),
            (
                "[page]\ntitle = 'Title'\nage = '{days} d'\nnew = 'New'",
                "page.new has no text in Indonesian",
            ),
        ] {
            let faults = both(whole, other).unwrap_err();
            assert!(faults.iter().any(|it| it == fault), "{other}: {faults:?}");
        }
        assert!(both(whole, "[page").unwrap_err()[0].starts_with("English: "));
    }

    #[test]
    fn braces_around_anything_but_a_name_are_words() {
        let file = "sample = '{\"ack\":1} of {}'\nboth = '{\"ack\":{ack}}'";
        let code = both(file, file).unwrap();
        assert!(code.contains(r#"sample: "{\"ack\":1} of {}""#), "{code}");
        assert!(code.contains(r#"format!("{{\"ack\":{ack}}}")"#), "{code}");
    }
}
