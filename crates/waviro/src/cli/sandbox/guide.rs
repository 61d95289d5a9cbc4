//! The output of a ready sandbox: a guide for people, or a JSON line for programs.

use std::path::PathBuf;

use serde_json::json;

/// The addresses, keys and phones of the sandbox.
pub(super) struct Guide {
    pub(super) gateway: String,
    /// `None` if the metrics are not served.
    pub(super) metrics: Option<String>,
    /// The URL of the dashboard: the link for the first user, or the login page.
    pub(super) dashboard: String,
    pub(super) sim: String,
    pub(super) bot: String,
    /// `None` while the bot is not linked.
    pub(super) number: Option<String>,
    pub(super) secret_key: String,
    pub(super) webhook_key: String,
    pub(super) admin_token: String,
    /// Number and name of each phone: customers first, the bot's own phone last.
    pub(super) phones: Vec<(String, String)>,
    /// Id and name of each group.
    pub(super) groups: Vec<(String, String)>,
    /// The time of day.
    pub(super) now: String,
    /// The folder of the data; `None` for a temporary folder.
    pub(super) kept: Option<PathBuf>,
}

impl Guide {
    /// Returns the guide as a line of JSON.
    pub(super) fn json(&self) -> String {
        let named = |key: &str, list: &[(String, String)]| -> Vec<_> {
            list.iter()
                .map(|(id, name)| json!({key: id, "name": name}))
                .collect()
        };
        json!({
            "gateway": self.gateway,
            "metrics": self.metrics,
            "dashboard": self.dashboard,
            "sim": self.sim,
            "admin_token": self.admin_token,
            "bots": [{"name": self.bot, "number": self.number, "secret_key": self.secret_key, "webhook_key": self.webhook_key}],
            "phones": named("number", &self.phones),
            "groups": named("groupid", &self.groups),
        })
        .to_string()
    }

    /// Returns the guide for people.
    pub(super) fn text(&self) -> String {
        let Self {
            gateway,
            dashboard,
            sim,
            bot,
            secret_key,
            webhook_key,
            admin_token,
            ..
        } = self;
        let list = |list: &[(String, String)]| -> String {
            let shown: Vec<_> = list
                .iter()
                .map(|(id, name)| format!("{name} {id}"))
                .collect();
            shown.join(", ")
        };
        let state = self.number.as_deref().map_or_else(
            || "not linked yet".to_owned(),
            |number| format!("linked as {number}"),
        );
        let kept = self.kept.as_ref().map_or_else(
            || "in a temporary folder, removed at the end (--data DIR keeps the data)".to_owned(),
            |folder| format!("kept in {}", folder.display()),
        );
        let (customer, name) = self.phones.first().cloned().unwrap_or_default();
        // The text contains the time, because a sandbox with kept data would refuse the same text
        // again under the duplicate rule.
        let now = &self.now;
        let send = format!(
            "curl -X POST {gateway}/api/sendwa -H 'SecretKey: {secret_key}' -H 'Content-Type: application/json' \
             -d '{{\"nohp\":\"{customer}\",\"pesan\":\"Halo dari Waviro, pukul {now}\"}}'"
        );
        let customer_name = &name;
        let try_it = if self.number.is_some() {
            format!(
                "Send {name} a message:\n\n\
                 {send}\n\n\
                 See it on {name}'s phone:\n\n  \
                 curl {sim}/control/phones/{customer}/messages\n\n\
                 The same text twice in a row is refused, as the API document says: change the text to send again."
            )
        } else {
            let (phone, name) = self.phones.last().cloned().unwrap_or_default();
            format!(
                "Get a code and scan it with {name}'s phone (replace 2@… by the code):\n\n\
                 curl -X POST {gateway}/api/getqr -H 'SecretKey: {secret_key}'\n\n  \
                 curl {sim}/control/phones/{phone}/scan -d '{{\"qr\":\"2@…\"}}'\n\n\
                 Call /api/getqr again: when it answers \"isAuthenticated\":true, send {customer_name} a message:\n\n  \
                 {send}"
            )
        };
        format!(
            "WAVIRO SANDBOX: the gateway and a simulated WhatsApp. Nothing leaves this machine.\n\n\
             Dashboard  {dashboard}\n\
             API        {gateway}/api\n\
             Docs       {gateway}/docs\n\
             SecretKey  {secret_key}\n\
             webhookkey {webhook_key}\n\
             Bot        {bot}, {state}\n\
             Phones     {phones}\n\
             Groups     {groups}\n\
             Simulator  {sim}/\n\
             Data       {kept}\n\n\
             {try_it}\n\n\
             Callbacks: put \"notifyurl\":\"http://127.0.0.1:9000/\" beside pesan and run a server there that \
             answers POST with 200 (the README has one). The sandbox may call loopback addresses, a real gateway may not. The callback is {{\"msgid\",\"ack\"}}: 1 sent, 2 delivered, 3 read.\n\n\
             Administration (docs/admin.md, {gateway}/v1/openapi.json), with a token that may do everything:\n\n  \
             curl {gateway}/v1/bots -H 'Authorization: Bearer {admin_token}'\n\n\
             Real numbers: `waviro serve`. Linking a number this way is unofficial, and WhatsApp may ban the number; do not use a \
             number that you cannot afford to lose.\n\n\
             Ctrl-C stops both.",
            phones = list(&self.phones),
            groups = list(&self.groups),
        )
    }
}
