//! `/v1/bots/{bot}/rules`: the rules that post inbound texts to URLs.

use axum::Json;
use axum::extract::OriginalUri;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_store::keyword;
use waviro_store::{AddRule, MAX_RULES, NewRule, RuleChange, RuleRow};

use super::auth::{AtBot, ChangesBot};
use super::body::{Body, permitted};
use super::endpoints::{Timeout, timeout};
use super::fields::{Expected, Field, Form, present};
use super::page::{Page, PageParams, Paging};
use super::path::{InPath, PathId};
use super::problem::Problem;
use super::responses::{Conflict, JsonResult, Located, located};
use super::state::V1;
use super::timestamp::Timestamp;
use crate::services::{Services, SharedServices};

pub(crate) mod test;

/// The maximum number of characters of a keyword.
pub(super) const KEYWORD_CAP: usize = 200;

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new()
        .routes(routes!(http_list, http_add))
        .routes(routes!(http_show, http_change, http_remove))
        .merge(test::routes())
}

/// A rule with its current state.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Rule)]
pub struct RuleView {
    /// The id of the rule.
    #[schema(example = 1, minimum = 1)]
    pub(crate) id: i64,
    /// The keyword as registered. A rule with an empty keyword gets each text without another rule.
    #[schema(example = "penawaran#")]
    pub(crate) keyword: String,
    /// The URL for the texts.
    #[schema(example = "https://toko.example/webhook.php")]
    pub(crate) url: String,
    /// True if the rule is active.
    pub(crate) enabled: bool,
    /// True if the rule also applies to texts in groups.
    pub(crate) groups: bool,
    /// The timeout of the endpoint in seconds; null for the value of `outbound.timeout_s`.
    #[schema(required, minimum = 1, maximum = 60)]
    pub(crate) timeout_s: Option<i64>,
    /// The reason for which the gateway disabled the rule; null if the gateway did not.
    #[schema(required)]
    pub(crate) off_cause: Option<String>,
    /// When the rule was created.
    pub(crate) created_at: Timestamp,
    /// When the rule was last changed.
    pub(crate) updated_at: Timestamp,
}

/// A rule to add.
#[derive(Deserialize, ToSchema)]
#[schema(as = AddRule)]
pub struct AddRuleBody {
    /// The beginning of a matching text, in upper or lower case; surrounding white space is
    /// ignored. With an empty, null or absent keyword, the rule gets each text without another
    /// rule.
    #[schema(value_type = Option<String>, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$",
        example = "penawaran#")]
    keyword: Option<Field<Keyword>>,
    /// The URL for the texts.
    #[schema(value_type = String, max_length = 2048, format = "uri", example = "https://toko.example/webhook.php")]
    url: Field<Url>,
    /// True if the rule is active.
    #[schema(default = true)]
    enabled: Option<bool>,
    /// True if the rule also applies to texts in groups.
    #[schema(default = false)]
    groups: Option<bool>,
    /// The timeout of the endpoint in seconds, at most `outbound.timeout_s`; null for the value of
    /// `outbound.timeout_s`.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 60, example = 10)]
    timeout_s: Option<Field<Timeout>>,
}

/// The changes to a rule. Absent fields stay unchanged.
#[derive(Deserialize, ToSchema)]
#[expect(
    clippy::option_option,
    reason = "null removes the timeout, an absent field keeps the timeout"
)]
pub struct ChangeRule {
    /// The beginning of a matching text. With an empty or null keyword, the rule gets each text
    /// without another rule.
    #[schema(value_type = Option<String>, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$",
        example = "penawaran#")]
    #[serde(default, deserialize_with = "present")]
    keyword: Option<Field<Keyword>>,
    /// The URL for the texts. Waiting deliveries go to the new URL.
    #[schema(value_type = Option<String>, max_length = 2048, format = "uri",
        example = "https://toko.example/webhook.php")]
    url: Option<Field<Url>>,
    /// True if the rule is active. Enabling the rule clears `off_cause`.
    enabled: Option<bool>,
    /// True if the rule also applies to texts in groups.
    groups: Option<bool>,
    /// The timeout of the endpoint in seconds; null for the value of `outbound.timeout_s`.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 60, example = 10)]
    #[serde(default, deserialize_with = "present")]
    timeout_s: Option<Option<Field<Timeout>>>,
}

/// The keyword of a rule without surrounding white space; `null` is the empty keyword.
struct Keyword;

impl Form for Keyword {
    type Value = String;

    fn read(value: &Value) -> Result<String, Expected> {
        let fits = |text: &&str| {
            text.chars().count() <= KEYWORD_CAP && !text.chars().any(char::is_control)
        };
        let text = if value.is_null() {
            Some("")
        } else {
            value.as_str()
        };
        let keyword = text.filter(fits).map(|text| text.trim().to_owned());
        keyword.ok_or_else(|| {
            format!("at most {KEYWORD_CAP} characters without control characters").into()
        })
    }
}

/// List rules
///
/// Lists all rules, including disabled rules, ordered by id.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/rules", tag = "rules", params(PageParams),
    responses((status = 200, description = "A page of rules.", body = Page<RuleView>))
)]
async fn http_list(
    services: SharedServices,
    at: AtBot,
    paging: Paging,
) -> JsonResult<Page<RuleView>> {
    list(&services, &at, paging).await.map(Json)
}

