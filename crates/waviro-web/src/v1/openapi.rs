//! `/v1/openapi.json` (OpenAPI 3.1): the description of the administration API, generated from its
//! handlers and types.
//!
//! The module adds the parts that follow from the form of an operation, so that no handler can miss
//! a part: the authentication, the path parameters, and the refusals shared by all operations of
//! the same form.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem,
    Ref, RefOr, Required, ServerBuilder,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_core::idempotency::KEY_CAP;

use super::problem::ProblemBody;
use super::responses::refusal;
use super::state::V1;

/// The path below a base path.
const PATH: &str = "/v1/openapi.json";

/// The prefix of a handler's name. The rest is the name of the handler's operation.
const HANDLER: &str = "http_";

const BEARER: &str = "bearer";

const INTRODUCTION: &str = "Administers a gateway: its bots, their keys, and the tokens for the administration. \
    Messages are sent over `/api/…`, which `/docs` describes. A token comes from `waviro token add NAME`, or from \
    `POST /v1/tokens`. Problems are `application/problem+json` (RFC 9457); programs should read `code`. Lists are paged: \
    pass `next` as `cursor` until it is null.";

/// The tags, in the order of the documentation.
const TAGS: [(&str, &str); 15] = [
    ("bots", "The linked numbers."),
    (
        "linking",
        "Link a bot to WhatsApp as a companion device, and log it out.",
    ),
    ("keys", "A bot's SecretKey for `/api/…`."),
    (
        "settings",
        "Settings of a bot that differ from the API document.",
    ),
    (
        "messages",
        "Messages of a bot, sent and inbound, with their states.",
    ),
    (
        "secrets",
        "The secrets that authenticate a bot's webhooks and callbacks.",
    ),
    (
        "rules",
        "Keyword webhooks: the texts to post, and their URLs.",
    ),
    (
        "deliveries",
        "Deliveries to endpoints, with each attempt, and their replay.",
    ),
    ("endpoints", "Endpoints that fail or are switched off."),
    (
        "subscriptions",
        "The events of a bot to post, and their URLs. docs/events.md shows the bodies.",
    ),
    ("events", "The same events as a live stream."),
    ("media", "Files that were sent to the bots."),
    ("tokens", "Tokens that may administer the gateway."),
    ("users", "Users of the dashboard."),
    ("description", "This document."),
];

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new().routes(routes!(describe))
}

/// Get the OpenAPI document
///
/// Returns the OpenAPI 3.1 description of the administration API. Needs no token.
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "description", security(()),
    responses((status = 200, description = "The document.", body = Object))
)]
async fn describe(State(v1): State<V1>, OriginalUri(uri): OriginalUri) -> Json<OpenApi> {
    let base = uri.path().strip_suffix(PATH).unwrap_or_default();
    let mut document = OpenApi::clone(&v1.document);
    let url = if base.is_empty() { "/" } else { base };
    document.servers = Some(vec![ServerBuilder::new().url(url).build()]);
    Json(document)
}

/// Returns the document without operations; the routers add the operations.
pub(super) fn begun() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Waviro administration API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(INTRODUCTION))
        .license(Some(
            LicenseBuilder::new()
                .name("MIT OR Apache-2.0")
                .identifier(Some("MIT OR Apache-2.0"))
                .build(),
        ));
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "`wvt_` and 64 hex digits; an admin's token, or one bot's.",
        ));
    let components = ComponentsBuilder::new()
        .security_scheme(BEARER, SecurityScheme::Http(scheme.build()))
        .schema(ProblemBody::name(), ProblemBody::schema());
    let tags =
        TAGS.map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build());
    OpenApiBuilder::new()
        .info(info.build())
        .components(Some(components.build()))
        .tags(Some(tags))
        .build()
}

/// Adds the parts that follow from each operation's form.
pub(super) fn complete(document: &mut OpenApi) {
    name_rows(document.components.as_mut());
    for (path, item) in &mut document.paths.paths {
        if let Some(post) = &mut item.post {
            let known = post.parameters.get_or_insert_default();
            known.push(RefOr::T(once_key()));
        }
        for operation in operations(item) {
            // A handler's name is unique only within its file, so the tag becomes a prefix of the
            // operation id.
            let tag = operation.tags.iter().flatten().next().cloned();
            if let (Some(tag), Some(id)) = (tag, &mut operation.operation_id) {
                *id = format!("{tag}_{}", id.trim_start_matches(HANDLER));
            }
            for part in path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            {
                let known = operation.parameters.get_or_insert_default();
                if !known.iter().any(|known| is_named(known, part)) {
                    known.insert(0, RefOr::T(parameter(part)));
                }
            }
            for status in shared(path, operation) {
                let responses = &mut operation.responses.responses;
                responses
                    .entry(status.as_str().to_owned())
                    .or_insert_with(|| refusal(status));
            }
            operation
                .security
                .get_or_insert_with(|| vec![SecurityRequirement::new(BEARER, [""; 0])]);
        }
    }
}

