//! `POST /api/sendwa`, `/api/sendwatogroup`: send a text.

use waviro_core::outbox::Draft;
use waviro_link::Content;

use super::body::Fields;
use super::error::ApiError;
use super::send::{Reading, SendPath};

pub(super) const PATH: SendPath = SendPath {
    name: "sendwa",
    field: "pesan",
    read,
    before_contact: false,
};

fn read(fields: &Fields, _: &Reading<'_>) -> Result<Option<Draft>, ApiError> {
    if !fields.has("pesan") {
        return Ok(None);
    }
    Ok(Some(Draft::Ready(Content::Text(fields.text("pesan")?))))
}
