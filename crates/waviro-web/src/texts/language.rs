//! The language of the responses, from `Accept-Language`.

/// The languages of responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Indonesian, the document's language and the default.
    Indonesian,
    /// English, if `Accept-Language` prefers it.
    English,
}

impl Language {
    /// Returns English only if the caller prefers English to Indonesian (RFC 9110, 12.5.4). `in` is
    /// the old code of Indonesian.
    #[must_use]
    pub fn of(accept: Option<&str>) -> Self {
        let (mut english, mut indonesian) = (0.0, None::<f32>);
        let mut any = 0.0;
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(1.0, |text| text.trim().parse().unwrap_or(0.0));
            match tag.split(['-', '_']).next().unwrap_or_default() {
                "en" => english = f32::max(english, weight),
                "id" | "in" => {
                    indonesian = Some(indonesian.map_or(weight, |known| known.max(weight)));
                }
                "*" => any = weight,
                _ => {}
            }
        }
        if english > indonesian.unwrap_or(any) {
            Self::English
        } else {
            Self::Indonesian
        }
    }

    /// Returns the language tag, as in `Content-Language` and in the `lang` attribute of HTML.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Indonesian => "id",
            Self::English => "en",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_is_used_only_if_the_caller_prefers_it() {
        for accept in [
            "en",
            "en-GB,en;q=0.9",
            "EN",
            "id;q=0.5, en;q=0.8",
            "*;q=0.1, en",
        ] {
            assert_eq!(Language::of(Some(accept)), Language::English, "{accept}");
        }
        for accept in [
            "",
            "id",
            "*",
            "id,en;q=0.9",
            "en;q=0",
            "de",
            "en;q=x",
            "en;q=0.3,*;q=0.9",
        ] {
            assert_eq!(Language::of(Some(accept)), Language::Indonesian, "{accept}");
        }
        assert_eq!(Language::of(None), Language::Indonesian);
    }
}
