//! The errors of the administration API: problem details (RFC 9457), in English.

mod causes;
mod limit;

use std::borrow::Cow;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use waviro_core::net::{FetchError, Refused};
use waviro_link::{Status, UnlinkedCause};

use super::fields::{BadUrl, URL_FORM};
use crate::http;

pub use limit::Limit;

pub(super) use causes::keys_alike;

/// The media type of a [`ProblemBody`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The reasons for which the API refuses a request.
#[derive(Debug, Clone)]
pub enum Problem {
    /// The path does not exist.
    NotFound,
    /// No bot has the id or name, or the caller may not see the bot.
    NoSuchBot,
    /// No such object below a bot or among the tokens. The value is the kind of object.
    NoSuch(&'static str),
    /// The path has other methods.
    MethodNotAllowed,
    /// The header `Authorization: Bearer …` is missing.
    NoToken,
    /// The token is unknown, expired or revoked, or its bot was removed.
    InvalidToken,
    /// The address passed `limits.wrong_keys_per_minute`.
    TooManyWrongKeys,
    /// The operation needs an admin token.
    AdminOnly,
    /// The user may see everything and change nothing.
    ReadOnly,
    /// The change would leave the gateway without an admin.
    LastAdmin,
    /// The body is larger than `limits.body_kib`.
    BodyTooLarge,
    /// The body ended early or came too slowly.
    BodyIncomplete,
    /// The body is not JSON or not an object. The value names the place of the JSON error.
    InvalidBody(String),
    /// A required field or parameter is missing.
    MissingField(Cow<'static, str>),
    /// A field or parameter has a wrong value. The second value is the expected form.
    InvalidField(Cow<'static, str>, Cow<'static, str>),
    /// A field has no valid URL, with the reason.
    InvalidUrl(Cow<'static, str>, BadUrl),
    /// The guard refuses the URL in the field.
    UrlRefused(&'static str, Refused),
    /// Another bot, token or user has the name.
    NameTaken(&'static str),
    /// Another bot has this SecretKey.
    KeyTaken,
    /// The given rule of the bot has the same keyword.
    KeywordTaken(i64),
    /// The bot is not connected, and will not be soon.
    NotConnected(Status),
    /// The number is not registered on WhatsApp.
    NotRegistered,
    /// The bot is not in the group.
    NotInGroup,
    /// The duplicate rule refuses the message. The value is the id of the earlier message.
    Duplicate(String),
    /// The file at a URL could not be fetched, with the reason.
    NoFile(FetchError),
    /// A limit is reached.
    Limit(Limit),
    /// The database or the hashing of passwords is overloaded.
    Busy,
    /// The delivery has not ended.
    StillOpen,
    /// A replay of the delivery would reach no endpoint.
    Pointless,
    /// The bot already has the maximum number of objects of the kind, the given number.
    TooMany(&'static str, usize),
    /// The gateway did not sign the link, or the link was changed.
    BadSignature,
    /// The link has expired.
    LinkExpired,
    /// The file no longer exists, with the reason.
    MediaGone(String),
    /// The file cannot be fetched now, with the reason.
    MediaUnavailable(String),
    /// The bot's state does not allow the operation. The values are the state and an advice.
    WrongState(&'static str, &'static str),
    /// The Idempotency-Key was already used with another body.
    IdempotencyConflict,
    /// WhatsApp refused, with its own words.
    RefusedByWhatsApp(String),
    /// WhatsApp did not answer in time.
    WhatsAppUnavailable,
    /// WhatsApp cannot be reached. The value has the reason and an advice.
    WhatsAppUnreachable(&'static str),
    /// The gateway failed. The log has the cause under the request's id.
    Internal,
}

/// The error of a request, as defined by RFC 9457.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// The kind of problem: `urn:waviro:problem:` and the code.
    #[schema(example = "urn:waviro:problem:no_such_bot")]
    r#type: String,
    /// The kind of problem in a few words, always the same for a code.
    #[schema(example = "No such bot")]
    title: &'static str,
    /// The status of the response.
    #[schema(example = 404, minimum = 400, maximum = 599)]
    status: u16,
    /// The problem and its remedy.
    detail: String,
    /// The stable code of the problem, for programs.
    #[schema(example = "no_such_bot")]
    code: &'static str,
    /// The wrong field or parameter, if the problem is about a field.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<String>,
    /// The id of the request in the log; also in the header `X-Request-Id`.
    #[schema(example = "1f2e3d4c")]
    request_id: String,
}

impl Problem {
    /// Creates the problem of a wrong value: `FIELD must be FORM`.
    #[must_use]
    pub fn invalid(
        field: impl Into<Cow<'static, str>>,
        form: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::InvalidField(field.into(), form.into())
    }

    /// Returns a sample of each kind, for the documentation.
    #[must_use]
    pub fn samples() -> Vec<Self> {
        let mut samples = vec![
            Self::NotFound,
            Self::NoSuchBot,
            Self::NoSuch("token"),
            Self::MethodNotAllowed,
            Self::NoToken,
            Self::InvalidToken,
            Self::TooManyWrongKeys,
            Self::AdminOnly,
            Self::ReadOnly,
            Self::LastAdmin,
            Self::BodyTooLarge,
            Self::BodyIncomplete,
            Self::InvalidBody(String::new()),
            Self::MissingField("name".into()),
            Self::invalid("limit", ""),
            Self::UrlRefused("url", Refused::NoHost),
            Self::NameTaken("bot"),
            Self::KeyTaken,
            Self::KeywordTaken(1),
            Self::NotConnected(Status::Unlinked(UnlinkedCause::Never)),
            Self::NotRegistered,
            Self::NotInGroup,
            Self::Duplicate(String::new()),
            Self::NoFile(FetchError::Empty),
            Self::Busy,
            Self::StillOpen,
            Self::Pointless,
            Self::TooMany("rules", 500),
            Self::BadSignature,
            Self::LinkExpired,
            Self::MediaGone(String::new()),
            Self::MediaUnavailable(String::new()),
            Self::WrongState("linking", ""),
            Self::IdempotencyConflict,
            Self::RefusedByWhatsApp(String::new()),
            Self::WhatsAppUnavailable,
            Self::Internal,
        ];
        samples.extend(Limit::SAMPLES.map(Self::Limit));
        samples
    }

    /// Returns the stable code, the status and the title.
    fn kind(&self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::NotFound => ("not_found", S::NOT_FOUND, "Nothing here"),
            Self::NoSuchBot => ("no_such_bot", S::NOT_FOUND, "No such bot"),
            Self::NoSuch(_) => ("no_such_thing", S::NOT_FOUND, "No such thing"),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                S::METHOD_NOT_ALLOWED,
                "Method not allowed",
            ),
            Self::NoToken => ("no_token", S::UNAUTHORIZED, "No token"),
            Self::InvalidToken => ("invalid_token", S::UNAUTHORIZED, "Invalid token"),
            Self::TooManyWrongKeys => (
                "too_many_wrong_keys",
                S::TOO_MANY_REQUESTS,
                "Too many wrong tokens",
            ),
            Self::AdminOnly => ("admin_only", S::FORBIDDEN, "Only for admin tokens"),
            Self::ReadOnly => ("read_only", S::FORBIDDEN, "Only for reading"),
            Self::LastAdmin => ("last_admin", S::CONFLICT, "The last admin"),
            Self::BodyTooLarge => ("body_too_large", S::PAYLOAD_TOO_LARGE, "Body too large"),
            Self::BodyIncomplete => ("body_incomplete", S::BAD_REQUEST, "Body incomplete"),
            Self::InvalidBody(_) => ("invalid_body", S::BAD_REQUEST, "Body is not a JSON object"),
            Self::MissingField(_) => ("missing_field", S::UNPROCESSABLE_ENTITY, "Field missing"),
            Self::InvalidField(..) | Self::InvalidUrl(..) => {
                ("invalid_field", S::UNPROCESSABLE_ENTITY, "Invalid field")
            }
            Self::UrlRefused(..) => ("url_refused", S::UNPROCESSABLE_ENTITY, "URL not called"),
            Self::NameTaken(_) => ("name_taken", S::CONFLICT, "Name taken"),
            Self::KeyTaken => ("key_taken", S::CONFLICT, "Key taken"),
            Self::KeywordTaken(_) => ("keyword_taken", S::CONFLICT, "Keyword taken"),
            Self::NotConnected(_) => ("not_connected", S::CONFLICT, "Not connected"),
            Self::NotRegistered => ("not_registered", S::UNPROCESSABLE_ENTITY, "Not on WhatsApp"),
            Self::NotInGroup => ("not_in_group", S::UNPROCESSABLE_ENTITY, "Not in the group"),
            Self::Duplicate(_) => ("duplicate_message", S::CONFLICT, "Duplicate message"),
            Self::NoFile(_) => ("no_file", S::UNPROCESSABLE_ENTITY, "No file"),
            Self::Limit(limit) => limit.kind(),
            Self::Busy => ("busy", S::SERVICE_UNAVAILABLE, "Gateway busy"),
            Self::StillOpen => ("still_open", S::CONFLICT, "Not ended"),
            Self::Pointless => ("pointless", S::CONFLICT, "No endpoint to post to"),
            Self::TooMany(..) => ("too_many", S::CONFLICT, "Too many"),
            Self::BadSignature => ("bad_signature", S::FORBIDDEN, "Link not signed here"),
            Self::LinkExpired => ("link_expired", S::GONE, "Link expired"),
            Self::MediaGone(_) => ("media_gone", S::GONE, "File gone"),
            Self::MediaUnavailable(_) => ("media_unavailable", S::BAD_GATEWAY, "File not fetched"),
            Self::WrongState(..) => ("wrong_state", S::CONFLICT, "Not in this state"),
            Self::IdempotencyConflict => (
                "idempotency_conflict",
                S::UNPROCESSABLE_ENTITY,
                "Idempotency-Key already used",
            ),
            Self::RefusedByWhatsApp(_) => ("refused_by_whatsapp", S::CONFLICT, "WhatsApp refused"),
            Self::WhatsAppUnavailable | Self::WhatsAppUnreachable(_) => (
                "whatsapp_unavailable",
                S::SERVICE_UNAVAILABLE,
                "WhatsApp does not answer",
            ),
            Self::Internal => ("internal", S::INTERNAL_SERVER_ERROR, "Internal error"),
        }
    }

    /// Returns the HTTP status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind().1
    }

    /// Returns the kind of problem in a few words.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.kind().2
    }

    /// Returns the wrong field or parameter.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::MissingField(field)
            | Self::InvalidField(field, _)
            | Self::InvalidUrl(field, _) => Some(field),
            Self::UrlRefused(field, _) => Some(field),
            Self::KeyTaken => Some("secret_key"),
            Self::KeywordTaken(_) => Some("keyword"),
            Self::NotRegistered | Self::NotInGroup => Some("to"),
            Self::NoFile(_) => Some("media.url"),
            Self::NameTaken(_) => Some("name"),
            Self::IdempotencyConflict => Some("Idempotency-Key"),
            _ => None,
        }
    }

