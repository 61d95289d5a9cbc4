//! `POST /api/sendmedia`, `/api/sendmediatogroup`: send a file from a URL, with `pesan` as its
//! caption.

use waviro_core::outbox::Draft;

use super::body::Fields;
use super::error::ApiError;
use super::send::{Reading, SendPath};

pub(super) const PATH: SendPath = SendPath {
    name: "sendmedia",
    field: "mediaurl",
    read,
    before_contact: false,
};

fn read(fields: &Fields, reading: &Reading<'_>) -> Result<Option<Draft>, ApiError> {
    let Some(url) = fields.url("mediaurl", reading.net, reading.allow)? else {
        return Ok(None);
    };
    let caption = fields
        .has("pesan")
        .then(|| fields.text("pesan"))
        .transpose()?;
    Ok(Some(Draft::File { url, caption }))
}
