//! Conversions of internal errors into problems.

use tracing::error;
use waviro_core::bots::{
    AddError, BadKey, BadSetting, NoCode, NoSuchBot, RenameError, SetKeyError,
};
use waviro_core::idempotency::IdempotencyError;
use waviro_core::net::{FetchError, NetError};
use waviro_core::outbox::Refusal;
use waviro_core::tokens::AddTokenError;
use waviro_core::users::UserError;
use waviro_link::{LinkError, Status};
use waviro_store::StoreError;

use super::super::fields::NAME_FORM;
use super::{Limit, Problem};
use crate::http::BodyFault;
use crate::texts::Language;
use crate::unreachable::why_unreachable;

impl From<StoreError> for Problem {
    fn from(cause: StoreError) -> Self {
        if matches!(cause, StoreError::Busy) {
            return Self::Busy;
        }
        error!(%cause, "database command failed");
        Self::Internal
    }
}

impl From<IdempotencyError> for Problem {
    fn from(error: IdempotencyError) -> Self {
        match error {
            IdempotencyError::OtherBody => Self::IdempotencyConflict,
            IdempotencyError::Store(cause) => cause.into(),
        }
    }
}

impl From<BadSetting> for Problem {
    fn from(bad: BadSetting) -> Self {
        Self::invalid(bad.field, bad.should)
    }
}

impl From<BodyFault> for Problem {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge => Self::BodyTooLarge,
            BodyFault::Incomplete => Self::BodyIncomplete,
        }
    }
}

impl From<NoSuchBot> for Problem {
    fn from(error: NoSuchBot) -> Self {
        match error {
            NoSuchBot::Unknown => Self::NoSuchBot,
            NoSuchBot::Store(cause) => cause.into(),
        }
    }
}

impl From<AddError> for Problem {
    fn from(error: AddError) -> Self {
        match error {
            AddError::NameTaken => Self::NameTaken("bot"),
            AddError::BadName => Self::invalid("name", NAME_FORM),
            AddError::KeyTaken => Self::KeyTaken,
            AddError::KeysAlike => keys_alike("webhook_key"),
            AddError::Store(cause) => cause.into(),
        }
    }
}

impl From<SetKeyError> for Problem {
    fn from(error: SetKeyError) -> Self {
        match error {
            SetKeyError::Bot(cause) => cause.into(),
            SetKeyError::KeyTaken => Self::KeyTaken,
            SetKeyError::KeysAlike => keys_alike("secret_key"),
        }
    }
}

/// Returns the problem that the value of `field` would make the bot's two keys equal.
pub(in crate::v1) fn keys_alike(field: &'static str) -> Problem {
    Problem::invalid(field, BadKey::BothAlike.to_string())
}

impl From<RenameError> for Problem {
    fn from(error: RenameError) -> Self {
        match error {
            RenameError::Name(error) => error.into(),
            RenameError::Bot(error) => error.into(),
        }
    }
}

impl From<AddTokenError> for Problem {
    fn from(error: AddTokenError) -> Self {
        match error {
            AddTokenError::NameTaken => Self::NameTaken("token"),
            AddTokenError::BadName => Self::invalid("name", NAME_FORM),
            AddTokenError::NoSuchBot => Self::invalid("bot", BOT_FORM),
            AddTokenError::Store(cause) => cause.into(),
        }
    }
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        match error {
            UserError::NameTaken | UserError::NotFirst => Self::NameTaken("user"),
            UserError::BadName => Self::invalid("name", NAME_FORM),
            UserError::BadPassword => Self::invalid("password", PASSWORD_FORM),
            UserError::NoSuchBot => Self::invalid("bots", BOTS_FORM),
            UserError::NoSuchUser => Self::NoSuch("user"),
            UserError::LastAdmin => Self::LastAdmin,
            UserError::Busy => Self::Busy,
            UserError::Store(cause) => cause.into(),
        }
    }
}

impl From<NoCode> for Problem {
    fn from(none: NoCode) -> Self {
        match none {
            NoCode::Impossible(status) => Self::WrongState(status.word(), advice(&status)),
            NoCode::Link(cause) => cause.into(),
            NoCode::TimedOut => Self::WhatsAppUnavailable,
            NoCode::Unreachable(failure) => {
                Self::WhatsAppUnreachable(why_unreachable(&failure, Language::English))
            }
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotConnected(status) => Self::NotConnected(status),
            Refusal::NotRegistered => Self::NotRegistered,
            Refusal::NotInGroup => Self::NotInGroup,
            Refusal::Duplicate { of } => Self::Duplicate(of.as_str().to_owned()),
            Refusal::LookupFailed(cause) => cause.into(),
            Refusal::NoFile(FetchError::Net(NetError::Refused(refused))) => {
                Self::UrlRefused("media.url", refused)
            }
            Refusal::NoFile(FetchError::Disk(cause)) => {
                error!(cause, "file could not be written to disk");
                Self::Internal
            }
            Refusal::NoFile(cause) => Self::NoFile(cause),
            Refusal::NoRoom(none) => Self::Limit(Limit::Files(none)),
            Refusal::Busy => Self::Busy,
            Refusal::Storage(cause) => cause.into(),
        }
    }
}

impl From<LinkError> for Problem {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Offline | LinkError::TimedOut => Self::WhatsAppUnavailable,
            LinkError::Failed(cause) => {
                tracing::warn!(cause, "request to WhatsApp failed");
                Self::WhatsAppUnavailable
            }
            LinkError::Denied { code, text } => Self::RefusedByWhatsApp(format!("{code} {text}")),
            LinkError::Refused(words) => Self::RefusedByWhatsApp(words),
            LinkError::Store(cause) => {
                error!(cause, "link store failed");
                Self::Internal
            }
        }
    }
}

/// The form of a bot's id in a body, for error texts.
const BOT_FORM: &str = "the id of a bot";

const PASSWORD_FORM: &str = "at least 10 characters, and at most 1024 bytes";

const BOTS_FORM: &str = "the ids of existing bots";

/// Returns an advice for a state in which linking is not possible.
fn advice(status: &Status) -> &'static str {
    match status {
        Status::Banned { .. } => {
            "WhatsApp still bans the number; the gateway logs in when the ban ends, and relink tries again at any time"
        }
        Status::ClientOutdated => {
            "set whatsapp.version to a newer version, or install a newer gateway"
        }
        Status::PasskeyAsked => "link the bot with a phone whose account has no passkey",
        _ => "linking is not possible now",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Refusal as _;

    #[test]
    fn a_search_that_has_to_wait_too_long_is_busy_and_no_internal_error() {
        let problem = Problem::from(StoreError::Busy);
        assert_eq!((problem.code(), problem.status().as_u16()), ("busy", 503));
        assert_eq!(Problem::from(StoreError::Closed).code(), "internal");
    }
}
