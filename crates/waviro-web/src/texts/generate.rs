//! Turns the files of texts into Rust code: a struct per table, a field per text, and a method per
//! text with placeholders. The build script compiles this file.

use std::collections::BTreeSet;

use toml::{Table, Value};

/// The tables whose texts are also found by their keys.
const FOUND_BY_KEY: [&str; 2] = ["dashboard.message_kind.", "dashboard.field."];

/// Returns the code, or a line about each fault. A language is the name of its variant and the text
/// of its file. All files need the same keys with the same placeholders.
pub fn rust(languages: &[(&str, String)]) -> Result<String, Vec<String>> {
    let mut code = Code::default();
    let mut tables = Vec::new();
    for (language, file) in languages {
        match file.parse::<Table>() {
            Ok(table) => tables.push((*language, table)),
            Err(fault) => code.faults.push(format!("{language}: {fault}")),
        }
    }
    let tables: Vec<_> = tables.iter().map(|(name, table)| (*name, table)).collect();
    let values = code.table("Texts", "", &tables);
    for ((language, _), value) in tables.iter().zip(values) {
        let name = language.to_uppercase();
        code.items
            .push(format!("static {name}: Texts = {value};\n"));
    }
    if code.faults.is_empty() {
        Ok(code.items.concat())
    } else {
        Err(code.faults)
    }
}

#[derive(Default)]
struct Code {
    items: Vec<String>,
    faults: Vec<String>,
}

impl Code {
    /// Writes the struct `name` of the table at `path`, and the structs of the tables inside.
    /// Returns the struct's value in each language.
    fn table(&mut self, name: &str, path: &str, tables: &[(&str, &Table)]) -> Vec<String> {
        let (mut fields, mut methods) = (Vec::new(), Vec::new());
        let mut values = vec![Vec::new(); tables.len()];
        let keys: BTreeSet<_> = tables.iter().flat_map(|(_, table)| table.keys()).collect();
        for key in keys {
            let path = format!("{path}{key}");
            let inside: Vec<_> = tables
                .iter()
                .filter_map(|(language, table)| Some((*language, table.get(key)?.as_table()?)))
                .collect();
            let own: Vec<_> = if inside.len() == tables.len() {
                let name = name.replace("Texts", "") + &camel_case(key);
                fields.push(format!("pub(crate) {key}: {name},\n"));
                self.table(&name, &format!("{path}."), &inside)
            } else {
                let texts = self.texts(&path, key, tables);
                let names = placeholders(texts[0]);
                if names.is_empty() {
                    fields.push(format!("pub(crate) {key}: &'static str,\n"));
                    texts.iter().map(|text| format!("{text:?}")).collect()
                } else {
                    methods.push(method(key, &names, tables, &texts));
                    continue;
                }
            };
            for (value, own) in values.iter_mut().zip(own) {
                value.push(format!("{key}: {own},\n"));
            }
        }
        if FOUND_BY_KEY.contains(&path) {
            self.items.push(finder(name, tables[0].1));
        }
        if !methods.is_empty() {
            fields.push("language: Language,\n".to_owned());
            for (value, (language, _)) in values.iter_mut().zip(tables) {
                value.push(format!("language: Language::{language},\n"));
            }
            let methods = methods.concat();
            self.items.push(format!("impl {name} {{\n{methods}}}\n"));
        }
        let fields = fields.concat();
        self.items.push(format!(
            "#[derive(Debug)]\npub(crate) struct {name} {{\n{fields}}}\n"
        ));
        let whole = |fields: Vec<String>| format!("{name} {{\n{}}}", fields.concat());
        values.into_iter().map(whole).collect()
    }

    /// Returns a text in each language; a text that is no text is a fault.
    fn texts<'t>(&mut self, path: &str, key: &str, tables: &[(&str, &'t Table)]) -> Vec<&'t str> {
        let text = |(_, table): &(_, &'t Table)| table.get(key).and_then(Value::as_str);
        let texts: Vec<_> = tables
            .iter()
            .map(|it| text(it).unwrap_or_default())
            .collect();
        for ((language, _), text) in tables.iter().zip(&texts) {
            if text.trim().is_empty() {
                self.faults
                    .push(format!("{path} has no text in {language}"));
            } else if placeholders(text) != placeholders(texts[0]) {
                let fault = format!("{path} has other placeholders in {language}");
                self.faults.push(fault);
            }
        }
        texts
    }
}

/// Returns the function that finds a text of a table by its key.
fn finder(name: &str, table: &Table) -> String {
    let arms = table
        .keys()
        .map(|key| format!("{key:?} => Some(self.{key}),\n"));
    let arms: String = arms.collect();
    format!(
        "impl {name} {{\npub(crate) fn named(&self, key: &str) -> Option<&'static str> {{\nmatch key {{\n{arms}_ => None,\n}}\n}}\n}}\n"
    )
}

/// Returns the method of a text with placeholders.
fn method(key: &str, names: &BTreeSet<&str>, tables: &[(&str, &Table)], texts: &[&str]) -> String {
    let arguments: Vec<_> = names
        .iter()
        .map(|name| format!("{name}: impl Display"))
        .collect();
    let arms = tables.iter().zip(texts).map(|((language, _), text)| {
        let mut format = text.replace('{', "{{").replace('}', "}}");
        for name in names {
            format = format.replace(&format!("{{{{{name}}}}}"), &format!("{{{name}}}"));
        }
        format!("Language::{language} => format!({format:?}),\n")
    });
    // A text can be equal in both languages.
    let same = if texts.windows(2).any(|two| two[0] == two[1]) {
        "#[expect(clippy::match_same_arms, reason = \"the text is equal in the languages\")]\n"
    } else {
        ""
    };
    format!(
        "{same}pub(crate) fn {key}(&self, {}) -> String {{\nmatch self.language {{\n{}}}\n}}\n",
        arguments.join(", "),
        arms.collect::<String>()
    )
}

/// Returns the names in braces. Braces around anything else are a part of the text.
fn placeholders(text: &str) -> BTreeSet<&str> {
    let after_braces = text.split('{').skip(1);
    let inside = after_braces.filter_map(|rest| Some(rest.split_once('}')?.0));
    let letters = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    inside.filter(|it| !it.is_empty() && letters(it)).collect()
}

fn camel_case(key: &str) -> String {
    let words = key.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    words.collect()
}
