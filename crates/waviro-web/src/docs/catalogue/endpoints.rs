//! The endpoints of the catalogue, in the document's order.

use super::samples::{self, CODE, GROUPS, LINKED, REGISTERED};
use super::{Endpoint, Section, Takes, Text, What, Whom};

/// Returns the document's chapters.
#[must_use]
pub fn sections() -> Vec<Section> {
    vec![
        Section {
            anchor: "send",
            title: Text {
                id: "Kirim pesan",
                en: "Send messages",
            },
            text: Text {
                id: "Endpoint untuk mengirim pesan ke nomor atau grup.",
                en: "Endpoints that send messages to numbers or groups.",
            },
            endpoints: messages(),
        },
        Section {
            anchor: "group",
            title: Text {
                id: "Grup",
                en: "Groups",
            },
            text: Text {
                id: "Endpoint untuk mengambil data grup.",
                en: "The endpoint that lists groups.",
            },
            endpoints: vec![groups()],
        },
        Section {
            anchor: "bot",
            title: Text {
                id: "Bot",
                en: "Bot",
            },
            text: Text {
                id: "Endpoint untuk mengambil kode QR dan memeriksa apakah nomor terdaftar di WhatsApp.",
                en: "Endpoints that show the QR code and check whether a number is on WhatsApp.",
            },
            endpoints: vec![getqr(), checknumber()],
        },
    ]
}

fn messages() -> Vec<Endpoint> {
    vec![
        message(
            "sendwa",
            (Whom::Person, What::Text),
            Text {
                id: "Kirim pesan teks",
                en: "Send a text message",
            },
            Text {
                id: "Mengirim pesan teks ke nomor tujuan.",
                en: "Sends a text to a number.",
            },
        ),
        message(
            "sendmedia",
            (Whom::Person, What::Media),
            Text {
                id: "Kirim media",
                en: "Send media",
            },
            Text {
                id: "Mengirim gambar, video, audio, atau dokumen dari sebuah URL ke nomor tujuan.",
                en: "Sends a picture, video, audio or document from a URL to a number.",
            },
        ),
        message(
            "sendlocation",
            (Whom::Person, What::Location),
            Text {
                id: "Kirim lokasi",
                en: "Send a location",
            },
            Text {
                id: "Mengirim lokasi pada peta ke nomor tujuan.",
                en: "Sends a place on the map to a number.",
            },
        ),
        message(
            "sendcontact",
            (Whom::Person, What::Contact),
            Text {
                id: "Kirim kontak",
                en: "Send a contact",
            },
            Text {
                id: "Mengirim kartu kontak dengan satu atau beberapa nomor ke nomor tujuan.",
                en: "Sends a contact card with one or more numbers to a number.",
            },
        ),
        message(
            "sendwatogroup",
            (Whom::Group, What::Text),
            Text {
                id: "Kirim pesan teks ke grup",
                en: "Send a text message to a group",
            },
            Text {
                id: "Mengirim pesan teks ke grup.",
                en: "Sends a text to a group.",
            },
        ),
        message(
            "sendmediatogroup",
            (Whom::Group, What::Media),
            Text {
                id: "Kirim media ke grup",
                en: "Send media to a group",
            },
            Text {
                id: "Mengirim gambar, video, audio, atau dokumen dari sebuah URL ke grup.",
                en: "Sends a picture, video, audio or document from a URL to a group.",
            },
        ),
        message(
            "sendlocationtogroup",
            (Whom::Group, What::Location),
            Text {
                id: "Kirim lokasi ke grup",
                en: "Send a location to a group",
            },
            Text {
                id: "Mengirim lokasi pada peta ke grup.",
                en: "Sends a place on the map to a group.",
            },
        ),
        message(
            "sendcontacttogroup",
            (Whom::Group, What::Contact),
            Text {
                id: "Kirim kontak ke grup",
                en: "Send a contact to a group",
            },
            Text {
                id: "Mengirim kartu kontak dengan satu atau beberapa nomor ke grup.",
                en: "Sends a contact card with one or more numbers to a group.",
            },
        ),
    ]
}

fn message(name: &'static str, made_for: (Whom, What), title: Text, text: Text) -> Endpoint {
    let (whom, what) = made_for;
    let accepted = Text {
        id: "Pesan diterima dan tersimpan; status berikutnya dikirim ke notifyurl.",
        en: "The message is accepted and stored; the notifyurl is told what follows.",
    };
    Endpoint {
        name,
        title,
        text,
        takes: Takes::Message(whom, what),
        sample: Some(samples::body(whom, what)),
        answers: vec![(accepted, samples::sent(whom, what))],
        notes: notes(whom, what),
    }
}

