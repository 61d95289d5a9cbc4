//! Guesses the phone number behind a text in another form than the API accepts.

use waviro_link::Number;
use waviro_store::invisible::is_invisible;

/// The digits of an Indonesian number, with the country code: 62 and 8 to 12 digits.
const INDONESIAN: std::ops::RangeInclusive<usize> = 10..=14;

/// The suffixes of numbers in WhatsApp's own addresses.
const SERVERS: [&str; 2] = ["@c.us", "@s.whatsapp.net"];

/// Returns the number behind a text, or `None` if the guess is not certain. Digits in groups are a
/// number, and a national 0 becomes Indonesia's country code. A decimal (a spreadsheet turns a
/// number into `6.28120000002E+12`), two numbers, and digits among other letters are refused: the
/// proposal would have other digits than the intended number.
#[must_use]
pub fn meant(text: &str) -> Option<Number> {
    let text: String = text
        .chars()
        .filter(|letter| !is_invisible(*letter))
        .collect();
    let text = text.trim();
    let bare = SERVERS.iter().find_map(|server| text.strip_suffix(server));
    let digits = digits(bare.unwrap_or(text))?;
    let international = match (digits.strip_prefix("00"), digits.strip_prefix('0')) {
        (Some(rest), _) => rest.to_owned(),
        (None, Some(rest)) => format!("62{rest}"),
        (None, None) => digits,
    };
    // In `+62 (0)812…`, the 0 is not dialled after a country code.
    let number: Number = match international.strip_prefix("620") {
        Some(rest) => format!("62{rest}").parse().ok()?,
        None => international.parse().ok()?,
    };
    let digits = number.to_string();
    let fits = !digits.starts_with("62") || INDONESIAN.contains(&digits.len());
    fits.then_some(number)
}

/// Returns the digits of a number in groups. Spaces, dashes and brackets may separate the groups;
/// points and commas may too if they cannot be a decimal separator.
fn digits(text: &str) -> Option<String> {
    let mut digits = String::new();
    for letter in text.chars() {
        match letter {
            '0'..='9' => digits.push(letter),
            '+' if digits.is_empty() => {}
            '-' | '‐' | '‑' | '–' | '—' | '(' | ')' | '.' | ',' => {}
            _ if letter.is_whitespace() => {}
            _ => return None,
        }
    }
    let mut groups = text
        .split(['.', ','])
        .map(|group| group.chars().filter(char::is_ascii_digit).count());
    let first = groups.next()?;
    let others: Vec<usize> = groups.collect();
    let thousands =
        others.len() > 1 && first <= 4 && others.iter().all(|count| (3..=4).contains(count));
    (others.is_empty() || thousands).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means(text: &str) -> Option<String> {
        meant(text).map(|number| number.to_string())
    }

    #[test]
    fn a_number_in_groups_is_known() {
        for text in [
            "6281200000002",
            "081200000002",
            "+6281200000002",
            "+62 812-0000-0002",
            "(0812) 0000 0002",
            "+62 (0)812 0000 0002",
            "006281200000002",
            "0812.0000.0002",
            "6.281.200.000.002",
            "6,281,200,000,002",
            "6281200000002@c.us",
            "6281200000002@s.whatsapp.net",
            "\u{202a}+62 812\u{2011}0000\u{2011}0002\u{202c}",
            "0812–0000–0002",
        ] {
            assert_eq!(means(text).as_deref(), Some("6281200000002"), "{text:?}");
        }
        assert_eq!(means("+1 (415) 555-2671").as_deref(), Some("14155552671"));
    }

    #[test]
    fn an_ambiguous_number_gets_no_suggestion() {
        for text in [
            "6.28120000002E+12",
            "6,28120000002E+12",
            "6.28120000002e12",
            "6.28E+12",
            "6.28120000002",
            "6281200000002.0",
            "6281200000002,00",
            "0812,34567890",
            "6281200000002,6281200000003,6281200000004",
            "6281200000002/6281200000003",
            "6281200000002 6281200000003",
            "081200000002 ext 5",
            "wa.me/6281200000002",
            "６２８１２００００００００２",
            "٦٢٨١٢٠٠٠٠٠٠٠٢",
            "6281200000002@g.us",
            "99887766@lid",
            "0812",
            "0812345",
            "0812345678901234",
            "",
            "halo",
        ] {
            assert_eq!(means(text), None, "{text:?}");
        }
    }
}