pub(crate) async fn list(
    services: &Services,
    at: &AtBot,
    paging: Paging,
) -> Result<Page<RuleView>, Problem> {
    let rules = services.store.rules(at.bot().id()).await?;
    let page = paging.page_of("rules", rules, |rule: &RuleRow| rule.id)?;
    Ok(page.map(RuleView::from))
}

/// Add a rule
///
/// An inbound text goes to the rule with the longest keyword at the beginning of the text, in upper
/// or lower case, or else to the rule without a keyword. The API refuses a keyword that matches the
/// same texts as the keyword of another rule. A bot has at most 500 rules.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/rules", tag = "rules", request_body = AddRuleBody,
    responses(
        (status = 201, description = "The rule.", body = RuleView,
            headers(("location" = String, description = "The rule's path."))),
        Conflict,
    )
)]
async fn http_add(
    services: SharedServices,
    at: ChangesBot,
    OriginalUri(uri): OriginalUri,
    Body(asked): Body<AddRuleBody>,
) -> Result<Located<RuleView>, Problem> {
    let added = add(&services, &at, asked).await?;
    Ok(located(StatusCode::CREATED, &uri, added.id, added))
}

pub(crate) async fn add(
    services: &Services,
    at: &ChangesBot,
    asked: AddRuleBody,
) -> Result<RuleView, Problem> {
    let keyword = asked.keyword.map(|keyword| keyword.0).unwrap_or_default();
    let new = NewRule {
        folded: keyword::seen(&keyword),
        keyword,
        url: permitted(services, at.bot(), "url", asked.url)?,
        enabled: asked.enabled.unwrap_or(true),
        in_groups: asked.groups.unwrap_or(false),
        timeout_s: timeout(services, asked.timeout_s)?,
    };
    let (bot_id, now) = (at.bot().id(), services.clock.now());
    done(services.store.add_rule(bot_id, new, now).await?)
}

/// Show a rule
///
/// Returns the rule and, if the gateway disabled the rule, the reason.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/rules/{rule}", tag = "rules",
    responses((status = 200, description = "The rule.", body = RuleView))
)]
async fn http_show(
    services: SharedServices,
    at: AtBot,
    PathId { id, .. }: PathId<RuleView>,
) -> JsonResult<RuleView> {
    show(&services, &at, id).await.map(Json)
}

pub(crate) async fn show(services: &Services, at: &AtBot, id: i64) -> Result<RuleView, Problem> {
    let rule = services.store.rule(at.bot().id(), id).await?;
    Ok(rule.ok_or(Problem::NoSuch("rule"))?.into())
}

/// Change a rule
///
/// The change applies from the next text on. Deliveries waiting for the old URL go to the new URL
/// with an unchanged body.
#[utoipa::path(
    patch, path = "/v1/bots/{bot}/rules/{rule}", tag = "rules", request_body = Option<ChangeRule>,
    responses((status = 200, description = "The rule as it is now.", body = RuleView), Conflict)
)]
async fn http_change(
    services: SharedServices,
    at: ChangesBot,
    PathId { id, .. }: PathId<RuleView>,
    Body(asked): Body<ChangeRule>,
) -> JsonResult<RuleView> {
    change(&services, &at, id, asked).await.map(Json)
}

pub(crate) async fn change(
    services: &Services,
    at: &ChangesBot,
    id: i64,
    asked: ChangeRule,
) -> Result<RuleView, Problem> {
    let url = asked
        .url
        .map(|url| permitted(services, at.bot(), "url", url));
    let timeout_s = asked.timeout_s.map(|asked| timeout(services, asked));
    let change = RuleChange {
        keyword: asked.keyword.map(|Field(keyword)| {
            let seen = keyword::seen(&keyword);
            (keyword, seen)
        }),
        url: url.transpose()?,
        enabled: asked.enabled,
        in_groups: asked.groups,
        timeout_s: timeout_s.transpose()?,
    };
    let (bot_id, now) = (at.bot().id(), services.clock.now());
    done(services.store.change_rule(bot_id, id, change, now).await?)
}

/// Remove a rule
///
/// The removal applies from the next text on. Waiting deliveries of the rule are cancelled.
#[utoipa::path(
    delete, path = "/v1/bots/{bot}/rules/{rule}", tag = "rules",
    responses((status = 204, description = "The rule is removed."))
)]
async fn http_remove(
    services: SharedServices,
    at: ChangesBot,
    PathId { id, .. }: PathId<RuleView>,
) -> Result<StatusCode, Problem> {
    remove(&services, &at, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn remove(services: &Services, at: &ChangesBot, id: i64) -> Result<(), Problem> {
    let (bot_id, now) = (at.bot().id(), services.clock.now());
    let removed = services.store.delete_rule(bot_id, id, now).await?;
    removed.then_some(()).ok_or(Problem::NoSuch("rule"))
}

fn done(added: AddRule) -> Result<RuleView, Problem> {
    match added {
        AddRule::Done(rule) => Ok(rule.into()),
        AddRule::KeywordTaken(other) => Err(Problem::KeywordTaken(other)),
        AddRule::TooMany => Err(Problem::TooMany("rules", MAX_RULES)),
        AddRule::NoSuchRule => Err(Problem::NoSuch("rule")),
    }
}

impl InPath for RuleView {
    const NAME: &str = "rule";
}

impl From<RuleRow> for RuleView {
    fn from(row: RuleRow) -> Self {
        Self {
            id: row.id,
            keyword: row.keyword,
            url: row.url.to_string(),
            enabled: row.enabled,
            groups: row.in_groups,
            timeout_s: row.timeout_s,
            off_cause: row.off_cause,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
        }
    }
}