fn notes(whom: Whom, what: What) -> Vec<Text> {
    let mut notes = Vec::new();
    if what == What::Media {
        notes.push(Text {
            id: "Ukuran file paling besar 16 MB. File diunduh sebelum permintaan dijawab, paling lama 25 detik, dan jenisnya ditentukan dari isinya.",
            en: "A file has at most 16 MB. It is fetched before the request is answered, within 25 seconds, and its bytes say what kind it is.",
        });
    }
    if whom == Whom::Person {
        notes.push(Text {
            id: "Jangan mengirim pesan massal ke nomor yang belum pernah menghubungi nomor WhatsApp Anda.",
            en: "Do not send in bulk to numbers that have never written to your WhatsApp number.",
        });
    }
    notes.push(Text {
        id: "Kirim paling banyak 5 pesan per menit agar nomor Anda tidak diblokir WhatsApp.",
        en: "Send at most 5 messages a minute, to keep WhatsApp from blocking your number.",
    });
    notes.push(Text {
        id: "Semua pesan yang diterima langsung dikirim; pembatasan jumlah pesan diatur di sistem Anda.",
        en: "Whatever is accepted is sent at once: keeping the pace is up to your system.",
    });
    notes
}

fn groups() -> Endpoint {
    Endpoint {
        name: "groups",
        title: Text {
            id: "Daftar grup",
            en: "List groups",
        },
        text: Text {
            id: "Mengambil semua grup yang diikuti bot, yang terakhir aktif lebih dulu.",
            en: "Lists every group that the bot is in, the latest active first.",
        },
        takes: Takes::Nothing,
        sample: None,
        answers: vec![(
            Text {
                id: "Daftar grup. grouplastchat adalah waktu Unix dalam detik.",
                en: "The groups. grouplastchat is a Unix time in seconds.",
            },
            GROUPS.to_owned(),
        )],
        notes: vec![
            Text {
                id: "Pakai groupid dari daftar ini sebagai tujuan pesan ke grup.",
                en: "Use a groupid of this list to send to that group.",
            },
            Text {
                id: "Grup yang ditinggalkan bot, atau yang mengeluarkannya, hilang dari daftar.",
                en: "A group that the bot left, or was removed from, is no longer listed.",
            },
        ],
    }
}

fn getqr() -> Endpoint {
    Endpoint {
        name: "getqr",
        title: Text {
            id: "Ambil kode QR",
            en: "Get the QR code",
        },
        text: Text {
            id: "Mengambil kode QR untuk menautkan WhatsApp, atau nomor yang sudah tertaut.",
            en: "Shows the QR code that links WhatsApp, or the number that is linked.",
        },
        takes: Takes::Nothing,
        sample: None,
        answers: vec![
            (
                Text {
                    id: "Bila bot sudah tertaut dengan WhatsApp:",
                    en: "Where the bot is linked to WhatsApp:",
                },
                LINKED.to_owned(),
            ),
            (
                Text {
                    id: "Bila bot belum tertaut:",
                    en: "Where it is not:",
                },
                CODE.to_owned(),
            ),
        ],
        notes: vec![
            Text {
                id: "Gambar isi qrcode sebagai kode QR, lalu pindai di ponsel: WhatsApp, Perangkat tertaut, Tautkan perangkat.",
                en: "Draw the text in qrcode as a QR code and scan it with the phone: WhatsApp, Linked devices, Link a device.",
            },
            Text {
                id: "Kode berganti tiap beberapa puluh detik; panggil lagi sampai isAuthenticated bernilai true.",
                en: "The code changes every few tens of seconds; call again until isAuthenticated is true.",
            },
        ],
    }
}

fn checknumber() -> Endpoint {
    Endpoint {
        name: "checknumber",
        title: Text {
            id: "Periksa nomor",
            en: "Check a number",
        },
        text: Text {
            id: "Memeriksa apakah sebuah nomor terdaftar di WhatsApp.",
            en: "Says whether a number is on WhatsApp.",
        },
        takes: Takes::Number,
        sample: Some(format!("{{\n    \"nohp\": \"{}\"\n}}", samples::NUMBER)),
        answers: vec![(
            Text {
                id: "true bila terdaftar, false bila tidak.",
                en: "true where it is registered, else false.",
            },
            REGISTERED.to_owned(),
        )],
        notes: Vec::new(),
    }
}
