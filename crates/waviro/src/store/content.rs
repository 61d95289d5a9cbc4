//! A message's content as a row holds it: the word of its kind, and a JSON body whose shape follows from the kind.
//!
//! The body is also what the duplicate rule hashes: a field that does not change what the phone shows has no place in it.

use serde::{Deserialize, Serialize};
use waviro_link::{Contact, Content, Location};

use super::StoreError;

#[derive(Serialize, Deserialize)]
struct Text {
    text: String,
}

#[derive(Serialize, Deserialize)]
struct Place {
    latitude: f64,
    longitude: f64,
    name: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Card {
    name: String,
    numbers: Vec<String>,
}

/// A kind's word and its body.
pub(super) fn encode(content: &Content) -> Result<(&'static str, String), StoreError> {
    let (kind, body) = match content {
        Content::Text(text) => ("text", serde_json::to_string(&Text { text: text.clone() })),
        Content::Location(place) => {
            let place = Place {
                latitude: place.latitude,
                longitude: place.longitude,
                name: place.name.clone(),
            };
            ("location", serde_json::to_string(&place))
        }
        Content::Contact(card) => {
            let card = Card {
                name: card.name.clone(),
                numbers: card.numbers.iter().map(ToString::to_string).collect(),
            };
            ("contact", serde_json::to_string(&card))
        }
        _ => {
            return Err(StoreError::Unreadable(
                "a kind of content without a form".to_owned(),
            ));
        }
    };
    let body = body.map_err(|error| StoreError::Unreadable(error.to_string()))?;
    Ok((kind, body))
}

/// The way back.
pub(super) fn decode(kind: &str, body: &str) -> Result<Content, StoreError> {
    let unreadable = || StoreError::Unreadable(format!("a message body of kind {kind}"));
    match kind {
        "text" => serde_json::from_str(body)
            .map(|Text { text }| Content::Text(text))
            .map_err(|_| unreadable()),
        "location" => {
            let place: Place = serde_json::from_str(body).map_err(|_| unreadable())?;
            Ok(Content::Location(Location {
                latitude: place.latitude,
                longitude: place.longitude,
                name: place.name,
            }))
        }
        "contact" => {
            let card: Card = serde_json::from_str(body).map_err(|_| unreadable())?;
            let numbers = card.numbers.iter().map(|number| number.parse());
            Ok(Content::Contact(Contact {
                name: card.name,
                numbers: numbers
                    .collect::<Result<_, _>>()
                    .map_err(|_| unreadable())?,
            }))
        }
        _ => Err(unreadable()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_as_it_was() {
        for content in [
            Content::Text("Halo \"dunia\"\n".to_owned()),
            Content::Location(Location {
                latitude: 0.52596,
                longitude: -101.426_866,
                name: Some("Kantor Pusat".to_owned()),
            }),
            Content::Location(Location {
                latitude: -90.0,
                longitude: 180.0,
                name: None,
            }),
            Content::Contact(Contact {
                name: "Test".to_owned(),
                numbers: vec!["6281240000001".parse().unwrap()],
            }),
        ] {
            let (kind, body) = encode(&content).unwrap();
            assert_eq!(decode(kind, &body).unwrap(), content);
        }
    }

    #[test]
    fn what_is_unknown_or_broken_is_said_to_be_so() {
        for (kind, body) in [
            ("song", "{}"),
            ("text", "{}"),
            ("location", r#"{"latitude":1}"#),
            ("contact", r#"{"name":"x","numbers":["0812"]}"#),
        ] {
            assert!(matches!(decode(kind, body), Err(StoreError::Unreadable(_))));
        }
    }
}
