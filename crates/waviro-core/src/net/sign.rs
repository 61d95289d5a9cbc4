//! Signs requests to users' endpoints by Standard Webhooks 1.0. An endpoint can check the signature
//! with a Standard Webhooks library of its language.
//!
//! HMAC-SHA256 signs the text `id.timestamp.body`. Three headers carry the signature:
//!
//! - `webhook-id` is the same at each attempt.
//! - `webhook-timestamp` is the time of the attempt in Unix seconds. The endpoint compares the
//!   timestamp with its clock; most libraries allow five minutes.
//! - `webhook-signature` has `v1,` and base64 for each secret, separated by blanks. The endpoint
//!   accepts any matching signature, so a secret can be changed without a gap.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook,
};
use waviro_store::clock::Millis;

/// The start of every secret, so that people and secret scanners recognize a secret.
const PREFIX: &str = "whsec_";

/// The allowed lengths of a secret in bytes, from the standard.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// The key of an endpoint's signatures. The `Debug` form hides the key.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// The error for a text that is no [`Secret`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret must be whsec_ and the base64 of 24 to 64 bytes")]
pub struct NotASecret;

/// The error for a body in another encoding than UTF-8. Only text is signed, and JSON is text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is not UTF-8")]
pub struct NotText;

impl Secret {
    /// Creates a secret of 32 bytes from a cryptographic generator.
    pub fn random(random: &mut impl rand::CryptoRng) -> Self {
        let mut bytes = vec![0; 32];
        random.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Returns `whsec_` and base64. The result is for the store and for the owner only.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }
}

impl FromStr for Secret {
    type Err = NotASecret;

    fn from_str(text: &str) -> Result<Self, NotASecret> {
        let text = text.trim().strip_prefix(PREFIX).ok_or(NotASecret)?;
        let bytes = STANDARD.decode(text).map_err(|_| NotASecret)?;
        if LENGTHS.contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(NotASecret)
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Returns the headers of a signed post: id, timestamp, and a signature with each of `secrets`, in
/// the same order. Without secrets the signature is left out.
///
/// `id` is the delivery's id in visible ASCII, the same at every attempt; `at` is the time of this
/// attempt; `body` is the exact body of the request.
///
/// # Errors
/// [`NotText`].
pub fn headers(
    secrets: &[Secret],
    id: &str,
    at: Millis,
    body: &[u8],
) -> Result<Vec<(&'static str, String)>, NotText> {
    let seconds = at.div_euclid(1000);
    let mut headers = vec![
        (HEADER_WEBHOOK_ID, id.to_owned()),
        (HEADER_WEBHOOK_TIMESTAMP, seconds.to_string()),
    ];
    let sign = |secret: &Secret| {
        let webhook = Webhook::from_bytes(secret.0.clone()).map_err(|_| NotText)?;
        webhook.sign(id, seconds, body).map_err(|_| NotText)
    };
    let signatures = secrets.iter().map(sign).collect::<Result<Vec<_>, _>>()?;
    if !signatures.is_empty() {
        headers.push((HEADER_WEBHOOK_SIGNATURE, signatures.join(" ")));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};
    use waviro_store::clock::Clock;

    use super::*;

    const TEXT: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const ID: &str = "3EB02B7BEAD27AFA278E";
    const BODY: &[u8] = br#"{"msgid":"3EB02B7BEAD27AFA278E","ack":1}"#;

    fn secret(fill: u8) -> Secret {
        Secret(vec![fill; 32])
    }

    /// Computes an HMAC by RFC 2104, from the hash function alone.
    fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(key);
        let inner = Sha256::new()
            .chain_update(block.map(|byte| byte ^ 0x36))
            .chain_update(message);
        let outer = Sha256::new()
            .chain_update(block.map(|byte| byte ^ 0x5c))
            .chain_update(inner.finalize());
        outer.finalize().to_vec()
    }

    fn as_map(headers: &[(&'static str, String)]) -> HeaderMap {
        let pairs = headers.iter();
        pairs
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_signature_headers_match_other_implementations() {
        // Expected values from Python's hmac module and from the standard's own example.
        let signed = headers(&[TEXT.parse().unwrap()], ID, 1_678_849_330_999, BODY).unwrap();
        assert_eq!(
            signed,
            [
                ("webhook-id", ID.to_owned()),
                ("webhook-timestamp", "1678849330".to_owned()),
                (
                    "webhook-signature",
                    "v1,FEpqC9ArpCvRxfX5+t29aTcjjbafcMNpVzC6yEd6vMk=".to_owned()
                ),
            ]
        );
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".parse().unwrap();
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
        let signed = headers(&[secret], id, 1_649_367_553_000, body).unwrap();
        assert_eq!(
            signed[2].1,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }

    #[test]
    fn while_a_secret_is_changed_the_old_and_the_new_one_both_verify() {
        let now = Clock::system().now();
        let map = as_map(&headers(&[secret(2), secret(1)], ID, now, BODY).unwrap());
        for (fill, verifies) in [(1, true), (2, true), (3, false)] {
            let webhook = Webhook::new(&secret(fill).reveal()).unwrap();
            assert_eq!(webhook.verify(BODY, &map).is_ok(), verifies, "{fill}");
            assert!(webhook.verify(b"{}", &map).is_err(), "{fill}");
        }
        assert_eq!(
            map["webhook-signature"]
                .to_str()
                .unwrap()
                .split(' ')
                .count(),
            2
        );
    }

    #[test]
    fn without_a_secret_nothing_is_signed() {
        let plain = headers(&[], ID, 0, BODY).unwrap();
        let names: Vec<_> = plain.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["webhook-id", "webhook-timestamp"]);
        assert_eq!(headers(&[secret(1)], ID, 0, b"\xff"), Err(NotText));
    }

    #[test]
    fn a_secret_is_parsed_back_and_hidden_in_debug_output() {
        let fresh = Secret::random(&mut rand::rng());
        let text = fresh.reveal();
        assert_eq!(text.len(), "whsec_".len() + 44);
        assert_eq!(text.parse::<Secret>().unwrap().0, fresh.0);
        assert_ne!(fresh.0, Secret::random(&mut rand::rng()).0);
        assert_eq!(format!("{fresh:?}"), "Secret(…)");
        for wrong in [
            "",
            "whsec_",
            "whsec_AAAA",
            "whsec_!",
            &text[6..],
            &TEXT[..TEXT.len() - 1],
        ] {
            assert_eq!(
                wrong.parse::<Secret>().map(|_| ()),
                Err(NotASecret),
                "{wrong}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_signed_body_has_the_hmac_of_the_rfc(key in prop::collection::vec(any::<u8>(), 24..=64), id in "[!-~]{1,40}", at in 0_i64..4_000_000_000_000, body in any::<String>()) {
            let signed = headers(&[Secret(key.clone())], &id, at, body.as_bytes()).unwrap();
            let message = format!("{id}.{}.{body}", at / 1000);
            let expected = format!("v1,{}", STANDARD.encode(hmac(&key, message.as_bytes())));
            prop_assert_eq!(&signed[2].1, &expected);
        }
    }
}
