//! Converts a section's form into a patch for the API. The API refuses a text in place of a number,
//! with the name of the field.

use serde_json::{Value, json};

use crate::dashboard::form::Form;
use crate::dashboard::rules::whole;

/// Returns the section and the patch of a form, or `None` for a form without a patch of the
/// settings.
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

/// Returns the body of a new subscription. The choice `*` includes all other kinds.
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

/// Converts a percentage into a fraction. An empty text is null, for the default.
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
    fn a_percentage_of_the_form_becomes_a_fraction_for_the_api() {
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
