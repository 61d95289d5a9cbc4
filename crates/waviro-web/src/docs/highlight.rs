//! Syntax colours for sample code: strings, JSON names and comments. The same simple rules serve
//! all languages.

use std::fmt::Write;

/// Returns escaped HTML for `code`.
pub fn html(code: &str) -> String {
    code.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Highlights a line. A string never continues on the next line: a body in single quotes is shown
/// as JSON.
fn line(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(start) = rest.find(['"', '\'']) {
        let (before, from) = rest.split_at(start);
        let quote = &from[..1];
        let Some(length) = from[1..].find(quote).map(|end| end + 2) else {
            break;
        };
        out += &escaped(before);
        // The single quote opens or closes a body of several lines.
        if quote == "'" && from[..length].contains('"') {
            out += &escaped(quote);
            rest = &from[1..];
            continue;
        }
        let (text, after) = from.split_at(length);
        let name = after.trim_start().starts_with(':');
        let class = if name { "k" } else { "s" };
        let _ = write!(out, "<span class=\"{class}\">{}</span>", escaped(text));
        rest = after;
    }
    out + &escaped(rest)
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let text = text.replace('>', "&gt;").replace('"', "&quot;");
    text.replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shown_text_is_escaped() {
        assert_eq!(
            html("<?php '<b>' & \"<i>\": 'x"),
            "&lt;?php <span class=\"s\">&#39;&lt;b&gt;&#39;</span> &amp; <span class=\"k\">&quot;&lt;i&gt;&quot;</span>: &#39;x"
        );
    }

    #[test]
    fn names_and_texts_of_a_body_are_distinguished_also_inside_quotes() {
        assert_eq!(
            html("--data '{\n \"nohp\": \"628\"\n}'"),
            "--data &#39;{\n <span class=\"k\">&quot;nohp&quot;</span>: <span class=\"s\">&quot;628&quot;</span>\n}&#39;"
        );
    }
}
