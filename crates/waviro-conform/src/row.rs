//! A row of the table `checks.json`: requests with the expected answer. [`run`] executes the rows
//! of a check.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::answer::Answer;
use crate::callback_server::File;
use crate::callbacks::Callbacks;
use crate::failure::Failure;
use crate::host::Request;
use crate::run::{Recipient, Run};
use crate::sent::What;
use crate::template::{expand, fill};

/// A request with the expected answer. A row with several paths or changes stands for several
/// requests with the same expectation.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Row {
    /// A comment for readers of the table.
    #[serde(rename = "note")]
    _note: IgnoredAny,
    /// The paths behind `/api/`. Each path is called in a request of its own.
    paths: Vec<String>,
    /// The end of each path.
    path_end: String,
    /// Sends a GET instead of a POST.
    get: bool,
    /// The template of the SecretKey; null sends no key.
    key: Option<String>,
    /// Sends the header `Secretkey` instead of `secretkey`.
    title_case: bool,
    /// The default is `application/json` for a request with a body. An empty text sends no header.
    content_type: Option<String>,
    /// The text, caption or name in the body. The suite appends a number that makes the text
    /// unique.
    words: String,
    /// Sends exactly the words of an earlier row of the check, counted from 0.
    words_of: Option<usize>,
    /// The template of a JSON body.
    json: Option<Value>,
    /// A body that is sent instead of `json`.
    text: Option<String>,
    /// A text before the JSON body.
    before_body: String,
    /// The name of a file of the suite for `mediaurl`. If the host cannot reach the suite, the
    /// check is skipped.
    file: Option<String>,
    /// Fields with values that replace the value of the JSON body. Each value is sent in a request
    /// of its own.
    each: BTreeMap<String, Vec<Value>>,
    /// Fields that are absent, null, empty and blank, each in a request of its own.
    without: Vec<String>,
    expects: Expects,
    /// The expected callbacks. A row without callbacks has no `notifyurl`.
    callbacks: Option<Callbacks>,
}

/// The expected answer.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expects {
    /// A success with any message.
    Success,
    /// A success with a message that fits the pattern.
    Message(Value),
    /// A success with a list. Each item fits the one pattern, and an item fits the other pattern.
    List { each: Value, has: Value },
    /// An accepted message for the recipient, with this `type`.
    Sent(Recipient, String),
    /// The documented refusal with this status.
    Refused(u16),
    /// A refusal with this code and this field, which Waviro adds to the documented refusal.
    Blames(String, Option<String>),
}

/// A field of a body with a new value; `None` removes the field.
type Change<'r> = Option<(&'r str, Option<Value>)>;

/// A request of a row.
struct Prepared {
    request: Request,
    json: Value,
    file: Option<File>,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            _note: IgnoredAny,
            paths: Vec::new(),
            path_end: String::new(),
            get: false,
            key: Some("{{key}}".to_owned()),
            title_case: false,
            content_type: None,
            words: String::new(),
            words_of: None,
            json: None,
            text: None,
            before_body: String::new(),
            file: None,
            each: BTreeMap::new(),
            without: Vec::new(),
            expects: Expects::Success,
            callbacks: None,
        }
    }
}

/// Runs a check: sends the requests of the rows in order, and stops at the first wrong answer.
pub(crate) async fn run(run: &Run, name: &str, rows: &[Row]) -> Result<(), Failure> {
    match (name, rows) {
        ("refusal.language", [row]) => return row.languages(run).await,
        ("text.repeat-at-once", [row]) => return row.send_at_once(run).await,
        (_, []) => return Err(Failure::new("the check has no rows")),
        _ => {}
    }
    let (mut words_of_rows, mut notified) = (Vec::new(), Vec::new());
    for row in rows {
        let mut words = String::new();
        for (path, change) in row.requests() {
            words = match row.words_of {
                None => run.words(&row.words),
                Some(number) => words_of_rows
                    .get(number)
                    .cloned()
                    .ok_or_else(|| Failure::new(format!("no row {number} before the row")))?,
            };
            let callbacks = row.callbacks;
            let notify = callbacks.map(|kind| (kind, format!("{name}-{}", notified.len())));
            let name = notify.as_ref().map(|(_, name)| name.as_str());
            let prepared = row.prepare(run, path, change, &words, name)?;
            if let Some((callbacks, name)) = &notify {
                callbacks.prepare(run, name);
            }
            let id = row.send(run, &prepared).await?;
            if let Some((callbacks, name)) = notify {
                callbacks.wait(run, &name, &id).await?;
                notified.push((callbacks, name, id));
            }
        }
        words_of_rows.push(words);
    }
    // Late callbacks of the earlier messages have arrived before the last message's callback.
    for (callbacks, notify, id) in &notified {
        callbacks.wait(run, notify, id).await?;
    }
    Ok(())
}

