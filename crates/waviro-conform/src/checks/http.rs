//! The common part of all endpoints: key, path, method, body.

use reqwest::Method;
use serde_json::{Value, json};

use super::{CARD, CARD_NAME, ENDPOINTS, document, waviro};
use crate::Check;
use crate::answer::Failure;
use crate::run::{Run, What, Whom};

pub(super) fn checks() -> Vec<Check> {
    vec![
        document("key.title-case", "header names in any case", |run| {
            Box::pin(async {
                let answer = run.host.post("getqr").title_case().send().await?;
                answer.success().map(drop)
            })
        }),
        document(
            "key.trailing-blank",
            "the space after the key in the PHP samples",
            |run| Box::pin(async { opens(run, |key| format!("{key} ")).await }),
        ),
        document(
            "key.trailing-semicolon",
            "the ; after the key in the curl samples",
            |run| Box::pin(async { opens(run, |key| format!("{key};")).await }),
        ),
        document(
            "key.missing",
            "every endpoint refuses a request without a SecretKey",
            |run| {
                Box::pin(async {
                    for endpoint in ENDPOINTS {
                        let ask = run.host.json(endpoint, &whole(run)).key(None);
                        ask.send().await?.refused()?;
                    }
                    Ok(())
                })
            },
        ),
        document("key.wrong", "an unknown SecretKey is refused", |run| {
            Box::pin(async {
                let text = run.words("Test kirim text");
                for wrong in [
                    "bukan-kunci".to_owned(),
                    run.host.key().to_lowercase() + "x",
                ] {
                    let body = json!({"nohp": run.to, "pesan": text});
                    let ask = run.host.json("sendwa", &body).key(Some(wrong));
                    ask.send().await?.refused()?;
                }
                Ok(())
            })
        }),
        document(
            "path.trailing-slash",
            "every path works with and without a final slash, without a redirect",
            |run| {
                Box::pin(async {
                    for endpoint in ENDPOINTS {
                        for path in [endpoint.to_owned(), format!("{endpoint}/")] {
                            let answer = run.host.post(&path).send().await?;
                            match endpoint {
                                "groups" | "getqr" => answer.success().map(drop)?,
                                // The endpoint needs a body and must refuse the request instead of
                                // redirecting.
                                _ => answer.refused()?,
                            }
                        }
                    }
                    Ok(())
                })
            },
        ),
        waviro(
            "path.unknown",
            "an unknown path is answered with 404 in the form of a refusal",
            |run| Box::pin(async { run.host.post("sendnothing").send().await?.refused_with(404) }),
        ),
        waviro(
            "method.get",
            "a method other than POST is answered with 405 in the form of a refusal",
            |run| {
                Box::pin(async {
                    for endpoint in ENDPOINTS {
                        let ask = run.host.post(endpoint).method(Method::GET);
                        ask.send().await?.refused_with(405)?;
                    }
                    Ok(())
                })
            },
        ),
        document(
            "body.empty-form",
            "curl's --data '': a form without a field",
            |run| {
                Box::pin(async {
                    for endpoint in ["groups", "getqr", "getqr/"] {
                        let form = Some("application/x-www-form-urlencoded");
                        let answer = run.host.post(endpoint).body(form, "").send().await?;
                        answer.success()?;
                    }
                    Ok(())
                })
            },
        ),
        document(
            "body.none",
            "PHP's POST without a body and without a Content-Type",
            |run| {
                Box::pin(async {
                    for endpoint in ["groups", "getqr", "getqr/"] {
                        run.host.post(endpoint).send().await?.success()?;
                    }
                    Ok(())
                })
            },
        ),
        document(
            "body.charset",
            "JSON as application/json; charset=utf-8",
            |run| Box::pin(async { takes(run, Some("application/json; charset=utf-8"), "").await }),
        ),
        waviro(
            "body.no-content-type",
            "JSON without a Content-Type",
            |run| Box::pin(async { takes(run, None, "").await }),
        ),
        waviro(
            "body.form-content-type",
            "JSON with the Content-Type of a form, as curl's --data sends it",
            |run| {
                Box::pin(async { takes(run, Some("application/x-www-form-urlencoded"), "").await })
            },
        ),
        waviro(
            "body.byte-order-mark",
            "JSON after a byte order mark",
            |run| Box::pin(async { takes(run, Some("application/json"), "\u{feff}").await }),
        ),
        waviro(
            "body.unknown-fields",
            "fields that are not in the document are ignored",
            |run| {
                Box::pin(async {
                    let text = run.words("Test kirim text");
                    let body = json!({"nohp": run.to, "pesan": text, "token": "x", "delay": [1]});
                    run.deliver("sendwa", &body, Whom::Person, What::text(&text))
                        .await
                        .map(drop)
                })
            },
        ),
        document(
            "body.not-json",
            "a body that is not a JSON object is refused",
            |run| {
                Box::pin(async {
                    for body in [
                        "{\"nohp\":",
                        "nohp=628123&pesan=halo",
                        "[]",
                        "\"halo\"",
                        "7",
                        "null",
                    ] {
                        let ask = run.host.post("sendwa").body(Some("application/json"), body);
                        ask.send().await?.refused()?;
                    }
                    Ok(())
                })
            },
        ),
        document(
            "body.incomplete",
            "every endpoint with fields refuses a body without them",
            |run| {
                Box::pin(async {
                    for endpoint in ENDPOINTS {
                        if !matches!(endpoint, "groups" | "getqr") {
                            run.host
                                .json(endpoint, &json!({}))
                                .send()
                                .await?
                                .refused()?;
                        }
                    }
                    Ok(())
                })
            },
        ),
        waviro(
            "body.too-large",
            "a body of 20 MB is answered with 413 in the form of a refusal",
            |run| {
                Box::pin(async {
                    let body = json!({"nohp": run.to, "pesan": "x".repeat(20_000_000)});
                    run.host
                        .json("sendwa", &body)
                        .send()
                        .await?
                        .refused_with(413)
                })
            },
        ),
        waviro(
            "refusal.code",
            "a refusal has a code for programs and names the wrong field",
            |run| {
                Box::pin(async {
                    let wrong = run.host.post("getqr").key(Some("bukan-kunci".to_owned()));
                    wrong.send().await?.blames("invalid_secret_key", None)?;
                    let none = run
                        .host
                        .json("sendwa", &json!({"nohp": run.to}))
                        .send()
                        .await?;
                    none.blames("missing_field", Some("pesan"))?;
                    let body = json!({"nohp": run.national(), "pesan": "Test"});
                    let national = run.host.json("sendwa", &body).send().await?;
                    national.blames("invalid_number", Some("nohp"))
                })
            },
        ),
        waviro(
            "refusal.language",
            "a refusal is Indonesian, or English if Accept-Language prefers English",
            |run| {
                Box::pin(async {
                    let ask = || run.host.json("sendwa", &json!({"nohp": run.to}));
                    let (own, english) = (ask().send().await?, ask().language("en").send().await?);
                    english.refused()?;
                    if own.sentence() == english.sentence() {
                        return Err(english.wrong("a different sentence in English"));
                    }
                    Ok(())
                })
            },
        ),
    ]
}

