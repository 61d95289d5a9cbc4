//! `POST /api/sendlocation`, `/api/sendlocationtogroup`: send a location, with `pesan` as its name.

use waviro_core::outbox::Draft;
use waviro_link::{Content, Location};

use super::body::Fields;
use super::error::ApiError;
use super::send::{Reading, SendPath};

pub(super) const PATH: SendPath = SendPath {
    name: "sendlocation",
    field: "latitude",
    read,
    before_contact: true,
};

fn read(fields: &Fields, _: &Reading<'_>) -> Result<Option<Draft>, ApiError> {
    if !fields.has("latitude") && !fields.has("longitude") {
        return Ok(None);
    }
    Ok(Some(Draft::Ready(Content::Location(Location {
        latitude: fields.degrees("latitude", 90.0)?,
        longitude: fields.degrees("longitude", 180.0)?,
        name: fields
            .has("pesan")
            .then(|| fields.text("pesan"))
            .transpose()?,
    }))))
}