    /// Returns the problem and its remedy. `body_cap` is the configured limit in bytes.
    pub(crate) fn detail(&self, body_cap: usize) -> String {
        match self {
            Self::NotFound => "This path does not exist; /v1/openapi.json describes all paths.".to_owned(),
            Self::NoSuchBot => "This token can see no bot with this id or name; GET /v1/bots lists the visible bots.".to_owned(),
            Self::NoSuch(thing) => format!("There is no such {thing}."),
            Self::MethodNotAllowed => "This path does not have this method; the header Allow lists its methods.".to_owned(),
            Self::NoToken => "Send a token: Authorization: Bearer wvt_…; `waviro token add NAME` creates a token.".to_owned(),
            Self::InvalidToken => "This token is unknown, expired or revoked; `waviro token list` shows the valid tokens.".to_owned(),
            Self::TooManyWrongKeys => "Too many wrong tokens and keys from your address; wait a minute, then try again.".to_owned(),
            Self::AdminOnly => "This request needs an admin token; your token is for one bot.".to_owned(),
            Self::ReadOnly => "Your role may only read; an admin can give you another role.".to_owned(),
            Self::LastAdmin => "This is the last admin; make another user an admin first.".to_owned(),
            Self::BodyTooLarge => format!("The body is larger than {body_cap} bytes, the limit of limits.body_kib."),
            Self::BodyIncomplete => "The body was incomplete or too slow; send the request again.".to_owned(),
            Self::InvalidBody(place) => format!("The body must be a JSON object{place}."),
            Self::MissingField(field) => format!("{field} is required."),
            Self::InvalidField(field, should) => format!("{field} must be {should}."),
            Self::InvalidUrl(field, _) => format!("{field} must be {URL_FORM}."),
            Self::UrlRefused(field, refused) => format!("{field} cannot be called: {refused}."),
            Self::KeyTaken => "Another bot has this SecretKey, and a SecretKey identifies one bot; give the other bot another key first.".to_owned(),
            Self::KeywordTaken(rule) => format!("This keyword matches the same texts as the keyword of rule {rule}; change or remove that rule."),
            Self::NotConnected(status) => format!("The bot's state is {}; GET /v1/bots/{{bot}} shows the cause, and relink links the bot.", status.word()),
            Self::NotRegistered => "This number is not on WhatsApp.".to_owned(),
            Self::NotInGroup => "The bot is not in this group.".to_owned(),
            Self::Duplicate(of) => format!("The last message to this chat, {of}, has the same content; change the content to send again."),
            Self::NoFile(why) => format!("The file could not be downloaded: {why}."),
            Self::Limit(limit) => limit.detail(),
            Self::Busy => "Too many requests at once; try again in a second.".to_owned(),
            Self::StillOpen => "The delivery, or a replay of it, has not ended; the gateway retries it automatically.".to_owned(),
            Self::Pointless => "The delivery's rule or subscription is off or deleted, or its message is no longer stored.".to_owned(),
            Self::TooMany(thing, most) => format!("There are already {most} {thing}, the maximum; remove one first."),
            Self::NameTaken(thing) => format!("A {thing} with this name, or with a name that looks the same, exists already; choose another name."),
            Self::BadSignature => "This link was not signed by this gateway, was changed, or was revoked with all other links; use the unchanged link of a newer event, or fetch the file with a token.".to_owned(),
            Self::LinkExpired => "This link has expired; files and their links are kept for retention.media_days.".to_owned(),
            Self::MediaGone(why) => format!("This file no longer exists: {why}."),
            Self::MediaUnavailable(why) => format!("The file is still at WhatsApp, but could not be downloaded: {why}; try again."),
            Self::WrongState(word, advice) => format!("The bot's state is {word}; {advice}."),
            Self::IdempotencyConflict => "This Idempotency-Key was used for another request; use a new key for each new request.".to_owned(),
            Self::RefusedByWhatsApp(words) => format!("WhatsApp refused: {words}."),
            Self::WhatsAppUnavailable => "WhatsApp did not answer in time; try again.".to_owned(),
            Self::WhatsAppUnreachable(why) => format!("WhatsApp cannot be reached: {why}."),
            Self::Internal => "The gateway failed; its log has the cause under this request_id.".to_owned(),
        }
    }

