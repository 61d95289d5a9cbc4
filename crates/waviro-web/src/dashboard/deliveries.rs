//! The page with the deliveries of a bot: their state, failing endpoints, and replays of a time
//! range.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};
use waviro_store::clock::{Millis, millis};
use waviro_store::endpoint_of;

use super::causes;
use super::errors::PageError;
use super::form::Form;
use super::message_row::part;
use super::page_context::PageContext;
use super::refused::Refused;
use super::session::Me;
use crate::v1::body;
use crate::v1::bots::BotView;
use crate::v1::causes::AttemptCauseCode;
use crate::v1::deliveries::{self, DeliveryState, DeliveryView, Kind, replay};
use crate::v1::endpoints::{self, EndpointView};
use crate::v1::page::{self, Paging};
use crate::v1::query;

/// The API's status for an invalid filter.
const UNPROCESSABLE: u16 = 422;

/// The time spans for lists and replays. Spans are independent of the reader's time zone.
const PASTS: [(&str, Duration); 3] = [
    ("hour", Duration::from_hours(1)),
    ("day", Duration::from_hours(24)),
    ("week", Duration::from_hours(7 * 24)),
];

#[derive(Template)]
#[template(path = "dashboard/deliveries.html")]
struct Page {
    context: PageContext,
    bot: BotView,
    asked: DeliveriesQuery,
    list: page::Page<DeliveryView>,
    /// Only for admins, because bots share endpoints.
    endpoints: Vec<EndpointView>,
    /// The time of the page, in milliseconds.
    at: Millis,
    done: Option<Done>,
    wrong: Option<Refused>,
}

/// The result of a form.
enum Done {
    /// The endpoint was switched on; the number of deliveries that are due.
    On(u64),
    /// A time range was replayed.
    Again(Again),
}

/// The result of a replay, and the form for the rest of the range.
struct Again {
    replayed: usize,
    left_out: usize,
    rest: Option<Rest>,
}

struct Rest {
    state: String,
    kind: String,
    subject: String,
    endpoint: String,
    since: String,
    until: String,
    after: i64,
}

/// The filters of the list.
#[derive(Debug, Default, Deserialize)]
pub(super) struct DeliveriesQuery {
    #[serde(default)]
    state: String,
    #[serde(default)]
    kind: String,
    /// A message id, or the URL of an endpoint.
    #[serde(default)]
    q: String,
    #[serde(default)]
    past: String,
    #[serde(default)]
    cursor: String,
}

/// Lists the deliveries of a bot, newest first.
pub(super) async fn list(
    me: Me,
    Path(bot): Path<i32>,
    Query(mut asked): Query<DeliveriesQuery>,
) -> Result<Response, PageError> {
    asked.q = asked.q.trim().to_owned();
    page(me, bot, asked, None, None).await
}

/// Replays a time range, or switches an endpoint on.
pub(super) async fn act(
    mut me: Me,
    Path(bot): Path<i32>,
    form: Form,
) -> Result<Response, PageError> {
    let done = match form.raw("do") {
        "again" => again(&mut me, bot, &form).await.map(Done::Again),
        "on" => {
            let body = json!({"endpoint": form.raw("endpoint")});
            let on = me.ask(async {
                let admin = me.caller.changes_gateway()?;
                endpoints::switch_on(&me.services, &admin, body::of(&body)?).await
            });
            on.await.map(|on| Done::On(on.due))
        }
        _ => return Err(PageError::BadForm),
    };
    let (done, wrong) = match done {
        Ok(done) => (Some(done), None),
        Err(refused) => (None, Some(refused)),
    };
    page(me, bot, DeliveriesQuery::default(), done, wrong).await
}

/// Replays as many deliveries of a range as a single request may.
async fn again(me: &mut Me, bot: i32, form: &Form) -> Result<Again, Refused> {
    // The time of the page on the user's screen. The rest of a range keeps the same start and end,
    // because the current time moves on.
    let now = form.raw("at").parse();
    let now = now.unwrap_or_else(|_| me.services.clock.now());
    let since = form
        .get("since")
        .map_or_else(|| began(form.raw("past"), now), ToOwned::to_owned);
    let until = form
        .get("until")
        .map_or_else(|| moment(now.saturating_add(1)), ToOwned::to_owned);
    let mut body = Map::from_iter([
        ("state".to_owned(), Value::from(form.raw("state"))),
        ("since".to_owned(), Value::from(since.as_str())),
        ("until".to_owned(), Value::from(until.as_str())),
    ]);
    for narrower in ["kind", "subject", "endpoint"] {
        if let Some(said) = form.get(narrower) {
            body.insert(narrower.to_owned(), said.into());
        }
    }
    if let Some(after) = form
        .get("after")
        .and_then(|after| after.parse::<u64>().ok())
    {
        body.insert("after".to_owned(), after.into());
    }
    let path = format!("/v1/bots/{bot}/deliveries/replay");
    let asked = me.once(form, &path, Value::Object(body), move |asked| async move {
        replay::many(&asked.services, &asked.changes(bot)?, asked.body()?).await
    });
    let (done, before) = asked.await?;
    me.context.repeated = before;
    let rest = done.next_after.map(|after| Rest {
        state: form.raw("state").to_owned(),
        kind: form.raw("kind").to_owned(),
        subject: form.raw("subject").to_owned(),
        endpoint: form.raw("endpoint").to_owned(),
        since,
        until,
        after,
    });
    Ok(Again {
        replayed: done.replayed,
        left_out: done.left_out,
        rest,
    })
}

