//! Send location message.

use serde_json::json;

use super::{document, refuses, requires, waviro};
use crate::Check;
use crate::run::{What, Whom};

pub(super) fn checks() -> Vec<Check> {
    vec![
        document(
            "location.sample",
            "the sample, coordinates as text, is answered as shown",
            |run| {
                Box::pin(async {
                    let name = run.words("Kantor Pusat");
                    let body = json!({"nohp": run.to, "latitude": "0.525960", "longitude": "101.426866", "pesan": name});
                    let place = What::place(0.525_960, 101.426_866, &name);
                    run.deliver("sendlocation", &body, Whom::Person, place)
                        .await
                        .map(drop)
                })
            },
        ),
        waviro(
            "location.as-numbers",
            "coordinates as JSON numbers, south and west of zero",
            |run| {
                Box::pin(async {
                    let name = run.words("Selatan");
                    let body = json!({"nohp": run.to, "latitude": -6.175_392, "longitude": -106.827_153, "pesan": name});
                    let place = What::place(-6.175_392, -106.827_153, &name);
                    run.deliver("sendlocation", &body, Whom::Person, place)
                        .await
                        .map(drop)
                })
            },
        ),
        waviro("location.no-caption", "pesan may be absent", |run| {
            Box::pin(async {
                run.text(&run.words("Lokasi berikut")).await?;
                let body = json!({"nohp": run.to, "latitude": "-90", "longitude": "180"});
                run.deliver(
                    "sendlocation",
                    &body,
                    Whom::Person,
                    What::place(-90.0, 180.0, ""),
                )
                .await
                .map(drop)
            })
        }),
        document(
            "location.requires",
            "without nohp, latitude or longitude, or with one null or empty: refused",
            |run| {
                Box::pin(async {
                    let body = json!({"nohp": run.to, "latitude": "0.525960", "longitude": "101.426866", "pesan": run.words("Test")});
                    requires(
                        run,
                        "sendlocation",
                        &body,
                        &["nohp", "latitude", "longitude"],
                    )
                    .await
                })
            },
        ),
        waviro(
            "location.no-angle",
            "a value that is not an angle, or an angle out of range, is refused",
            |run| {
                Box::pin(async {
                    for (latitude, longitude) in [
                        (json!("utara"), json!("101.4")),
                        (json!("0,525960"), json!("101.4")),
                        (json!("90.1"), json!("0")),
                        (json!(0), json!(-180.1)),
                        (json!("NaN"), json!("0")),
                        (json!("0"), json!("inf")),
                        (json!([0]), json!(0)),
                    ] {
                        let body = json!({"nohp": run.to, "latitude": latitude, "longitude": longitude, "pesan": run.words("Test")});
                        refuses(run, "sendlocation", body).await?;
                    }
                    Ok(())
                })
            },
        ),
        document(
            "location.repeat",
            "the same location to the same number twice in a row is refused",
            |run| {
                Box::pin(async {
                    let name = run.words("Dua kali");
                    let body = json!({"nohp": run.to, "latitude": "1.5", "longitude": "2.5", "pesan": name});
                    run.deliver(
                        "sendlocation",
                        &body,
                        Whom::Person,
                        What::place(1.5, 2.5, &name),
                    )
                    .await?;
                    refuses(run, "sendlocation", body).await
                })
            },
        ),
        document(
            "location.not-on-whatsapp",
            "a number that is not on WhatsApp is refused",
            |run| {
                Box::pin(async {
                    refuses(
                        run,
                        "sendlocation",
                        json!({"nohp": run.nobody, "latitude": "1", "longitude": "2"}),
                    )
                    .await
                })
            },
        ),
    ]
}
