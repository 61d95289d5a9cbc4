//! The parts of a path.

use std::marker::PhantomData;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::problem::Problem;

/// An object with an id in the path.
pub trait InPath {
    /// The name of the part, and of the object in a refusal.
    const NAME: &str;
}

/// Extractor: the id of an object in the path.
pub struct PathId<T> {
    /// The id.
    pub id: i64,
    object: PhantomData<T>,
}

impl<S: Sync, T: InPath> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let part = path_part(parts, T::NAME).await;
        // `parse` accepts a plus sign; an id has only digits.
        let digits = part.filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        let id = digits.and_then(|digits| digits.parse().ok());
        Ok(Self {
            id: id.ok_or(Problem::NoSuch(T::NAME))?,
            object: PhantomData,
        })
    }
}

/// Returns a decoded part of the path, or `None` if the part is not UTF-8.
pub async fn path_part(parts: &mut Parts, name: &str) -> Option<String> {
    let all = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    let part = all.iter().find(|(part, _)| *part == name);
    part.map(|(_, value)| value.to_owned())
}