async fn page(
    me: Me,
    bot: i32,
    asked: DeliveriesQuery,
    done: Option<Done>,
    wrong: Option<Refused>,
) -> Result<Response, PageError> {
    let services = &me.services;
    let bot_view = me.bot(bot).await?;
    let list = me.ask(async {
        let filter = deliveries::filter(&asked.filters(services.clock.now()))?;
        let paging = Paging::at(&asked.cursor);
        deliveries::list(services, &me.sees(bot)?, filter, paging).await
    });
    // An invalid filter is reported beside its field.
    let (list, wrong) = match list.await {
        Ok(list) => (list, wrong),
        Err(refused) if refused.status == UNPROCESSABLE => {
            (page::Page::from_parts(Vec::new(), None), Some(refused))
        }
        Err(refused) => return Err(refused.into()),
    };
    let endpoints = if me.context.is_admin() {
        let all = me.ask(async { endpoints::list(services, &me.caller.admin()?).await });
        all.await?.data
    } else {
        Vec::new()
    };
    let status = Refused::status_of(wrong.as_ref());
    let page = Page {
        context: me.context.clone(),
        bot: bot_view,
        asked,
        list,
        endpoints,
        at: services.clock.now(),
        done,
        wrong,
    };
    Ok(me.context.show(status, &page))
}

/// Returns the start of a span before `now`; for a word outside [`PASTS`], the Unix epoch.
fn began(past: &str, now: Millis) -> String {
    let span = PASTS.iter().find(|(word, _)| *word == past);
    moment(span.map_or(0, |(_, span)| now.saturating_sub(millis(*span))))
}

/// Formats a timestamp for the API.
fn moment(at: Millis) -> String {
    let at = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    at.to_string()
}

impl Page {
    /// Returns the link to the deliveries of an endpoint.
    fn to(&self, endpoint: &EndpointView) -> String {
        let query = encoded(&[("q", &endpoint.endpoint)]);
        format!(
            "{}/bots/{}/deliveries?{query}",
            self.context.home, self.bot.id
        )
    }

    /// Returns the remedy for the endpoint's last failure.
    fn advice(&self, endpoint: &EndpointView) -> &'static str {
        let (code, status) = (endpoint.last_error_code, endpoint.last_status);
        causes::of_attempt(code, status, &self.context)
    }
}

impl DeliveriesQuery {
    /// Returns the endpoint of the search, without the rest of the URL; empty if the search is for
    /// something else.
    fn endpoint(&self) -> String {
        if !self.q.contains("://") {
            return String::new();
        }
        let url = Url::parse(&self.q);
        url.map_or_else(|_| self.q.clone(), |url| endpoint_of(&url))
    }

    /// Returns the message id of the search.
    fn subject(&self) -> &str {
        if self.q.contains("://") { "" } else { &self.q }
    }

    fn is_narrowed(&self) -> bool {
        !self.query("").is_empty() || !self.cursor.is_empty()
    }

    /// Returns the query of a link to the page itself.
    fn query(&self, cursor: &str) -> String {
        encoded(&[
            ("state", &self.state),
            ("kind", &self.kind),
            ("q", &self.q),
            ("past", &self.past),
            ("cursor", cursor),
        ])
    }

    /// Returns the filters for the API.
    fn filters(&self, now: Millis) -> query::Query {
        let since = match self.past.as_str() {
            "" => String::new(),
            past => began(past, now),
        };
        query::Query::of(&[
            ("state", &self.state),
            ("kind", &self.kind),
            ("subject", self.subject()),
            ("endpoint", &self.endpoint()),
            ("since", &since),
        ])
    }
}

fn encoded(all: &[(&str, &str)]) -> String {
    let said = all.iter().filter(|(_, value)| !value.is_empty());
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(said)
        .finish()
}

/// The words of a delivery on all pages.
impl DeliveryView {
    /// Returns the message id, encoded for a path.
    pub(super) fn subject_path(&self) -> String {
        part(&self.subject)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state != DeliveryState::Waiting
    }

    pub(super) fn is_delivered(&self) -> bool {
        self.state == DeliveryState::Delivered
    }

    pub(super) fn is_event(&self) -> bool {
        self.kind == Kind::Event
    }

    /// Returns the CSS class of the state.
    pub(super) fn tone(&self) -> &'static str {
        match self.state {
            DeliveryState::Delivered if self.lost.is_empty() => "good",
            DeliveryState::Waiting => "waits",
            DeliveryState::Cancelled => "heard",
            DeliveryState::Delivered | DeliveryState::GivenUp | DeliveryState::Gone => "bad",
        }
    }

    pub(super) fn words(&self, context: &PageContext) -> &'static str {
        let text = &context.text.delivery_state;
        match self.state {
            DeliveryState::Delivered => text.delivered,
            DeliveryState::Waiting if self.endpoint_off_since.is_some() => text.endpoint_off,
            DeliveryState::Waiting if self.under_way => text.under_way,
            DeliveryState::Waiting if self.failed > 0 => text.retry,
            DeliveryState::Waiting => context.text.common.waiting,
            DeliveryState::GivenUp => text.given_up,
            DeliveryState::Gone => text.gone,
            DeliveryState::Cancelled => text.cancelled,
        }
    }

    pub(super) fn kind_words(&self, context: &PageContext) -> &'static str {
        let text = &context.text.delivery_kind;
        match self.kind {
            Kind::Callback => text.callback,
            Kind::Keyword => text.keyword,
            Kind::Event => text.event,
        }
    }

    /// Returns the remedy for the last failure, or an empty text.
    pub(super) fn advice(&self, context: &PageContext) -> &'static str {
        let code = self.last_error_code.unwrap_or(AttemptCauseCode::Unknown);
        causes::of_attempt(code, self.last_status, context)
    }

    /// Explains the outcome of the webhook reply. The API's text has the details.
    pub(super) fn answered(&self, context: &PageContext) -> Option<&'static str> {
        self.note_code.map(|code| causes::of_reply(code, context))
    }
}