impl Row {
    /// Returns the path and the change of each request.
    fn requests(&self) -> Vec<(&str, Change<'_>)> {
        let blanks = [None, Some(Value::Null), Some("".into()), Some("  ".into())];
        let each = self.each.iter().flat_map(|(field, values)| {
            let values = values.iter().cloned();
            values.map(move |value| Some((field.as_str(), Some(value))))
        });
        let without = self.without.iter().flat_map(|field| {
            let blanks = blanks.clone().into_iter();
            blanks.map(move |value| Some((field.as_str(), value)))
        });
        let mut changes: Vec<Change<'_>> = each.chain(without).collect();
        if changes.is_empty() {
            changes.push(None);
        }
        let paths = self.paths.iter();
        let all = |path| changes.iter().map(move |change| (path, change.clone()));
        paths.flat_map(|path| all(path.as_str())).collect()
    }

    fn prepare(
        &self,
        run: &Run,
        path: &str,
        change: Change<'_>,
        words: &str,
        notify: Option<&str>,
    ) -> Result<Prepared, Failure> {
        let file = self.file.as_deref();
        let file = file.map(|name| run.server.file(name)).transpose()?;
        let file_url = file.as_ref().map(|file| file.url.as_str().into());
        let notify_url = notify.map(|name| run.server.notify_url(name)).transpose()?;
        let changes = [
            file_url.map(|url| ("mediaurl", Some(url))),
            notify_url.map(|url| ("notifyurl", Some(url.into()))),
            change,
        ];
        let mut json = self.json.clone().unwrap_or_default();
        for (field, value) in changes.into_iter().flatten() {
            let fields = json.as_object_mut().filter(|_| self.text.is_none());
            let fields =
                fields.ok_or_else(|| Failure::new("the row has no JSON body to change"))?;
            fields.remove(field);
            fields.extend(value.map(|value| (field.to_owned(), value)));
        }
        let json = fill(run, words, &json)?;
        let body = match (&self.text, &self.json) {
            (Some(text), _) => text.clone(),
            (None, Some(_)) => format!("{}{json}", self.before_body),
            (None, None) => String::new(),
        };
        let usual = (!body.is_empty()).then(|| "application/json".to_owned());
        let content_type = self.content_type.clone().or(usual);
        let key = self.key.as_deref();
        let request = Request {
            method: if self.get { Method::GET } else { Method::POST },
            path: format!("{path}{}", self.path_end),
            key: key.map(|key| expand(run, words, key)).transpose()?,
            title_case: self.title_case,
            content_type: content_type.filter(|value| !value.is_empty()),
            language: None,
            body: body.into(),
        };
        Ok(Prepared {
            request,
            json,
            file,
        })
    }

    /// Sends the request and compares the answer. Returns the id of an accepted message.
    async fn send(&self, run: &Run, prepared: &Prepared) -> Result<String, Failure> {
        if matches!(self.expects, Expects::Sent(..)) {
            run.wait_for_pace().await;
        }
        let answer = run.host.send(&prepared.request).await?;
        match &self.expects {
            Expects::Success => drop(answer.success()?),
            Expects::Message(pattern) => answer.fits(&fill(run, "", pattern)?)?,
            Expects::List { each, has } => {
                answer.lists(&fill(run, "", each)?, &fill(run, "", has)?)?;
            }
            Expects::Sent(..) => return self.accept(run, prepared, &answer),
            Expects::Refused(status) => answer.refused(*status)?,
            Expects::Blames(code, field) => answer.blames(code, field.as_deref())?,
        }
        Ok(String::new())
    }

    /// Compares the answer to an accepted message with the API document, and records the message.
    fn accept(&self, run: &Run, prepared: &Prepared, answer: &Answer) -> Result<String, Failure> {
        let Expects::Sent(recipient, kind) = &self.expects else {
            return Err(Failure::new("the row expects no message"));
        };
        let what = What::of(&prepared.json, prepared.file.as_ref(), kind);
        run.accept(answer, *recipient, kind, what)
    }

    /// Returns the request of a row of one request.
    fn only(&self, run: &Run) -> Result<Prepared, Failure> {
        let path = self.paths.first().map_or("", String::as_str);
        self.prepare(run, path, None, &run.words(&self.words), None)
    }

    /// Sends a bad request twice and compares the languages of the refusals.
    async fn languages(&self, run: &Run) -> Result<(), Failure> {
        let mut request = self.only(run)?.request;
        let usual = run.host.send(&request).await?;
        request.language = Some("en");
        let english = run.host.send(&request).await?;
        english.refused(400)?;
        if usual.sentence() == english.sentence() {
            return Err(english.wrong("a different sentence in English"));
        }
        Ok(())
    }

    /// Sends the same message four times at the same time.
    async fn send_at_once(&self, run: &Run) -> Result<(), Failure> {
        let prepared = self.only(run)?;
        run.wait_for_pace().await;
        let send = || run.host.send(&prepared.request);
        let answers = futures::future::try_join_all([send(), send(), send(), send()]).await?;
        let (accepted, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.success().is_ok());
        for answer in &refused {
            answer.refused(400)?;
        }
        match accepted[..] {
            [answer] => self.accept(run, &prepared, answer).map(drop),
            [] => Err(answers[0].wrong("one of the four accepted")),
            [_, second, ..] => Err(second.wrong("only one of the four accepted")),
        }
    }
}
