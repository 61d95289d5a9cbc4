//! The body fields of the catalogue's endpoints.

use serde_json::{Value, json};

use super::samples::{GROUP_ID, LATITUDE, LONGITUDE, MEDIA_URL, NOTIFY_URL, NUMBER, card};
use super::{Takes, Text, What, Whom};

/// A field of a body.
#[derive(Debug, Clone)]
pub struct Field {
    /// The document's name.
    pub name: &'static str,
    /// True if the endpoint refuses a body without the field.
    pub required: bool,
    /// The type of the value.
    pub form: Form,
    /// The meaning.
    pub text: Text,
    /// The document's example.
    pub example: Value,
}

/// The type of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A phone number.
    Number,
    /// A group id.
    Group,
    /// A text for people.
    Text,
    /// An absolute URL.
    Url,
    /// Degrees from minus the number to plus the number.
    Degrees(u8),
    /// A contact: a name and phone numbers.
    Contact,
}

impl Form {
    /// Returns the type in a word or two.
    #[must_use]
    pub fn word(self) -> Text {
        match self {
            Self::Number => Text {
                id: "teks atau angka",
                en: "text or number",
            },
            Self::Group | Self::Text => Text {
                id: "teks",
                en: "text",
            },
            Self::Url => Text {
                id: "URL",
                en: "URL",
            },
            Self::Degrees(_) => Text {
                id: "derajat desimal",
                en: "decimal degrees",
            },
            Self::Contact => Text {
                id: "objek",
                en: "object",
            },
        }
    }

    /// Returns the rules for values of the type.
    #[must_use]
    pub fn rules(self) -> Text {
        match self {
            Self::Number => Text {
                id: "Diawali kode negara, hanya angka, 7 sampai 15 digit, tanpa tanda tambah (+).",
                en: "Country code first, digits only, 7 to 15 of them, without a plus sign (+).",
            },
            Self::Group => Text {
                id: "Dari /api/groups, dengan atau tanpa @g.us. Selalu sebagai teks: 18 digitnya tidak utuh sebagai angka di JavaScript.",
                en: "From /api/groups, with or without @g.us. Always as text: its 18 digits do not survive as a JavaScript number.",
            },
            Self::Text => Text {
                id: "Paling banyak 65.536 karakter.",
                en: "At most 65,536 characters.",
            },
            Self::Url => Text {
                id: "Diawali http:// atau https://, alamat publik, paling banyak 2.048 karakter.",
                en: "Starts with http:// or https://, at a public address, at most 2,048 characters.",
            },
            Self::Degrees(90) => Text {
                id: "Dari -90 sampai 90 dengan titik desimal, sebagai teks atau angka.",
                en: "From -90 to 90 with a decimal point, as text or number.",
            },
            Self::Degrees(_) => Text {
                id: "Dari -180 sampai 180 dengan titik desimal, sebagai teks atau angka.",
                en: "From -180 to 180 with a decimal point, as text or number.",
            },
            Self::Contact => Text {
                id: "name: nama yang tampil. numbers: 1 sampai 50 nomor, masing-masing seperti nohp.",
                en: "name: what is shown. numbers: 1 to 50 numbers, each like nohp.",
            },
        }
    }
}

pub(super) fn of(takes: Takes) -> Vec<Field> {
    match takes {
        Takes::Nothing => Vec::new(),
        Takes::Number => vec![number(Text {
            id: "Nomor yang diperiksa.",
            en: "The number to check.",
        })],
        Takes::Message(whom, what) => {
            let mut fields = vec![destination(whom)];
            fields.extend(content(what));
            fields.push(notifyurl());
            fields
        }
    }
}

fn number(text: Text) -> Field {
    Field {
        name: "nohp",
        required: true,
        form: Form::Number,
        text,
        example: json!(NUMBER),
    }
}

fn destination(whom: Whom) -> Field {
    match whom {
        Whom::Person => number(Text {
            id: "Nomor WhatsApp tujuan.",
            en: "The WhatsApp number to send to.",
        }),
        Whom::Group => Field {
            name: "groupid",
            required: true,
            form: Form::Group,
            text: Text {
                id: "ID grup tujuan; bot harus menjadi anggotanya.",
                en: "The group to send to; the bot must be a member.",
            },
            example: json!(GROUP_ID),
        },
    }
}

fn content(what: What) -> Vec<Field> {
    let pesan = |required, example: &str, text| Field {
        name: "pesan",
        required,
        form: Form::Text,
        text,
        example: json!(example),
    };
    let degrees = |name, most, example: &str, text| Field {
        name,
        required: true,
        form: Form::Degrees(most),
        text,
        example: json!(example),
    };
    match what {
        What::Text => vec![pesan(
            true,
            "Test kirim text",
            Text {
                id: "Pesan yang dikirim.",
                en: "The message.",
            },
        )],
        What::Media => vec![
            Field {
                name: "mediaurl",
                required: true,
                form: Form::Url,
                text: Text {
                    id: "URL file yang dikirim.",
                    en: "The URL of the file.",
                },
                example: json!(MEDIA_URL),
            },
            pesan(
                false,
                "Test kirim text",
                Text {
                    id: "Keterangan di bawah file. Audio tidak memiliki keterangan di WhatsApp: teks ini menyusul sebagai pesan tersendiri.",
                    en: "The caption. Audio carries none on WhatsApp: the text follows as a message of its own.",
                },
            ),
        ],
        What::Location => vec![
            degrees(
                "latitude",
                90,
                LATITUDE,
                Text {
                    id: "Garis lintang.",
                    en: "The latitude.",
                },
            ),
            degrees(
                "longitude",
                180,
                LONGITUDE,
                Text {
                    id: "Garis bujur.",
                    en: "The longitude.",
                },
            ),
            pesan(
                false,
                "Kantor Pusat",
                Text {
                    id: "Nama tempat, tampil di bawah peta.",
                    en: "The place's name, shown below the map.",
                },
            ),
        ],
        What::Contact => vec![Field {
            name: "contact",
            required: true,
            form: Form::Contact,
            text: Text {
                id: "Kartu kontak yang dikirim.",
                en: "The card to send.",
            },
            example: card(),
        }],
    }
}

fn notifyurl() -> Field {
    Field {
        name: "notifyurl",
        required: false,
        form: Form::Url,
        text: Text {
            id: "URL Anda yang menerima perubahan status pesan ini.",
            en: "Your URL that is told how this message fares.",
        },
        example: json!(NOTIFY_URL),
    }
}
