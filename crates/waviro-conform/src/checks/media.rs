//! Send media message.

use serde_json::{Value, json};

use super::{document, refuses, waviro};
use crate::Check;
use crate::answer::Failure;
use crate::run::{Run, What, Whom};

pub(super) fn checks() -> Vec<Check> {
    vec![
        document(
            "media.document",
            "the sample: a PDF with a caption is a document",
            |run| {
                Box::pin(async {
                    sends(run, "daftar.pdf", "document", Some("Test kirim text")).await
                })
            },
        ),
        document("media.image", "a picture is an image", |run| {
            Box::pin(async { sends(run, "foto.jpg", "image", Some("Test kirim text")).await })
        }),
        document("media.png", "a PNG is an image", |run| {
            Box::pin(async { sends(run, "gambar.png", "image", Some("Gambar")).await })
        }),
        document("media.audio", "an MP3 is audio", |run| {
            Box::pin(async { sends_without_caption(run, "lagu.mp3", "audio").await })
        }),
        document("media.voice", "an Ogg with Opus is audio", |run| {
            Box::pin(async { sends_without_caption(run, "suara.ogg", "audio").await })
        }),
        waviro("media.video", "an MP4 is video", |run| {
            Box::pin(async { sends(run, "film.mp4", "video", Some("Film")).await })
        }),
        document(
            "media.no-caption",
            "without pesan, or with pesan null or empty: no caption",
            |run| {
                Box::pin(async {
                    for caption in [json!(null), json!("")] {
                        // A text in between, because the same file twice in a row would be a
                        // duplicate.
                        run.text(&run.words("Berkas berikut")).await?;
                        let file = run.server.file("daftar.pdf")?;
                        let body = json!({"nohp": run.to, "mediaurl": file.url, "pesan": caption});
                        run.deliver(
                            "sendmedia",
                            &body,
                            Whom::Person,
                            What::file(&file, "document", ""),
                        )
                        .await?;
                    }
                    Ok(())
                })
            },
        ),
        waviro(
            "media.kind-from-bytes",
            "a picture served as application/octet-stream is an image",
            |run| Box::pin(async { sends(run, "tanpa-jenis", "image", Some("Foto")).await }),
        ),
        waviro(
            "media.false-kind",
            "a PDF served as image/jpeg is a document",
            |run| {
                Box::pin(async { sends(run, "bukan-gambar.jpg", "document", Some("Daftar")).await })
            },
        ),
        waviro(
            "media.redirect",
            "a redirect of the mediaurl is followed",
            |run| {
                Box::pin(async {
                    let (photo, moved) = (run.server.file("foto.jpg")?, run.server.file("pindah")?);
                    let caption = run.words("Pindah");
                    let body = json!({"nohp": run.to, "mediaurl": moved.url, "pesan": caption});
                    run.deliver(
                        "sendmedia",
                        &body,
                        Whom::Person,
                        What::file(&photo, "image", &caption),
                    )
                    .await
                    .map(drop)
                })
            },
        ),
        waviro("media.largest", "a file of 16 MiB is accepted", |run| {
            Box::pin(async { sends(run, "pas.pdf", "document", Some("Besar")).await })
        }),
        document("media.too-large", "a file above 16 MB is refused", |run| {
            Box::pin(async { refuses_file(run, "besar.pdf").await })
        }),
        document(
            "media.too-large-unannounced",
            "a file above 16 MB without a Content-Length is refused too",
            |run| Box::pin(async { refuses_file(run, "besar-tanpa-panjang.pdf").await }),
        ),
        document(
            "media.repeat",
            "the same file to the same number twice in a row is refused",
            |run| {
                Box::pin(async {
                    let (file, caption) = (run.server.file("foto.jpg")?, run.words("Dua kali"));
                    let body = json!({"nohp": run.to, "mediaurl": file.url, "pesan": caption});
                    run.deliver(
                        "sendmedia",
                        &body,
                        Whom::Person,
                        What::file(&file, "image", &caption),
                    )
                    .await?;
                    refuses(run, "sendmedia", body).await
                })
            },
        ),
        waviro(
            "media.not-found",
            "a file that its host does not have (404) is refused",
            |run| Box::pin(async { refuses_file(run, "tidak-ada.jpg").await }),
        ),
        waviro("media.empty", "an empty file is refused", |run| {
            Box::pin(async { refuses_file(run, "kosong.pdf").await })
        }),
        waviro(
            "media.unreachable",
            "a file on a host that does not listen is refused",
            |run| Box::pin(async { refuses_url(run, json!("http://127.0.0.1:1/foto.jpg")).await }),
        ),
        waviro(
            "media.inside",
            "addresses in the host's own network are refused",
            |run| {
                Box::pin(async {
                    for url in [
                        "http://169.254.169.254/latest/meta-data/",
                        "http://[fd00::1]/foto.jpg",
                        "http://10.0.0.1/foto.jpg",
                    ] {
                        refuses_url(run, json!(url)).await?;
                    }
                    Ok(())
                })
            },
        ),
        waviro(
            "media.no-url",
            "a mediaurl that is not an http(s) URL is refused",
            |run| {
                Box::pin(async {
                    for url in [
                        json!("foto.jpg"),
                        json!("file:///etc/passwd"),
                        json!("ftp://yourdomain/foto.jpg"),
                        json!("http://"),
                        json!(7),
                        json!(["x"]),
                    ] {
                        refuses_url(run, url).await?;
                    }
                    Ok(())
                })
            },
        ),
        document(
            "media.requires",
            "without nohp or mediaurl, or with one null or empty: refused",
            |run| {
                Box::pin(async {
                    let file = run.server.file("foto.jpg")?;
                    let body =
                        json!({"nohp": run.to, "mediaurl": file.url, "pesan": run.words("Test")});
                    super::requires(run, "sendmedia", &body, &["nohp", "mediaurl"]).await
                })
            },
        ),
        document(
            "media.not-on-whatsapp",
            "a number that is not on WhatsApp is refused",
            |run| {
                Box::pin(async {
                    let file = run.server.file("foto.jpg")?;
                    refuses(
                        run,
                        "sendmedia",
                        json!({"nohp": run.nobody, "mediaurl": file.url}),
                    )
                    .await
                })
            },
        ),
    ]
}

async fn sends(
    run: &Run,
    name: &str,
    kind: &'static str,
    caption: Option<&str>,
) -> Result<(), Failure> {
    let file = run.server.file(name)?;
    let caption = caption
        .map(|caption| run.words(caption))
        .unwrap_or_default();
    let body = json!({"nohp": run.to, "mediaurl": file.url, "pesan": caption});
    run.deliver(
        "sendmedia",
        &body,
        Whom::Person,
        What::file(&file, kind, &caption),
    )
    .await
    .map(drop)
}

/// Sends audio, which has no caption on WhatsApp.
async fn sends_without_caption(run: &Run, name: &str, kind: &'static str) -> Result<(), Failure> {
    // A text in between, because the same file twice in a row would be a duplicate, also from the
    // previous run.
    run.text(&run.words("Dengarkan")).await?;
    sends(run, name, kind, None).await
}

async fn refuses_file(run: &Run, name: &str) -> Result<(), Failure> {
    let file = run.server.file(name)?;
    refuses_url(run, json!(file.url)).await
}

async fn refuses_url(run: &Run, url: Value) -> Result<(), Failure> {
    let body = json!({"nohp": run.to, "mediaurl": url, "pesan": run.words("Test")});
    refuses(run, "sendmedia", body).await
}
