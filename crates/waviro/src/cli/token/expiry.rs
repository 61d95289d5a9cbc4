//! Parses the expiry of a token as written by a person.

use std::time::Duration;

use anyhow::bail;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use waviro_core::tokens::LONGEST;
use waviro_store::clock::Millis;

const FORM: &str = "write a duration such as 30m, 12h, 90d or 4w, or a time such as 2027-01-31 or 2027-01-31T10:00:00+07:00";

/// After a duration, or at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Expiry {
    After(Duration),
    At(Millis),
}

/// Parses an expiry.
pub(super) fn read(text: &str) -> Result<Expiry, String> {
    let text = text.trim();
    let after = after(text).map(Expiry::After);
    let read = after.or_else(|| at(text).map(Expiry::At));
    read.ok_or_else(|| FORM.to_owned())
}

/// Parses a number with a unit.
fn after(text: &str) -> Option<Duration> {
    let (count, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit())?);
    let seconds = match unit.trim_start() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    let count: u64 = count.parse().ok()?;
    count.checked_mul(seconds).map(Duration::from_secs)
}

/// Parses a time or a date. A date means the first moment of the date in UTC.
fn at(text: &str) -> Option<Millis> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_millisecond());
    }
    // The date parser would ignore the text after a date.
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date: Date = plain.then(|| text.parse().ok())??;
    let begins = date.to_zoned(TimeZone::UTC).ok()?;
    Some(begins.timestamp().as_millisecond())
}

impl Expiry {
    /// Returns the lifetime from now.
    pub(super) fn lives(self, now: Millis) -> anyhow::Result<Duration> {
        let lives = match self {
            Self::After(time) => time,
            Self::At(at) => {
                let left = u64::try_from(at.saturating_sub(now)).unwrap_or(0);
                Duration::from_millis(left)
            }
        };
        if lives.is_zero() {
            bail!("--expires is not in the future; {FORM}");
        }
        if lives > LONGEST {
            bail!(
                "--expires is more than ten years ahead; omit the option for a token that is valid until it is revoked"
            );
        }
        Ok(lives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-30, 00:00 UTC.
    const NOW: Millis = 1_795_996_800_000;

    fn lives(text: &str) -> Result<u64, String> {
        let lives = read(text)?.lives(NOW);
        lives
            .map(|lives| lives.as_secs())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_duration_and_a_time_are_accepted_as_expiry() {
        for (text, seconds) in [
            ("45s", 45),
            ("30m", 1800),
            ("12h", 43_200),
            ("90d", 7_776_000),
            ("4w", 2_419_200),
            ("90 d", 7_776_000),
            ("2026-12-01", 86_400),
            ("2026-12-01T00:00:00Z", 86_400),
            ("2026-12-01T07:00:00+07:00", 86_400),
        ] {
            assert_eq!(lives(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn an_invalid_or_impossible_expiry_is_refused_with_the_right_form() {
        for text in [
            "",
            "90",
            "d",
            "-1d",
            "1.5d",
            "90x",
            "90days",
            "besok",
            "2027-13-01",
            "2027-01-31x",
            "99999999999999999999d",
        ] {
            assert_eq!(lives(text), Err(FORM.to_owned()), "{text:?}");
        }
        for (text, why) in [
            ("0d", "not in the future"),
            ("2026-11-30", "not in the future"),
            ("2020-01-01T00:00:00Z", "not in the future"),
            ("3651d", "more than ten years"),
            ("2036-12-31", "more than ten years"),
            ("18446744073709551615s", "more than ten years"),
        ] {
            assert!(lives(text).unwrap_err().contains(why), "{text:?}");
        }
    }
}