/// Replaces the row schema of each page by a reference: utoipa writes the schema of a type
/// parameter inline at each use.
fn name_rows(components: Option<&mut Components>) {
    for (name, schema) in components.into_iter().flat_map(|all| &mut all.schemas) {
        if let (Some(row), RefOr::T(Schema::Object(page))) = (name.strip_prefix("Page_"), schema)
            && let Some(RefOr::T(Schema::Array(data))) = page.properties.get_mut("data")
        {
            data.items = Ref::from_schema_name(row).into();
        }
    }
}

/// Returns the statuses of the refusals shared by operations of the same form.
fn shared(path: &str, operation: &Operation) -> Vec<StatusCode> {
    let mut statuses = vec![StatusCode::INTERNAL_SERVER_ERROR];
    if operation.security.is_none() {
        statuses.extend([StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS]);
    }
    if path.contains('{') {
        statuses.push(StatusCode::NOT_FOUND);
    }
    let keyed = operation.parameters.iter().flatten().any(
        |parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Header),
    );
    // A request with an idempotency key has its body read even if the operation has no body.
    if keyed || operation.request_body.is_some() {
        statuses.extend([
            StatusCode::BAD_REQUEST,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNPROCESSABLE_ENTITY,
        ]);
    }
    let queried = operation.parameters.iter().flatten().any(
        |parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query),
    );
    if queried {
        statuses.push(StatusCode::UNPROCESSABLE_ENTITY);
    }
    statuses
}

/// Returns the `Idempotency-Key` parameter of every POST.
fn once_key() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[!-~]{1,255}$"))
        .min_length(Some(1))
        .max_length(Some(KEY_CAP));
    let text = "A key of your choice. The same request under the same key within 24 hours is not processed again, but gets the \
        first answer, with the header `Idempotent-Replay: true`.";
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(text))
        .schema(Some(schema))
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.patch,
        &mut item.delete,
    ];
    all.into_iter().flatten()
}

fn is_named(parameter: &RefOr<Parameter>, name: &str) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.name == name)
}

/// Returns a path parameter. The response to a value without an object is 404.
fn parameter(name: &str) -> Parameter {
    let (text, example) = match name {
        "bot" => (
            "The bot's id or name. A value of digits only is an id, even if a bot has such a name."
                .to_owned(),
            "1",
        ),
        other => (format!("The {other}'s id."), "1"),
    };
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(text))
        .schema(Some(schema))
        .example(Some(example.into()))
        .build()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use waviro_core::limits::{NUMBERS_CAP, TEXT_CAP, URL_CAP};

    use super::super::{endpoints, resources, rules};

    /// The attributes of utoipa take numbers only, so the test compares them with the constants.
    #[test]
    fn the_limits_in_the_document_are_the_limits_of_the_code() {
        let (_, document) = resources().split_for_parts();
        let document = serde_json::to_value(document).unwrap();
        let field = |body: &str, field: &str| {
            let path = format!("/components/schemas/{body}/properties/{field}");
            document.pointer(&path).cloned().unwrap_or(Value::Null)
        };
        let mut checked = 0;
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for (body, schema) in schemas {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                let is_text = body.starts_with("Send") || ["text", "subject"].contains(&&**name);
                let (limit, value) = match &**name {
                    "numbers" => ("maxItems", NUMBERS_CAP),
                    "keyword" => ("maxLength", rules::KEYWORD_CAP),
                    _ if property["format"] == "uri" => ("maxLength", URL_CAP),
                    _ if is_text => ("maxLength", TEXT_CAP),
                    _ => continue,
                };
                if let Some(documented) = property.get(limit) {
                    assert_eq!(*documented, value, "{body}.{name}");
                    checked += 1;
                }
            }
        }
        assert!(checked >= 17, "only {checked} limits");
        for body in [
            "AddRule",
            "ChangeRule",
            "AddSubscription",
            "ChangeSubscription",
            "Rule",
            "Subscription",
        ] {
            let maximum = &field(body, "timeout_s")["maximum"];
            assert_eq!(*maximum, endpoints::LONGEST, "{body}");
        }
    }
}
