//! Send media message.

use serde_json::json;

use super::{Defect, Names, answered, asked, file, refuse_if, taken};
use crate::conform::NOBODY;
use crate::conform::defective_host::{IncomingRequest, OutgoingAnswer};

pub fn defects() -> Vec<Defect> {
    const ALL: Names = &["media"];
    fn said(kind: &str, asked: &IncomingRequest, answer: &mut OutgoingAnswer, name: &str) {
        if file(asked) == name && answer.status == 200 {
            answer.body["message"]["type"] = json!(kind);
        }
    }
    vec![
        answered(
            "the type of a PDF is file",
            ALL,
            &["media.document", "media.no-caption", "media.largest"],
            |asked, answer| {
                said("file", asked, answer, "daftar.pdf");
                said("file", asked, answer, "pas.pdf");
            },
        ),
        answered(
            "the type of a JPEG is document",
            ALL,
            &["media.image", "media.repeat"],
            |asked, answer| said("document", asked, answer, "foto.jpg"),
        ),
        answered(
            "the type of a PNG is sticker",
            ALL,
            &["media.png"],
            |asked, answer| said("sticker", asked, answer, "gambar.png"),
        ),
        answered(
            "the type of an MP3 is document",
            ALL,
            &["media.audio"],
            |asked, answer| said("document", asked, answer, "lagu.mp3"),
        ),
        answered(
            "the type of a voice note is ptt",
            ALL,
            &["media.voice"],
            |asked, answer| {
                said("ptt", asked, answer, "suara.ogg");
            },
        ),
        answered(
            "the type of an MP4 is document",
            ALL,
            &["media.video"],
            |asked, answer| said("document", asked, answer, "film.mp4"),
        ),
        asked(
            "a file without a caption is refused",
            ALL,
            &["media.no-caption"],
            |asked| {
                refuse_if(
                    asked.endpoint() == "sendmedia"
                        && file(asked) == "daftar.pdf"
                        && asked.json["pesan"].is_null(),
                )
            },
        ),
        answered(
            "the kind follows the Content-Type",
            ALL,
            &["media.kind-from-bytes"],
            |asked, answer| said("document", asked, answer, "tanpa-jenis"),
        ),
        answered(
            "the kind follows the file name",
            ALL,
            &["media.false-kind"],
            |asked, answer| said("image", asked, answer, "bukan-gambar.jpg"),
        ),
        asked(
            "no redirect is followed",
            ALL,
            &["media.redirect"],
            |asked| refuse_if(file(asked) == "pindah"),
        ),
        asked(
            "a file of 16 MiB is refused",
            ALL,
            &["media.largest"],
            |asked| refuse_if(file(asked) == "pas.pdf"),
        ),
        asked(
            "no limit of file sizes",
            ALL,
            &["media.too-large", "media.too-large-unannounced"],
            |asked| {
                file(asked)
                    .starts_with("besar")
                    .then(|| taken(&asked.json["nohp"], "document"))
            },
        ),
        asked(
            "the limit applies only to the Content-Length",
            ALL,
            &["media.too-large-unannounced"],
            |asked| {
                (file(asked) == "besar-tanpa-panjang.pdf")
                    .then(|| taken(&asked.json["nohp"], "document"))
            },
        ),
        asked(
            "no duplicate rule for files",
            ALL,
            &["media.repeat"],
            |asked| {
                let caption = asked.json["pesan"].as_str().unwrap_or_default();
                if caption.starts_with("Dua kali") {
                    asked.json["pesan"] = json!(format!("{caption}{:x}", rand::random::<u64>()));
                }
                None
            },
        ),
        asked(
            "a file with status 404 is accepted",
            ALL,
            &["media.not-found"],
            |asked| {
                (file(asked) == "tidak-ada.jpg").then(|| taken(&asked.json["nohp"], "document"))
            },
        ),
        asked(
            "an empty file is accepted",
            ALL,
            &["media.empty"],
            |asked| (file(asked) == "kosong.pdf").then(|| taken(&asked.json["nohp"], "document")),
        ),
        asked(
            "an unreachable host is a 500",
            ALL,
            &["media.unreachable"],
            |asked| {
                asked.json["mediaurl"]
                    .as_str()
                    .is_some_and(|url| url.contains(":1/"))
                    .then(|| OutgoingAnswer {
                        status: 500,
                        ..OutgoingAnswer::refusal()
                    })
            },
        ),
        asked(
            "a file is accepted before the download",
            ALL,
            &["media.unreachable", "media.inside"],
            |asked| {
                let url = asked.json["mediaurl"].as_str().unwrap_or_default();
                let elsewhere = ["127.0.0.1:1/", "169.254", "fd00", "10.0.0.1"];
                elsewhere
                    .iter()
                    .any(|host| url.contains(host))
                    .then(|| taken(&asked.json["nohp"], "image"))
            },
        ),
        asked("a file: URL is accepted", ALL, &["media.no-url"], |asked| {
            asked.json["mediaurl"]
                .as_str()
                .is_some_and(|url| url.starts_with("file:"))
                .then(|| taken(&asked.json["nohp"], "document"))
        }),
        asked(
            "a file without a recipient is accepted",
            ALL,
            &["media.requires"],
            |asked| {
                (asked.endpoint() == "sendmedia" && asked.json["nohp"].is_null())
                    .then(|| taken(&json!("6282386000001"), "image"))
            },
        ),
        asked(
            "a file to a number without WhatsApp is accepted",
            ALL,
            &["media.not-on-whatsapp"],
            |asked| (asked.json["nohp"] == NOBODY).then(|| taken(&asked.json["nohp"], "image")),
        ),
    ]
}
