//! Finds the rule for an inbound text, and builds the body for its webhook.
//!
//! This module does no I/O. Other modules decide which bots have rules, and post the body.

mod payload;
mod route;

pub use payload::{Payload, group_id};
pub use route::{InboundText, Routed, Rule, route};

use crate::invisible::is_invisible;

/// The combining dot that remains when the Turkish capital İ is converted to lower case: "i" and
/// this character.
const DOT_ABOVE: char = '\u{307}';

/// The rule for a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picked<R> {
    /// The rule as passed in, so that its keyword keeps the registered form.
    pub rule: R,
    /// The parts after the keyword, see [`pick`].
    pub data: Vec<String>,
}

/// Returns the rule for a text. A rule applies if the text starts with the rule's keyword, in any
/// case. The longest keyword wins; between equal keywords the first rule wins. A rule with an empty
/// or blank keyword is the catch-all for texts without another rule.
///
/// The comparison ignores:
///
/// - blanks at the start of the text and of the keyword, and combining dots there without a letter;
/// - invisible characters everywhere: phones, word processors and web pages add direction marks,
///   zero-width spaces and variation selectors to copied text;
/// - case in every alphabet: `straße` is `STRASSE`, and `ΟΔΟΣ` is `οδος`. The four Turkish letters
///   `i`, `ı`, `I` and `İ` are equal: phones capitalize the first letter of a message, and a
///   Turkish phone writes `İ`.
///
/// The keyword may end inside a word: `halo` also takes `halodunia`.
///
/// `data` is the rest of the text, split at `#` like PHP's `explode`. Blanks and invisible
/// characters around each part are removed, except for the variation selector of an emoji at the
/// end of the part. The first `#` between keyword and data is the separator, whether the `#` is
/// registered as the end of the keyword or follows the keyword. A rule `penawaran` and a rule
/// `penawaran#` therefore get the same `data`:
///
/// | text | `data` |
/// |---|---|
/// | `penawaran#Jhon Doe#jhon@example.com` | `["Jhon Doe", "jhon@example.com"]` |
/// | `penawaran` (for the rule `penawaran`), `penawaran#` | `[]` |
/// | `penawaran##a` | `["", "a"]`: an empty part keeps its position |
/// | `penawaran#a#` | `["a", ""]` |
/// | `penawaran a#b` (for the rule `penawaran`) | `["a", "b"]` |
///
/// For the catch-all, `data` is the whole text unchanged.
#[must_use]
pub fn pick<R: AsRef<str>>(rules: impl IntoIterator<Item = R>, text: &str) -> Option<Picked<R>> {
    let text_start = start(text);
    let mut best: Option<(usize, R, &str)> = None;
    for rule in rules {
        let Some((length, rest)) = after(start(rule.as_ref()), text_start) else {
            continue;
        };
        if best.as_ref().is_none_or(|(longest, ..)| length > *longest) {
            best = Some((length, rule, rest));
        }
    }
    let (length, rule, rest) = best?;
    let data = if length == 0 {
        vec![text.to_owned()]
    } else {
        let parted = folded(rule.as_ref()).last() == Some('#');
        split(rest, parted)
    };
    Some(Picked { rule, data })
}

/// Returns the form of a keyword that [`pick`] compares. No text can distinguish two rules with the
/// same form. Empty for the catch-all.
#[must_use]
pub fn seen(keyword: &str) -> String {
    folded(start(keyword)).collect()
}

/// Returns a text or a keyword without leading blanks and without the leading characters that
/// [`fold`] ignores.
fn start(text: &str) -> &str {
    text.trim_start_matches(|letter: char| letter.is_whitespace() || is_unseen(letter))
}

/// Returns the number of folded characters of the keyword, and the rest of `text`; `None` if `text`
/// does not start with the keyword.
fn after<'t>(keyword: &str, text: &'t str) -> Option<(usize, &'t str)> {
    let mut wanted = folded(keyword).peekable();
    let mut length = 0;
    let mut rest = text;
    while wanted.peek().is_some() {
        let letter = rest.chars().next()?;
        // A letter counts as a whole: the keyword `s` does not match half of an `ß`.
        for found in fold(letter) {
            if wanted.next()? != found {
                return None;
            }
            length += 1;
        }
        rest = &rest[letter.len_utf8()..];
    }
    // A combining dot belongs to the i before, and a variation selector to the emoji before.
    Some((length, rest.trim_start_matches(is_unseen)))
}

/// Splits the rest of a text at `#`. `parted` means that the keyword ended with the separating `#`.
fn split(rest: &str, parted: bool) -> Vec<String> {
    let rest = trimmed(rest);
    let rest = match rest.strip_prefix('#') {
        Some(data) if !parted => data,
        _ => rest,
    };
    if trimmed(rest).is_empty() {
        return Vec::new();
    }
    rest.split('#')
        .map(|part| trimmed(part).to_owned())
        .collect()
}

