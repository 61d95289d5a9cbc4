//! Phone numbers as people write them.

/// Returns only the digits of a number, because users also write `+62 812-…`.
pub(crate) fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}
