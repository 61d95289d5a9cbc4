//! A check for guessable keys that people chose themselves.

/// Words that are common in keys chosen by people, in lower case. They do not count as random
/// characters.
const WORDS: [&str; 32] = [
    "secret",
    "rahasia",
    "password",
    "passwd",
    "sandi",
    "webhook",
    "waviro",
    "whatsapp",
    "gateway",
    "token",
    "kunci",
    "apikey",
    "key",
    "admin",
    "test",
    "coba",
    "demo",
    "contoh",
    "example",
    "sample",
    "change",
    "default",
    "your",
    "here",
    "indonesia",
    "jakarta",
    "toko",
    "shop",
    "2023",
    "2024",
    "2025",
    "2026",
];

/// The rows of a keyboard.
const ROWS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// The fewest random characters of a key; for a shorter key, half of the characters. A random key
/// of 20 letters and digits has about 17.
const NEW: usize = 10;

/// The shortest length of a key with only one kind of characters (letters of one case, or digits).
/// Generated keys usually have several kinds, so a short key with one kind is probably not random.
const OF_ONE_KIND: usize = 32;

/// Returns true if the key looks like words, runs (`abcd`, `1234`, `qwerty`) or repetitions instead
/// of random characters.
pub(super) fn is_guessable(key: &str) -> bool {
    let of_one_kind = kinds(key) < 2 && key.len() < OF_ONE_KIND;
    of_one_kind || new_characters(key) < NEW.min(key.len() / 2)
}

/// Counts the kinds of characters in the key: lower-case letters, upper-case letters, digits.
fn kinds(key: &str) -> usize {
    let kinds: [fn(&u8) -> bool; 3] = [
        u8::is_ascii_lowercase,
        u8::is_ascii_uppercase,
        u8::is_ascii_digit,
    ];
    kinds
        .iter()
        .filter(|kind| key.as_bytes().iter().any(kind))
        .count()
}

/// Counts the characters that follow neither from the previous character nor from an earlier part
/// of the key.
fn new_characters(key: &str) -> usize {
    let mut plain = key.to_ascii_lowercase();
    for word in WORDS {
        plain = plain.replace(word, "");
    }
    let bytes = plain.as_bytes();
    let follows = |at: usize| {
        let beside = at > 0 && are_neighbours(bytes[at - 1], bytes[at]);
        let again = at > 1 && {
            let three = &bytes[at - 2..=at];
            bytes[..at].windows(3).any(|earlier| earlier == three)
        };
        beside || again
    };
    (0..bytes.len()).filter(|at| !follows(*at)).count()
}

/// Returns true if the bytes are equal, or adjacent in the alphabet, among the digits, or on a
/// keyboard.
fn are_neighbours(one: u8, other: u8) -> bool {
    let on_keyboard = ROWS.iter().any(|row| {
        let place = |byte: u8| row.bytes().position(|key| key == byte);
        matches!((place(one), place(other)), (Some(one), Some(other)) if one.abs_diff(other) == 1)
    });
    one.abs_diff(other) <= 1 || on_keyboard
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_runs_and_repetitions_are_guessable() {
        for key in [
            "aaaaaaaaaaaaaaaaaaaa",
            "12345678901234567890",
            "abcdefghijklmnopqrst",
            "qwertyuiopasdfghjkl1",
            "Ab1Ab1Ab1Ab1Ab1Ab1Ab1",
            "passwordpassword1234",
            "YourSecretWebhookKey",
            "MySecretKey-2024-Toko",
            "toko-baju-murah-bandung",
            "tokobajumurahbandung",
            "628123456789628123456789",
            "0000000000000000000x",
            "6281234567890123",
            "----------------",
            "Admin123Admin123Admin",
        ] {
            assert!(is_guessable(key), "{key}");
        }
    }

    #[test]
    fn generated_keys_of_other_hosts_are_not_guessable() {
        for key in [
            "k3Jx9QpLm2Zt7VbN4wRy",
            "A7f0Kd92LmQ81zXcV5pT",
            "x8k2m9q4z7w1c5v3",
            "9f86d081884c7d659a2feaa0c55ad015",
            "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
            "zkqvjxwpyfmhgbdrntslceaouizkwqpx",
            "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        ] {
            assert!(!is_guessable(key), "{key}");
        }
    }

    proptest! {
        #[test]
        fn a_random_key_is_not_guessable(key in "[A-Za-z0-9]{20,128}", hex in "[0-9a-f]{32}") {
            prop_assert!(!is_guessable(&key));
            prop_assert!(!is_guessable(&hex));
        }
    }
}
