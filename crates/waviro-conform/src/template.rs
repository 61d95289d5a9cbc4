//! The placeholders `{{name}}` of a request in the table `checks.json`.

use serde_json::Value;

use crate::failure::Failure;
use crate::run::Run;

/// Replaces the placeholders in all texts of a JSON value. `{{to as number}}` becomes a number.
pub(crate) fn fill(run: &Run, words: &str, value: &Value) -> Result<Value, Failure> {
    let fill = |value: &Value| fill(run, words, value);
    Ok(match value {
        Value::String(text) if text == "{{to as number}}" => {
            run.to.parse::<u64>().unwrap_or_default().into()
        }
        Value::String(text) => expand(run, words, text)?.into(),
        Value::Array(items) => items.iter().map(fill).collect::<Result<_, _>>()?,
        Value::Object(fields) => {
            let filled = fields
                .iter()
                .map(|(field, value)| Ok((field.clone(), fill(value)?)));
            Value::Object(filled.collect::<Result<_, Failure>>()?)
        }
        other => other.clone(),
    })
}

/// Replaces the placeholders in a text.
pub(crate) fn expand(run: &Run, words: &str, text: &str) -> Result<String, Failure> {
    let (mut expanded, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, tail) = after
            .split_once("}}")
            .ok_or_else(|| Failure::new(format!("a placeholder without an end: {text}")))?;
        expanded += before;
        expanded += &placeholder(run, words, name)?;
        rest = tail;
    }
    Ok(expanded + rest)
}

fn placeholder(run: &Run, words: &str, name: &str) -> Result<String, Failure> {
    // The first digits and the other digits of the recipient's number.
    let (prefix, rest) = run.to.split_at(3);
    // `{{7500*panjang }}` repeats a text.
    if let Some((count, text)) = name.split_once('*')
        && let Ok(count) = count.parse()
    {
        return Ok(text.repeat(count));
    }
    Ok(match name {
        "words" => words.to_owned(),
        "to" => run.to.clone(),
        "prefix" => prefix.to_owned(),
        "rest" => rest.to_owned(),
        // A host that accepts the national form reaches the same person.
        "national" => format!("0{}", run.to.strip_prefix("62").unwrap_or(&run.to)),
        "nobody" => run.nobody.clone(),
        "group" => run.group.clone(),
        "key" => run.host.key.clone(),
        "wrong_key" => run.host.key.to_lowercase() + "x",
        "unlinked_key" => run.unlinked_key()?,
        // If the host cannot reach the suite, the photo does not exist.
        "photo" => run.server.file("foto.jpg").map_or_else(
            |_| "https://yourdomain/foto.jpg".to_owned(),
            |file| file.url,
        ),
        _ => return Err(Failure::new(format!("an unknown placeholder: {name}"))),
    })
}
