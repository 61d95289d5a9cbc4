//! A place, as WhatsApp's clients write it.

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
