//! Send contact.

use serde_json::{Value, json};

use super::{CARD, CARD_NAME, document, refuses, requires, waviro};
use crate::Check;
use crate::answer::Failure;
use crate::run::{Run, What, Whom};

pub(super) fn checks() -> Vec<Check> {
    vec![
        document(
            "contact.sample",
            "the PHP and curl samples are answered as shown",
            |run| Box::pin(async { sends(run, "sendcontact", "contact", |card| card).await }),
        ),
        document(
            "contact.on-sendlocation",
            "the raw sample posts a contact to /api/sendlocation",
            |run| Box::pin(async { sends(run, "sendlocation", "contact", |card| card).await }),
        ),
        document(
            "contact.capital",
            "the table of fields calls it Contact",
            |run| Box::pin(async { sends(run, "sendcontact", "Contact", |card| card).await }),
        ),
        waviro(
            "contact.beside-text",
            "a contact on /api/sendwa is a contact, also beside a text",
            |run| {
                Box::pin(async {
                    let name = run.words(CARD_NAME);
                    let contact = json!({"name": name, "numbers": CARD});
                    let body = json!({"nohp": run.to, "pesan": "Test", "contact": contact});
                    let card = What::card(&name, &CARD);
                    run.deliver("sendwa", &body, Whom::Person, card)
                        .await
                        .map(drop)
                })
            },
        ),
        waviro("contact.as-text", "a contact given as JSON text", |run| {
            Box::pin(async {
                sends(run, "sendcontact", "contact", |card| {
                    json!(card.to_string())
                })
                .await
            })
        }),
        waviro("contact.one-number", "numbers given as one text", |run| {
            Box::pin(async {
                let name = run.words(CARD_NAME);
                let body = json!({"nohp": run.to, "contact": {"name": name, "numbers": CARD[0]}});
                run.deliver(
                    "sendcontact",
                    &body,
                    Whom::Person,
                    What::card(&name, &CARD[..1]),
                )
                .await
                .map(drop)
            })
        }),
        waviro(
            "contact.hostile-name",
            "a name with vCard syntax is sent unchanged",
            |run| {
                Box::pin(async {
                    let name = run.words("Budi; Jr, \\n END:VCARD");
                    let body = json!({"nohp": run.to, "contact": {"name": name, "numbers": CARD}});
                    run.deliver("sendcontact", &body, Whom::Person, What::card(&name, &CARD))
                        .await
                        .map(drop)
                })
            },
        ),
        document(
            "contact.requires",
            "without nohp or contact, or with one null or empty: refused",
            |run| {
                Box::pin(async {
                    let body = json!({"nohp": run.to, "contact": {"name": run.words(CARD_NAME), "numbers": CARD}});
                    requires(run, "sendcontact", &body, &["nohp", "contact"]).await
                })
            },
        ),
        document(
            "contact.incomplete",
            "a contact without a name or numbers, or with a name or number in another form, is refused",
            |run| {
                Box::pin(async {
                    for contact in [
                        json!({"name": "Test"}),
                        json!({"numbers": CARD}),
                        json!({"name": "", "numbers": CARD}),
                        json!({"name": "Test", "numbers": []}),
                        json!({"name": "Test", "numbers": ["08124000001"]}),
                        json!({"name": "Test", "numbers": [CARD[0], "halo"]}),
                        json!("halo"),
                        json!(7),
                        json!(["Test"]),
                    ] {
                        refuses(
                            run,
                            "sendcontact",
                            json!({"nohp": run.to, "contact": contact}),
                        )
                        .await?;
                    }
                    Ok(())
                })
            },
        ),
        document(
            "contact.repeat",
            "the same contact to the same number twice in a row is refused",
            |run| {
                Box::pin(async {
                    let name = run.words(CARD_NAME);
                    let body = json!({"nohp": run.to, "contact": {"name": name, "numbers": CARD}});
                    run.deliver("sendcontact", &body, Whom::Person, What::card(&name, &CARD))
                        .await?;
                    refuses(run, "sendcontact", body).await
                })
            },
        ),
        document(
            "contact.not-on-whatsapp",
            "a number that is not on WhatsApp is refused",
            |run| {
                Box::pin(async {
                    let body = json!({"nohp": run.nobody, "contact": {"name": CARD_NAME, "numbers": CARD}});
                    refuses(run, "sendcontact", body).await
                })
            },
        ),
    ]
}

async fn sends(
    run: &Run,
    endpoint: &str,
    field: &str,
    form: fn(Value) -> Value,
) -> Result<(), Failure> {
    let name = run.words(CARD_NAME);
    let contact = form(json!({"name": name, "numbers": CARD}));
    let body = json!({"nohp": run.to, field: contact});
    run.deliver(endpoint, &body, Whom::Person, What::card(&name, &CARD))
        .await
        .map(drop)
}
