//! The tokens of both dictionaries, and the replacement of each token.

use std::collections::HashMap;

use wacore_binary::token::{self, BINARY_8, DICTIONARY_0, DICTIONARY_3};

/// A dictionary: the string of each position, `None` for positions without a token.
pub(super) type Tokens = Vec<Option<&'static str>>;

pub(super) fn version_two() -> Tokens {
    let lines = include_str!("version2.txt").lines();
    let tokens = lines.filter(|line| !line.starts_with('#')).map(Some);
    std::iter::once(None).chain(tokens).collect()
}

pub(super) fn version_three() -> Tokens {
    let singles = (1..DICTIONARY_0).map(token::get_single_token);
    let doubles = (DICTIONARY_0..=DICTIONARY_3).flat_map(|page| {
        (0..=u8::MAX).map(move |index| token::get_double_token(page - DICTIONARY_0, index))
    });
    std::iter::once(None)
        .chain(singles)
        .chain(doubles)
        .collect()
}

/// The replacement of each token: the token of the other dictionary, or else a raw string.
pub(super) struct Table(Vec<Option<Box<[u8]>>>);

impl Table {
    pub(super) fn new(from: &Tokens, to: &Tokens) -> Self {
        let positions: HashMap<_, _> = to
            .iter()
            .enumerate()
            .filter_map(|(position, text)| Some(((*text)?, position)))
            .collect();
        let replace = |text: &str| -> Option<Box<[u8]>> {
            let Some(position) = positions.get(text) else {
                let length = u8::try_from(text.len()).ok()?;
                return Some([&[BINARY_8, length], text.as_bytes()].concat().into());
            };
            match position.checked_sub(usize::from(DICTIONARY_0)) {
                None => Some([u8::try_from(*position).ok()?].into()),
                Some(double) => {
                    let page = DICTIONARY_0 + u8::try_from(double / 256).ok()?;
                    Some([page, u8::try_from(double % 256).ok()?].into())
                }
            }
        };
        Self(from.iter().map(|text| replace((*text)?)).collect())
    }

    pub(super) fn get(&self, position: usize) -> Option<&[u8]> {
        self.0.get(position)?.as_deref()
    }
}
