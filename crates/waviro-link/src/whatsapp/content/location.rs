//! Locations in WhatsApp's format, in both directions.

use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use whatsapp_rust::waproto;

use crate::Location;

pub(super) fn outgoing(location: &Location) -> wa::Message {
    let place = wa::message::LocationMessage {
        degrees_latitude: Some(location.latitude),
        degrees_longitude: Some(location.longitude),
        name: location.name.clone(),
        ..Default::default()
    };
    wa::Message {
        location_message: MessageField::some(place),
        ..Default::default()
    }
}

/// Returns the location in a message; `None` also for coordinates out of range.
pub(super) fn inbound(base: &wa::Message) -> Option<Location> {
    let fixed = base.location_message.as_option();
    let live = base.live_location_message.as_option();
    let (latitude, longitude, name) = match (fixed, live) {
        (Some(place), _) => (
            place.degrees_latitude,
            place.degrees_longitude,
            place.name.clone(),
        ),
        (None, Some(place)) => (place.degrees_latitude, place.degrees_longitude, None),
        (None, None) => return None,
    };
    // A missing field means zero degrees.
    let (latitude, longitude) = (latitude.unwrap_or(0.0), longitude.unwrap_or(0.0));
    let real = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
    real.then(|| Location {
        latitude,
        longitude,
        name: name.filter(|name| !name.is_empty()),
    })
}