    /// Returns the delay after which a retry can succeed.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyWrongKeys => Some(Duration::from_mins(1)),
            Self::WhatsAppUnavailable
            | Self::WhatsAppUnreachable(_)
            | Self::MediaUnavailable(_) => Some(Duration::from_secs(5)),
            Self::Limit(limit) => Some(limit.retry_after()),
            Self::Busy => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// Builds the response. `id` is the request's id; `body_cap` is the configured limit in bytes.
    pub(super) fn respond(&self, id: &str, body_cap: usize) -> Response {
        let (code, status, title) = self.kind();
        let body = ProblemBody {
            r#type: format!("urn:waviro:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: self.detail(body_cap),
            code,
            field: self.field().map(ToOwned::to_owned),
            request_id: id.to_owned(),
        };
        // The body has only strings and a number, so serialization cannot fail.
        let text = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, PROBLEM_JSON)], text).into_response();
        let headers = response.headers_mut();
        if let Some(after) = self.retry_after() {
            headers.insert(RETRY_AFTER, after.as_secs().into());
        }
        // RFC 6750, 3: a request without a token gets no error code.
        let challenge = match self {
            Self::NoToken => Some("Bearer realm=\"waviro\""),
            Self::InvalidToken => Some("Bearer realm=\"waviro\", error=\"invalid_token\""),
            _ => None,
        };
        if let Some(challenge) = challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

impl http::Refusal for Problem {
    const INTERNAL: Self = Self::Internal;

    fn code(&self) -> &'static str {
        self.kind().0
    }
}

/// Carries the problem in the response's extensions to `http::wrap_request`, which knows the
/// request id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
