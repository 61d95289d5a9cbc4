//! From a section's form to what the API takes. What is no number there is left to it to refuse, by its field.

use serde_json::{Value, json};

use crate::dashboard::form::Form;
use crate::dashboard::rules::whole;

/// The section, and the patch of the settings that its form is; `None` where it is about something else.
pub(super) fn of(word: &str, form: &Form) -> Option<(&'static str, Value)> {
    let ticked = |name| form.get(name).is_some();
    let number = |name| whole(form.raw(name));
    Some(match word {
        "duplicate" => {
            let rule = json!({ "enabled": ticked("enabled"), "within_s": number("within_s") });
            ("duplicate", json!({ "duplicate_rule": rule }))
        }
        "pacing" => {
            let pacing = json!({
                "per_minute": number("per_minute"),
                "jitter": part(form.raw("jitter")),
                "typing": ticked("typing"),
            });
            ("pacing", json!({ "pacing": pacing }))
        }
        "group-acks" => ("group-acks", json!({ "group_acks": ticked("group_acks") })),
        "grace" => ("grace", json!({ "grace_s": number("grace_s") })),
        "allow" => {
            let networks = form.raw("allow").split([' ', ',', ';', '\r', '\n', '\t']);
            let networks: Vec<_> = networks.filter(|one| !one.is_empty()).collect();
            ("allow", json!({ "allow": networks }))
        }
        _ => return None,
    })
}

/// A new subscription; "all" includes the others.
pub(super) fn subscription(form: &Form) -> Value {
    let mut kinds: Vec<_> = form.all("kind").collect();
    if kinds.contains(&"*") {
        kinds = vec!["*"];
    }
    json!({
        "url": form.raw("url").trim(),
        "kinds": (!kinds.is_empty()).then_some(kinds),
        "timeout_s": whole(form.raw("timeout_s")),
    })
}

/// Percent as a part of one; nothing is the default again.
fn part(said: &str) -> Value {
    match said.trim().trim_end_matches('%').trim() {
        "" => Value::Null,
        said => said
            .replace(',', ".")
            .parse::<f64>()
            .map_or(Value::from(said), |percent| Value::from(percent / 100.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_becomes_what_the_api_takes() {
        for (said, part_of_one) in [
            ("", Value::Null),
            ("30", json!(0.3)),
            ("12,5 %", json!(0.125)),
            ("0", json!(0.0)),
            ("banyak", json!("banyak")),
        ] {
            assert_eq!(part(said), part_of_one, "{said}");
        }
        for (said, number) in [
            (" ", Value::Null),
            (" 20 ", json!(20)),
            ("-1", json!("-1")),
            ("1.5", json!("1.5")),
        ] {
            assert_eq!(whole(said), number, "{said}");
        }
    }
}
