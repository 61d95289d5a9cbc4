//! Finds characters without a visible shape, and cleans names and texts with such characters.
//!
//! The table contains the Unicode property `Default_Ignorable_Code_Point` of Unicode 17
//! (`DerivedCoreProperties.txt`), the format controls (general category `Cf`) without a shape of
//! their own, and two characters with an empty shape. A test compares the table with the data of
//! the crate `icu_properties`.

use unicode_normalization::UnicodeNormalization;

/// The most characters of a name.
pub const NAME_CAP: usize = 64;

/// Returns whether a screen shows nothing for this character. The table does not include white
/// space ([`char::is_whitespace`]) and control characters ([`char::is_control`]).
#[must_use]
pub const fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            // The braille cell without dots.
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            // A note without a head.
            | '\u{1d159}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Returns whether this character changes the direction of the surrounding text (the Unicode
/// property `Bidi_Control`). In a name such a character reverses the shown order of letters:
/// `a\u{202e}fdp.exe` is shown as `aexe.pdf`.
#[must_use]
pub const fn is_bidi_control(letter: char) -> bool {
    matches!(
        letter,
        '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Returns the text without bidirectional controls.
#[must_use]
pub fn without_bidi_controls(text: &str) -> String {
    let kept = text.chars().filter(|letter| !is_bidi_control(*letter));
    kept.collect()
}

/// Returns whether a screen shows nothing for this text: the text is empty, or has only white space
/// and invisible characters.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars()
        .all(|letter| letter.is_whitespace() || is_invisible(letter))
}

/// Returns a name in its stored form: NFC, without bidirectional controls, without white space and
/// invisible characters at the start, and without white space at the end. An emoji's variation
/// selector at the end stays.
#[must_use]
pub fn stored_name(name: &str) -> String {
    let kept: String = without_bidi_controls(name).nfc().collect();
    kept.trim_start_matches(|letter: char| letter.is_whitespace() || is_invisible(letter))
        .trim_end()
        .to_owned()
}

/// Returns a name in its stored form ([`stored_name`]); `None` for a blank name, a name longer than
/// [`NAME_CAP`], or a name with control characters.
#[must_use]
pub fn name(typed: &str) -> Option<String> {
    let stored = stored_name(typed);
    let fits = !is_blank(&stored)
        && stored.chars().count() <= NAME_CAP
        && !typed.chars().any(char::is_control);
    fits.then_some(stored)
}

/// Converts a searched name to the Unicode form of stored names.
#[must_use]
pub fn nfc(name: &str) -> String {
    name.nfc().collect()
}

/// Returns the visible part of a name. Two names with the same skeleton look alike. The skeleton
/// has no invisible characters, is NFKC, and has one space for each run of white space.
#[must_use]
pub fn skeleton(name: &str) -> String {
    let seen = name.chars().filter(|letter| !is_invisible(*letter)).nfkc();
    // A compatibility decomposition can contain an invisible character and white space.
    let seen: String = seen.filter(|letter| !is_invisible(*letter)).collect();
    let words: Vec<&str> = seen.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use icu_properties::props::{
        BidiControl, DefaultIgnorableCodePoint, GeneralCategory, PrependedConcatenationMark,
    };
    use icu_properties::{CodePointMapData, CodePointSetData};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_holds_what_unicode_says_is_invisible_and_nothing_else() {
        let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        let visible_format = CodePointSetData::new::<PrependedConcatenationMark>();
        let category = CodePointMapData::<GeneralCategory>::new();
        for letter in '\0'..=char::MAX {
            let format =
                category.get(letter) == GeneralCategory::Format && !visible_format.contains(letter);
            let empty_shape = matches!(letter, '\u{2800}' | '\u{1d159}');
            assert_eq!(
                is_invisible(letter),
                ignorable.contains(letter) || format || empty_shape,
                "U+{:04X}",
                u32::from(letter)
            );
        }
    }

    #[test]
    fn the_bidirectional_controls_are_those_of_unicode_and_are_invisible() {
        let controls = CodePointSetData::new::<BidiControl>();
        for letter in '\0'..=char::MAX {
            assert_eq!(is_bidi_control(letter), controls.contains(letter));
            assert!(!is_bidi_control(letter) || is_invisible(letter));
        }
    }

    #[test]
    fn a_text_of_characters_that_no_screen_shows_is_blank() {
        for blank in [
            "",
            " \t\r\n\u{a0}\u{3000}\u{2028}",
            "\u{200b}\u{200d}\u{feff}",
            "\u{202e} \u{2066}",
            "\u{3164}\u{115f}\u{ffa0}",
            "\u{2800}",
            "\u{fe0f}\u{e0020}",
        ] {
            assert!(is_blank(blank), "{blank:?}");
        }
        for text in [".", "\u{200b}a", "👍", "❤\u{fe0f}", "\u{301}", "ㅤ."] {
            assert!(!is_blank(text), "{text:?}");
        }
    }

    #[test]
    fn names_that_look_alike_have_one_skeleton() {
        for alike in [
            "to\u{200b}ko",
            "toko\u{fe0f}",
            "\u{202e}toko\u{202c}",
            "\u{3164}toko",
            " toko\u{a0}",
            "to\u{ad}ko",
            "ｔｏｋｏ",
        ] {
            assert_eq!(skeleton(alike), "toko", "{alike:?}");
        }
        assert_eq!(skeleton("kafe\u{301}"), skeleton("kafé"));
        assert_eq!(skeleton("kafe\u{200d}\u{301}"), skeleton("kafé"));
        assert_eq!(skeleton("toko  satu"), skeleton("toko\u{2003}satu"));
        for other in ["Toko", "toko2", "to ko", "tokö"] {
            assert_ne!(skeleton(other), "toko", "{other:?}");
        }
    }

    #[test]
    fn a_stored_name_is_in_order_and_keeps_its_emoji() {
        for (name, stored) in [
            ("toko\u{202e}exe", "tokoexe"),
            (" \u{200b}\u{feff} toko \n", "toko"),
            ("kafe\u{301}", "kafé"),
            ("toko ❤\u{fe0f}", "toko ❤\u{fe0f}"),
            ("👩\u{200d}🍳 dapur", "👩\u{200d}🍳 dapur"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("\u{200f}\u{2067}", ""),
        ] {
            assert_eq!(stored_name(name), stored, "{name:?}");
        }
    }

    #[test]
    fn a_blank_long_or_broken_name_is_refused() {
        let long = "n".repeat(NAME_CAP + 1);
        for refused in [
            "",
            " ",
            "\u{200b}",
            "\u{202e}\u{3164} ",
            "a\nb",
            "toko\0",
            &long,
        ] {
            assert_eq!(name(refused), None, "{refused:?}");
        }
        let longest = "é".repeat(NAME_CAP);
        assert_eq!(name(&longest).as_ref(), Some(&longest));
        assert_eq!(name(" toko\u{202e} "), Some("toko".to_owned()));
    }

    proptest! {
        #[test]
        fn storing_a_name_changes_no_visible_character(name in "[\\p{L}\\p{M}\\p{Cf}\\p{Z}\\p{S}\u{fe0f}\u{3164}\u{115f}]{0,12}") {
            let stored = stored_name(&name);
            prop_assert_eq!(&stored_name(&stored), &stored);
            prop_assert_eq!(skeleton(&stored), skeleton(&name));
            prop_assert_eq!(skeleton(&name).is_empty(), is_blank(&name));
        }
    }
}
