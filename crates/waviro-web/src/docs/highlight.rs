//! Syntax colours for sample code: strings, JSON names and comments. The same simple rules serve
//! all languages.

use std::fmt::Write;

/// Returns escaped HTML for `code`.
#[must_use]
pub fn html(code: &str) -> String {
    let mut out = String::with_capacity(code.len() * 2);
    for (at, line) in code.split('\n').enumerate() {
        if at > 0 {
            out.push('\n');
        }
        self::line(line, &mut out);
    }
    out
}

/// Highlights a line. A string never continues on the next line: a body in single quotes is shown
/// as JSON.
fn line(line: &str, out: &mut String) {
    let mut rest = line;
    while let Some(start) = rest.find(['"', '\'']) {
        let (before, from) = rest.split_at(start);
        let quote = &from[..1];
        let Some(length) = from[1..].find(quote).map(|end| end + 2) else {
            break;
        };
        // The single quote opens or closes a body of several lines.
        if quote == "'" && from[..length].contains('"') {
            let (one, after) = from.split_at(1);
            escape(before, out);
            escape(one, out);
            rest = after;
            continue;
        }
        let (text, after) = from.split_at(length);
        let class = if after.trim_start().starts_with(':') {
            "k"
        } else {
            "s"
        };
        escape(before, out);
        let _ = write!(out, "<span class=\"{class}\">");
        escape(text, out);
        out.push_str("</span>");
        rest = after;
    }
    escape(rest, out);
}

fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
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
