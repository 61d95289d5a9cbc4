//! Parses `LAT-LONG`: in the API document a minus separates two numbers, and both numbers may be
//! negative.

const NO_PAIR: &str = "its coordinate is not read as latitude-longitude; write it like -6.2088-106.8456 or -6.2088,106.8456, with decimal points";

/// Parses a pair of decimal degrees with `-`, `,` or `;` between, with or without blanks.
///
/// A minus right after the separator belongs to the second number: `0.52--101.4`. A minus after a
/// blank and before a digit could be the separator or a sign, so such a pair is refused. A pair
/// with decimal commas is refused too.
///
/// # Errors
/// The fault, in words for the author.
pub(super) fn pair(text: &str) -> Result<(f64, f64), String> {
    // Some languages print the typographic minus before a number.
    let text = text.trim().replace('\u{2212}', "-");
    let (latitude, rest) = number(&text).ok_or(NO_PAIR)?;
    let behind = rest.trim_start();
    let blank_before = behind.len() < rest.len();
    let longitude = behind.strip_prefix([',', ';', '-']).ok_or(NO_PAIR)?;
    if behind.starts_with('-') && blank_before && !longitude.starts_with(char::is_whitespace) {
        return Err("its coordinate has a blank before the minus: it may be a separator or a sign; separate the numbers by a comma".to_owned());
    }
    match number(longitude.trim_start()) {
        Some((longitude, "")) => within(latitude, longitude),
        _ => Err(NO_PAIR.to_owned()),
    }
}

/// Checks that the coordinates exist on the globe.
pub(super) fn within(latitude: f64, longitude: f64) -> Result<(f64, f64), String> {
    // With this comparison NaN counts as outside.
    let fits = |degrees: f64, most: f64| degrees.abs() <= most;
    if !fits(latitude, 90.0) {
        return Err(
            "its latitude is beyond ±90 degrees; it stands before the longitude".to_owned(),
        );
    }
    if !fits(longitude, 180.0) {
        return Err("its longitude is beyond ±180 degrees".to_owned());
    }
    Ok((latitude, longitude))
}

/// Parses the number at the start of `text`. Returns the number and the rest.
fn number(text: &str) -> Option<(f64, &str)> {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let count = bytes
            .iter()
            .skip(from)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        from + count
    };
    let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let mut end = digits(sign);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    // PHP writes 1.0E-7.
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    let (number, rest) = text.split_at(end);
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pair_is_read_whatever_its_signs_and_separator() {
        for (text, latitude, longitude) in [
            ("-6.2-106.8", -6.2, 106.8),
            ("0.52--101.4", 0.52, -101.4),
            ("-0.52--101.4", -0.52, -101.4),
            ("0.507068-101.447779", 0.507_068, 101.447_779),
            ("-6.2,106.8", -6.2, 106.8),
            ("-6.2, -106.8", -6.2, -106.8),
            (" -6.2 ; 106.8 ", -6.2, 106.8),
            ("-6.2 - 106.8", -6.2, 106.8),
            ("-6.2 - -106.8", -6.2, -106.8),
            ("-6.2- 106.8", -6.2, 106.8),
            ("\u{2212}6.2-\u{2212}106.8", -6.2, -106.8),
            ("+6.2-+106.8", 6.2, 106.8),
            ("1.0E-7-106.8", 1e-7, 106.8),
            ("90-180", 90.0, 180.0),
            ("-90--180", -90.0, -180.0),
            ("6.-.5", 6.0, 0.5),
        ] {
            assert_eq!(pair(text), Ok((latitude, longitude)), "{text}");
        }
    }

    #[test]
    fn an_ambiguous_or_unreadable_coordinate_is_refused() {
        for text in [
            "",
            "-",
            "--",
            "6.2",
            "-6.2",
            "6.2-",
            "-6.2 -106.8",
            "6.2 106.8",
            "6.2+106.8",
            "6.2---106.8",
            "6.2,--106.8",
            "-6,2-106,8",
            "-6,2,106,8",
            "6.2-106.8-5",
            "6.2.1-106.8",
            "1e-106.8",
            "{{latitude}}-{{longitude}}",
            "x-y",
            "6.2–106.8",
            "nan-nan",
            "inf,inf",
            "6.2 S,106.8 E",
            "1e999,0",
            "91-0",
            "0-181",
            "106.8--6.2",
            "6.2,",
            ",6.2",
        ] {
            assert!(pair(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_valid_pair_comes_back_to_its_last_digit(
            latitude in -90.0..=90.0_f64,
            longitude in -180.0..=180.0_f64,
            separator in prop::sample::select(vec!["-", ",", ";", ", ", " ; ", " - ", "- "]),
        ) {
            for text in [format!("{latitude}{separator}{longitude}"), format!("{latitude:?}{separator}{longitude:e}")] {
                let (north, east) = pair(&text).unwrap();
                prop_assert_eq!((north.to_bits(), east.to_bits()), (latitude.to_bits(), longitude.to_bits()), "{}", text);
            }
        }

        #[test]
        fn any_parsed_pair_has_valid_coordinates(text in "[-+0-9.,;eE \u{2212}]{0,16}|\\PC{0,16}") {
            if let Ok((latitude, longitude)) = pair(&text) {
                prop_assert!(latitude.abs() <= 90.0 && longitude.abs() <= 180.0);
            }
        }
    }
}