/// Removes blanks and invisible characters around a text. A variation selector at the end stays,
/// because it belongs to the character before.
fn trimmed(text: &str) -> &str {
    let blank = |letter: char| letter.is_whitespace() || is_invisible(letter);
    let text = text.trim_start_matches(blank);
    text.trim_end_matches(|letter| blank(letter) && !('\u{fe00}'..='\u{fe0f}').contains(&letter))
}

/// Returns whether [`fold`] ignores the character.
fn is_unseen(letter: char) -> bool {
    letter == DOT_ABOVE || is_invisible(letter)
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(fold)
}

/// Folds the cases of a letter: to lower case, to upper case and to lower case again. The steps map
/// `ß` to `ss` and `ς` to `σ`.
fn fold(letter: char) -> impl Iterator<Item = char> {
    let large = letter.to_lowercase().flat_map(char::to_uppercase);
    large
        .flat_map(char::to_lowercase)
        .filter(|letter| !is_unseen(*letter))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data(keyword: &str, text: &str) -> Option<Vec<String>> {
        pick([keyword], text).map(|picked| picked.data)
    }

    fn rule<'r>(rules: &[&'r str], text: &str) -> Option<&'r str> {
        pick(rules.iter().copied(), text).map(|picked| picked.rule)
    }

    #[test]
    fn the_documents_keyword_example_gives_the_documented_data() {
        let picked = pick(
            ["penawaran#", ""],
            "penawaran#Jhon Doe#[email\u{a0}protected]",
        );
        let picked = picked.unwrap();
        assert_eq!(picked.rule, "penawaran#");
        assert_eq!(picked.data, ["Jhon Doe", "[email\u{a0}protected]"]);
    }

    #[test]
    fn a_keyword_with_and_without_its_separator_gets_the_same_data() {
        for (rest, expected) in [
            (
                "#Jhon Doe#jhon@example.com",
                vec!["Jhon Doe", "jhon@example.com"],
            ),
            (
                "# Jhon Doe # jhon@example.com ",
                vec!["Jhon Doe", "jhon@example.com"],
            ),
            ("#", vec![]),
            ("#  \n", vec![]),
            ("##a", vec!["", "a"]),
            ("##", vec!["", ""]),
            ("#a#", vec!["a", ""]),
            ("#a##b", vec!["a", "", "b"]),
        ] {
            for keyword in ["penawaran", "penawaran#"] {
                let text = format!("Penawaran{rest}");
                assert_eq!(data(keyword, &text).unwrap(), expected, "{keyword} {text}");
            }
        }
    }

    #[test]
    fn a_keyword_without_separator_accepts_any_following_text() {
        assert_eq!(data("penawaran", "penawaran").unwrap(), [""; 0]);
        assert_eq!(data("penawaran", "penawaran a#b").unwrap(), ["a", "b"]);
        assert_eq!(data("penawaran", "penawaran #a").unwrap(), ["a"]);
        assert_eq!(data("penawaran", "penawaranku").unwrap(), ["ku"]);
        assert_eq!(data("penawaran#", "penawaran"), None);
        assert_eq!(data("penawaran#", "penawaran a"), None);
    }

    #[test]
    fn the_longest_keyword_wins_and_the_catch_all_gets_the_rest() {
        let rules = ["", "info", "info harga", "penawaran", "INFO"];
        assert_eq!(rule(&rules, "info"), Some("info"));
        assert_eq!(rule(&rules, "Info Harga beras"), Some("info harga"));
        assert_eq!(rule(&rules, "inf"), Some(""));
        assert_eq!(rule(&rules[1..], "halo"), None);
        assert_eq!(rule(&[], "halo"), None);
        assert_eq!(data("", " halo#dunia ").unwrap(), [" halo#dunia "]);
        assert_eq!(data(" ", "halo").unwrap(), ["halo"]);
    }

    #[test]
    fn blanks_before_the_text_and_the_keyword_do_not_count() {
        assert_eq!(data("info", " \n\tinfo#a").unwrap(), ["a"]);
        assert_eq!(data("  info", "info#a").unwrap(), ["a"]);
        assert_eq!(rule(&[" Info "], "info harga"), Some(" Info "));
    }

    #[test]
    fn invisible_characters_before_in_and_behind_the_keyword_do_not_count() {
        for letter in "\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{fe0f}\u{ad}".chars() {
            for text in [
                format!("{letter}info#a"),
                format!("info{letter}#a"),
                format!("{letter} {letter}info{letter}{letter} #{letter}a{letter}").replace("a\u{fe0f}", "a"),
                format!("in{letter}fo#a"),
            ] {
                assert_eq!(data("info", &text).unwrap(), ["a"], "{text:?}");
            }
            assert_eq!(data("info", &format!("{letter}info{letter}")).unwrap(), [""; 0]);
            assert_eq!(data(&format!("{letter}info{letter}"), "Info#a").unwrap(), ["a"]);
            assert_eq!(seen(&format!("{letter}in{letter}fo")), "info");
            assert_eq!(seen(&letter.to_string()), "");
        }
        assert_eq!(data("❤", "❤\u{fe0f}#a").unwrap(), ["a"]);
        assert_eq!(data("❤\u{fe0f}", "❤#❤\u{fe0f} ").unwrap(), ["❤\u{fe0f}"]);
        assert_eq!(data("", "\u{200e}halo").unwrap(), ["\u{200e}halo"]);
    }

    #[test]
    fn case_does_not_count_in_any_alphabet() {
        for (keyword, text) in [
            ("straße", "STRASSE#x"),
            ("STRASSE", "straße#x"),
            ("STRAẞE", "strasse#x"),
            ("οδος", "ΟΔΟΣ#x"),
            ("ΟΔΌΣ", "οδός#x"),
            ("istanbul", "İSTANBUL#x"),
            ("İstanbul", "istanbul#x"),
            ("İstanbul", "i\u{307}stanbul#x"),
            ("sipariş", "SİPARİŞ#x"),
            ("sıcak", "SICAK#x"),
            ("привет", "ПРИВЕТ#x"),
            ("ﬁn", "FIN#x"),
            ("hai", "HAI\u{307}#x"),
        ] {
            assert_eq!(
                data(keyword, text),
                Some(vec!["x".to_owned()]),
                "{keyword} {text}"
            );
        }
    }

    #[test]
    fn keywords_that_match_the_same_texts_are_equal() {
        for (one, other) in [
            ("Straße", " STRASSE"),
            ("İstanbul", "istanbul"),
            ("info", "INFO"),
            ("", " "),
            ("\u{307}", ""),
            ("\u{307}\t", ""),
            ("\u{307} info", "info"),
        ] {
            assert_eq!(seen(one), seen(other), "{one} {other}");
        }
        for (one, other) in [("info", "info#"), ("info", "info "), ("info", "")] {
            assert_ne!(seen(one), seen(other), "{one} {other}");
        }
    }

    #[test]
    fn a_part_of_a_character_does_not_match_a_keyword() {
        assert_eq!(data("s", "ß"), None);
        assert_eq!(data("stras", "straße"), None);
        assert_eq!(data("f", "ﬁn"), None);
    }

    #[test]
    fn upper_and_lower_case_of_every_letter_match_the_same_rule() {
        for letter in '\0'..=char::MAX {
            let one: String = fold(letter).collect();
            let large: String = letter.to_uppercase().flat_map(fold).collect();
            let small: String = letter.to_lowercase().flat_map(fold).collect();
            assert!(
                one == large && one == small,
                "{letter:?} {one} {large} {small}"
            );
        }
    }

    /// Generates texts with many blanks, separators, and letters whose length depends on the case.
    fn tricky() -> impl Strategy<Value = String> {
        let letter = prop_oneof![
            prop::sample::select(
                " #aIiİıßẞSsςσΣΐᾳᾼǅﬁŉ\u{307}\u{301}\u{345}"
                    .chars()
                    .collect::<Vec<_>>()
            ),
            any::<char>(),
        ];
        prop::collection::vec(letter, 0..8).prop_map(|letters| letters.into_iter().collect())
    }

    proptest! {
        #[test]
        fn data_parts_never_contain_a_separator_or_outer_blanks(rules in prop::collection::vec(tricky(), 0..5), text in tricky()) {
            if let Some(picked) = pick(&rules, &text) {
                if start(picked.rule).is_empty() {
                    prop_assert_eq!(picked.data, [text]);
                } else {
                    prop_assert!(picked.data.iter().all(|part| !part.contains('#') && part.trim() == part));
                }
            } else {
                prop_assert!(rules.iter().all(|rule| !start(rule).is_empty()));
            }
        }

        #[test]
        fn a_text_belongs_to_its_keyword_in_every_case(keyword in tricky(), rest in "[a-z#]{0,8}") {
            prop_assume!(!start(&keyword).is_empty());
            let registered = data(&keyword, &format!("{keyword}#{rest}"));
            prop_assert!(registered.is_some());
            for written in [keyword.to_uppercase(), keyword.to_lowercase()] {
                prop_assert_eq!(&data(&keyword, &format!("{written}#{rest}")), &registered);
            }
        }

        #[test]
        fn a_longer_matching_keyword_is_never_skipped(word in "[a-c]{1,8}", cuts in prop::collection::vec(0_usize..9, 1..6)) {
            let rules: Vec<String> = cuts.iter().map(|cut| word.chars().take(*cut).collect()).collect();
            let longest = rules.iter().map(String::len).max().unwrap();
            let picked = pick(&rules, &format!("{}x", word.to_uppercase())).unwrap();
            prop_assert_eq!(picked.rule.len(), longest);
            let rest = format!("{}x", word[longest..].to_uppercase());
            prop_assert!(longest == 0 || picked.data == [rest]);
        }
    }
}
