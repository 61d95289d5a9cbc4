//! Sample programs for each endpoint: raw HTTP, cURL, PHP, JavaScript and Python, each without
//! extra libraries.

use serde_json::Value;

use super::catalogue::Endpoint;
use super::origin::Origin;

/// A call of an endpoint in a programming language.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The stable name, used in anchors and to remember the reader's choice.
    pub tag: &'static str,
    /// The language's name.
    pub name: &'static str,
    /// The program's source code.
    pub code: String,
}

/// Returns a sample in each language, in the document's order of languages.
#[must_use]
pub fn of(endpoint: &Endpoint, origin: &Origin, key: &str) -> [Sample; 5] {
    let call = Call {
        url: format!("{}{}", origin.url(), endpoint.path()),
        host: origin.host(),
        path: format!("{}{}", origin.base(), endpoint.path()),
        key,
        body: endpoint.sample.as_deref(),
    };
    [
        ("http", "HTTP", call.http()),
        ("curl", "cURL", call.curl()),
        ("php", "PHP", call.php()),
        ("js", "JavaScript", call.javascript()),
        ("python", "Python", call.python()),
    ]
    .map(|(tag, name, code)| Sample { tag, name, code })
}

/// Returns samples for a call with the given body, in each language except raw HTTP. The body is
/// escaped so that the text can stand unchanged within the quotes of any of the languages.
#[must_use]
pub fn call(origin: &Origin, path: &str, key: &str, body: &Value) -> [Sample; 4] {
    let body = serde_json::to_string_pretty(body).unwrap_or_default();
    let body = body.replace("\\\\", "\\u005c").replace('\'', "\\u0027");
    let call = Call {
        url: format!("{}{path}", origin.url()),
        host: origin.host(),
        path: format!("{}{path}", origin.base()),
        key,
        body: Some(&body),
    };
    [
        ("curl", "cURL", call.curl()),
        ("php", "PHP", call.php()),
        ("js", "JavaScript", call.javascript()),
        ("python", "Python", call.python()),
    ]
    .map(|(tag, name, code)| Sample { tag, name, code })
}

struct Call<'c> {
    url: String,
    host: &'c str,
    path: String,
    key: &'c str,
    body: Option<&'c str>,
}

impl Call<'_> {
    fn http(&self) -> String {
        let Self {
            host, path, key, ..
        } = self;
        let head = format!("POST {path} HTTP/1.1\nHost: {host}\nSecretKey: {key}\n");
        match self.body {
            Some(body) => format!(
                "{head}Content-Type: application/json\nContent-Length: {}\n\n{body}",
                body.len()
            ),
            None => format!("{head}Content-Length: 0"),
        }
    }

    fn curl(&self) -> String {
        let Self { url, key, .. } = self;
        match self.body {
            Some(body) => format!(
                "curl --location '{url}' \\\n--header 'SecretKey: {key}' \\\n--header 'Content-Type: application/json' \\\n--data '{body}'"
            ),
            None => format!(
                "curl --location --request POST '{url}' \\\n--header 'SecretKey: {key}' \\\n--data ''"
            ),
        }
    }

    /// Returns the document's PHP sample, without options that only repeat curl's defaults.
    fn php(&self) -> String {
        let Self { url, key, .. } = self;
        let (fields, kind) = match self.body {
            Some(body) => (
                format!("  CURLOPT_POSTFIELDS => '{body}',\n"),
                "\n    'Content-Type: application/json',",
            ),
            None => ("  CURLOPT_POSTFIELDS => '',\n".to_owned(), ""),
        };
        format!(
            "<?php
$curl = curl_init();

curl_setopt_array($curl, array(
  CURLOPT_URL => '{url}',
  CURLOPT_RETURNTRANSFER => true,
  CURLOPT_TIMEOUT => 30,
  CURLOPT_CUSTOMREQUEST => 'POST',
{fields}  CURLOPT_HTTPHEADER => array(
    'SecretKey: {key}',{kind}
  ),
));

$response = curl_exec($curl);

if ($response === false) {{
  die(curl_error($curl));
}}
echo $response;"
        )
    }

    fn javascript(&self) -> String {
        let Self { url, key, .. } = self;
        let (kind, body) = match self.body {
            Some(body) => (
                "\n    'Content-Type': 'application/json',",
                format!("\n  body: JSON.stringify({}),", indented(body, "  ")),
            ),
            None => ("", String::new()),
        };
        format!(
            "const response = await fetch('{url}', {{
  method: 'POST',
  headers: {{
    'SecretKey': '{key}',{kind}
  }},{body}
}});

console.log(response.status, await response.json());"
        )
    }

    /// Returns a sample that needs only the standard library, so the sample runs without installing
    /// anything.
    fn python(&self) -> String {
        let Self { url, key, .. } = self;
        let (kind, data) = match self.body {
            Some(body) => (
                "\n        'Content-Type': 'application/json',",
                format!(
                    "\n    data=json.dumps({}).encode(),",
                    indented(body, "    ")
                ),
            ),
            None => ("", "\n    data=b'',".to_owned()),
        };
        format!(
            "import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

request = Request(
    '{url}',
    method='POST',
    headers={{
        'SecretKey': '{key}',{kind}
    }},{data}
)

try:
    response = urlopen(request, timeout=30)
except HTTPError as refusal:
    response = refusal
print(response.status, json.load(response))"
        )
    }
}

/// Indents each line except the first.
fn indented(text: &str, by: &str) -> String {
    text.replace('\n', &format!("\n{by}"))
}