/// Returns a body that every endpoint accepts, so that only the key can be wrong. If the host
/// cannot reach this listener, the file does not exist.
fn whole(run: &Run) -> Value {
    let file = run.server.file("foto.jpg").map(|file| file.url);
    json!({
        "nohp": run.to, "groupid": run.group, "pesan": run.words("Test"),
        "mediaurl": file.unwrap_or_else(|_| "https://yourdomain/foto.jpg".to_owned()),
        "latitude": "0.525960", "longitude": "101.426866",
        "contact": {"name": CARD_NAME, "numbers": CARD},
    })
}

/// Checks that the host accepts the key in another form.
async fn opens(run: &Run, form: fn(&str) -> String) -> Result<(), Failure> {
    let ask = run.host.post("getqr").key(Some(form(run.host.key())));
    ask.send().await?.success().map(drop)
}

/// Checks that the host accepts a text with any Content-Type.
async fn takes(run: &Run, content_type: Option<&'static str>, before: &str) -> Result<(), Failure> {
    let text = run.words("Test kirim text");
    let body = format!("{before}{}", json!({"nohp": run.to, "pesan": text}));
    let ask = run.host.post("sendwa").body(content_type, body);
    run.accepted(ask, Whom::Person, What::text(&text))
        .await
        .map(drop)
}
