//! The texts of the `/api` errors. Each text says what the caller should do. No text repeats the
//! caller's input, except a number in its right form. The words are in the table `api` of the
//! files in `texts`.

use waviro_core::idempotency::KEY_CAP;
use waviro_core::lenient_json::{Cause, Fault};
use waviro_core::net::Refused;
use waviro_core::outbox::{FILE_CAP, NoRoom};
use waviro_core::permits::NoPermit;
use waviro_link::{OfflineCause, Status, UnlinkedCause};

use super::super::body::TEXT_CAP;
use super::{ApiError, Language, MediaFault, UrlFault};
use crate::unreachable::why_unreachable;

/// The example in the text about a number, if the caller's number cannot be guessed.
const NUMBER: &str = "6282386000001";

impl ApiError {
    /// Returns the text for the caller. `id` is the request's id; `body_cap` is the configured
    /// limit in bytes.
    #[must_use]
    pub fn sentence(&self, language: Language, id: &str, body_cap: usize) -> String {
        let text = &language.texts().api.refusal;
        match self {
            Self::NotFound => text.not_found.to_owned(),
            Self::MethodNotAllowed => text.method_not_allowed.to_owned(),
            Self::BodyTooLarge => text.body_too_large(body_cap / 1024),
            Self::BodyIncomplete => text.body_incomplete.to_owned(),
            Self::BodyNotJson(fault) => not_json(*fault, language),
            Self::BodyNotForm => text.body_not_form.to_owned(),
            Self::BodyNotObject => text.body_not_object.to_owned(),
            Self::NoSecretKey => text.no_secret_key.to_owned(),
            Self::InvalidSecretKey => text.invalid_secret_key.to_owned(),
            Self::TooManyWrongKeys => text.too_many_wrong_keys.to_owned(),
            Self::MissingField(field) => text.missing_field(field),
            Self::NobodyNamed => text.nobody_named.to_owned(),
            Self::NotText { field } => text.not_text(field),
            Self::TextTooLong { field } => text.text_too_long(field, TEXT_CAP),
            Self::InvalidNumber { field, meant } => {
                let meant = meant.as_ref().map(ToString::to_string);
                text.invalid_number(meant.as_deref().unwrap_or(NUMBER), field)
            }
            Self::NotRegistered => text.not_registered.to_owned(),
            Self::NotInGroup => text.not_in_group.to_owned(),
            Self::InvalidGroup { field } => text.invalid_group(field),
            Self::InvalidDegrees { field } if *field == "latitude" => text.invalid_latitude(field),
            Self::InvalidDegrees { field } => text.invalid_longitude(field),
            Self::NotAnObject { field } => text.not_an_object(field),
            Self::TooManyNumbers { most } => text.too_many_numbers(most),
            Self::InvalidUrl { field, fault } => {
                text.invalid_url(fault.sentence(field, language), field)
            }
            Self::NoMedia(fault) => fault.sentence(language),
            Self::NotConnected(status) => not_connected(status, language),
            Self::Duplicate => text.duplicate.to_owned(),
            Self::InvalidIdempotencyKey => text.invalid_idempotency_key(KEY_CAP),
            Self::IdempotencyConflict => text.idempotency_conflict.to_owned(),
            Self::LookupFailed => text.lookup_failed.to_owned(),
            Self::NoRoom(none) => no_room(*none, language),
            Self::Busy => text.busy.to_owned(),
            Self::QrNotReady(None) => text.qr_not_ready.to_owned(),
            Self::QrNotReady(Some(failure)) => {
                text.qr_unreachable(why_unreachable(failure, language))
            }
            Self::Internal => text.internal(id),
        }
    }
}

fn not_json(fault: Fault, language: Language) -> String {
    let text = &language.texts().api.not_json;
    let Fault {
        line,
        column,
        cause,
    } = fault;
    match cause {
        Cause::UnescapedQuote => text.unescaped_quote(column, line),
        Cause::EndsEarly => text.ends_early(column, line),
        Cause::Other => text.other(column, line),
    }
}

fn no_room(none: NoRoom, language: Language) -> String {
    let text = &language.texts().api.no_room;
    match none {
        NoRoom::Fetches(NoPermit::Owner(most)) => text.fetches_of_bot(most),
        NoRoom::Fetches(NoPermit::InAll(most)) => text.fetches_of_all(most),
        NoRoom::Waiting { files, mib } => text.waiting(files, mib),
        NoRoom::Disk => text.disk.to_owned(),
    }
}

impl MediaFault {
    fn sentence(&self, language: Language) -> String {
        let text = &language.texts().api.media;
        match self {
            Self::TooLarge => text.too_large(FILE_CAP >> 20),
            Self::NotFound => text.not_found.to_owned(),
            Self::Status(status) => text.status(status),
            Self::Unreachable => text.unreachable.to_owned(),
            Self::TimedOut => text.timed_out.to_owned(),
            Self::Empty => text.empty.to_owned(),
            Self::Page(Some(direct)) => text.page_with_link(direct),
            Self::Page(None) => text.page.to_owned(),
            Self::Encoding => text.encoding.to_owned(),
            Self::Lost => text.redirects.to_owned(),
        }
    }
}

/// Returns a sample path for the URL in the text about a field.
fn example(field: &str) -> &'static str {
    match field {
        "mediaurl" => "foto.jpg",
        _ => "notify",
    }
}

impl UrlFault {
    fn sentence(&self, field: &str, language: Language) -> String {
        let text = &language.texts().api.url;
        match self {
            Self::NotAUrl => text.not_a_url(example(field)),
            Self::TooLong => text.too_long.to_owned(),
            Self::Refused(Refused::Scheme(_)) => text.scheme.to_owned(),
            Self::Refused(Refused::UserInfo) => text.user_info.to_owned(),
            Self::Refused(Refused::NoHost) => text.no_host.to_owned(),
            Self::Refused(Refused::UnsafePort(port)) => text.unsafe_port(port),
            Self::Refused(Refused::NotPublic { network, .. }) => text.not_public(network),
            Self::Refused(Refused::NameNotPublic(_)) => text.name_not_public.to_owned(),
        }
    }
}

fn not_connected(status: &Status, language: Language) -> String {
    let text = &language.texts().api.not_connected;
    match status {
        Status::Unlinked(UnlinkedCause::LoggedOut(_)) => text.logged_out.to_owned(),
        Status::Unreachable(failure) => text.unreachable(why_unreachable(failure, language)),
        Status::Unlinked(_) | Status::Linking { .. } => text.unlinked.to_owned(),
        Status::Reconnecting {
            cause: OfflineCause::Unreachable(failure),
        } => text.reconnecting_unreachable(why_unreachable(failure, language)),
        Status::Online | Status::Reconnecting { .. } => text.reconnecting.to_owned(),
        Status::Replaced => text.replaced.to_owned(),
        Status::Banned { .. } => text.banned.to_owned(),
        Status::PasskeyAsked => text.passkey_asked.to_owned(),
        Status::ClientOutdated => text.client_outdated.to_owned(),
    }
}
