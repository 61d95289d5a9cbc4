//! The texts of the `/api` errors. Each text says what the caller should do. No text repeats the
//! caller's input, except a number in its right form.

use waviro_core::bots::why_unreachable;
use waviro_core::idempotency::KEY_CAP;
use waviro_core::lenient_json::{Cause, Fault};
use waviro_core::net::Refused;
use waviro_core::outbox::{FILE_CAP, NoRoom};
use waviro_core::permits::NoPermit;
use waviro_link::{OfflineCause, Status, UnlinkedCause};

use super::super::body::TEXT_CAP;
use super::{ApiError, Language, MediaFault, UrlFault};

impl ApiError {
    /// Returns the text for the caller. `id` is the request's id; `body_cap` is the configured
    /// limit in bytes.
    #[must_use]
    pub fn sentence(&self, language: Language, id: &str, body_cap: usize) -> String {
        match language {
            Language::Indonesian => self.indonesian(id, body_cap),
            Language::English => self.english(id, body_cap),
        }
    }

    fn indonesian(&self, id: &str, body_cap: usize) -> String {
        match self {
            Self::NotFound => "Alamat ini tidak ada; periksa kembali path yang dipanggil, misalnya /api/sendwa.".to_owned(),
            Self::MethodNotAllowed => "Gunakan method POST untuk alamat ini.".to_owned(),
            Self::BodyTooLarge => format!("Body terlalu besar; kirim paling banyak {} KiB.", body_cap / 1024),
            Self::BodyIncomplete => "Body tidak diterima lengkap atau terlalu lambat; kirim ulang request.".to_owned(),
            Self::BodyNotJson(fault) => not_json_in_indonesian(*fault),
            Self::BodyNotForm => "Body formulir tidak dapat dibaca; kirim field dalam UTF-8, atau satu objek JSON.".to_owned(),
            Self::BodyNotObject => "Body harus berupa satu objek JSON, misalnya {\"nohp\":\"628…\"}.".to_owned(),
            Self::NoSecretKey => "Header SecretKey tidak ada atau kosong; tambahkan secret key bot Anda.".to_owned(),
            Self::InvalidSecretKey => "SecretKey tidak valid; periksa kembali secret key bot Anda.".to_owned(),
            Self::TooManyWrongKeys => "Terlalu banyak SecretKey yang salah dari alamat Anda; tunggu satu menit lalu coba lagi.".to_owned(),
            Self::MissingField(field) => format!("Data tidak lengkap: {field} wajib diisi."),
            Self::NobodyNamed => "Data tidak lengkap: nohp atau groupid wajib diisi.".to_owned(),
            Self::NotText { field } => format!("{field} harus berupa teks biasa."),
            Self::TextTooLong { field } => format!("{field} terlalu panjang; WhatsApp menerima paling banyak {TEXT_CAP} karakter."),
            Self::InvalidNumber { field, meant } => match meant {
                Some(meant) => format!("{field} tidak valid; tulis diawali kode negara dan hanya angka, misalnya {meant}."),
                None => format!("{field} tidak valid; tulis diawali kode negara dan hanya angka, misalnya 6282386000001."),
            },
            Self::NotRegistered => "Nomor tujuan tidak terdaftar di WhatsApp; periksa kembali nomornya.".to_owned(),
            Self::NotInGroup => "Chatbot bukan anggota grup ini; lihat daftar grup di /api/groups, atau tambahkan nomor bot ke grup.".to_owned(),
            Self::InvalidGroup { field } => format!("{field} tidak valid; isi dengan id grup yang hanya angka, misalnya 120363000000000001."),
            Self::InvalidDegrees { field } => format!(
                "{field} tidak valid; tulis derajat desimal dengan titik, {}.",
                if *field == "latitude" { "dari -90 sampai 90, misalnya 0.525960" } else { "dari -180 sampai 180, misalnya 101.426866" }
            ),
            Self::NotAnObject { field } => format!("{field} harus berupa objek, misalnya {{\"name\":\"Test\",\"numbers\":[\"628124000001\"]}}."),
            Self::TooManyNumbers { most } => format!("Kontak memuat terlalu banyak nomor; kirim paling banyak {most} nomor dalam satu kontak."),
            Self::InvalidUrl { field, fault } => format!("{field} tidak valid: {}", fault.indonesian(field)),
            Self::NoMedia(fault) => fault.indonesian(),
            Self::NotConnected(status) => not_connected_in_indonesian(status),
            Self::Duplicate => "Pesan yang sama baru saja dikirim ke tujuan ini; ubah isi pesan sebelum mengirim lagi.".to_owned(),
            Self::InvalidIdempotencyKey => format!("Header Idempotency-Key tidak valid; isi dengan 1 sampai {KEY_CAP} karakter ASCII tanpa spasi."),
            Self::IdempotencyConflict => "Idempotency-Key ini sudah dipakai untuk permintaan lain; gunakan kunci baru untuk setiap permintaan baru.".to_owned(),
            Self::LookupFailed => "WhatsApp belum menjawab pertanyaan tentang nomor atau grup ini; coba lagi sebentar lagi.".to_owned(),
            Self::NoRoom(none) => no_room_in_indonesian(*none),
            Self::Busy => "Terlalu banyak pesan sekaligus; coba lagi sebentar lagi.".to_owned(),
            Self::QrNotReady(None) => "WhatsApp belum memberikan kode QR; panggil getqr lagi, dan bila terus begini periksa koneksi internet server dengan waviro doctor.".to_owned(),
            Self::QrNotReady(Some(failure)) => format!(
                "Kode QR belum ada karena WhatsApp tidak dapat dihubungi: {}.",
                why_unreachable(failure).0
            ),
            Self::Internal => format!("Terjadi kesalahan di server; coba lagi, dan bila berulang sampaikan kode {id} kepada pengelola."),
        }
    }

    fn english(&self, id: &str, body_cap: usize) -> String {
        match self {
            Self::NotFound => "There is nothing at this address; check the path, for example /api/sendwa.".to_owned(),
            Self::MethodNotAllowed => "Use the method POST for this address.".to_owned(),
            Self::BodyTooLarge => format!("The body is too large; send at most {} KiB.", body_cap / 1024),
            Self::BodyIncomplete => "The body did not arrive completely or too slowly; send the request again.".to_owned(),
            Self::BodyNotJson(fault) => not_json_in_english(*fault),
            Self::BodyNotForm => "The form in the body cannot be read; send the fields in UTF-8, or one JSON object.".to_owned(),
            Self::BodyNotObject => "The body must be one JSON object, for example {\"nohp\":\"628…\"}.".to_owned(),
            Self::NoSecretKey => "The header SecretKey is missing or empty; add your bot's secret key.".to_owned(),
            Self::InvalidSecretKey => "The SecretKey is not valid; check your bot's secret key.".to_owned(),
            Self::TooManyWrongKeys => "Too many wrong SecretKeys from your address; wait a minute, then try again.".to_owned(),
            Self::MissingField(field) => format!("Incomplete data: {field} is required."),
            Self::NobodyNamed => "Incomplete data: nohp or groupid is required.".to_owned(),
            Self::NotText { field } => format!("{field} must be plain text."),
            Self::TextTooLong { field } => format!("{field} is too long; WhatsApp takes at most {TEXT_CAP} characters."),
            Self::InvalidNumber { field, meant } => match meant {
                Some(meant) => format!("{field} is not valid; write the country code first and digits only, for example {meant}."),
                None => format!("{field} is not valid; write the country code first and digits only, for example 6282386000001."),
            },
            Self::NotRegistered => "The number is not registered on WhatsApp; check the number.".to_owned(),
            Self::NotInGroup => "The bot is not in this group; see its groups at /api/groups, or add the bot's number to the group.".to_owned(),
            Self::InvalidGroup { field } => format!("{field} is not valid; write the group's id, digits only, for example 120363000000000001."),
            Self::InvalidDegrees { field } => format!(
                "{field} is not valid; write decimal degrees with a point, {}.",
                if *field == "latitude" { "from -90 to 90, for example 0.525960" } else { "from -180 to 180, for example 101.426866" }
            ),
            Self::NotAnObject { field } => format!("{field} must be an object, for example {{\"name\":\"Test\",\"numbers\":[\"628124000001\"]}}."),
            Self::TooManyNumbers { most } => format!("The contact holds too many numbers; send at most {most} in one contact."),
            Self::InvalidUrl { field, fault } => format!("{field} is not valid: {}", fault.english(field)),
            Self::NoMedia(fault) => fault.english(),
            Self::NotConnected(status) => not_connected_in_english(status),
            Self::Duplicate => "The same message was just sent to this destination; change its content before sending again.".to_owned(),
            Self::InvalidIdempotencyKey => format!("The header Idempotency-Key is not valid; send 1 to {KEY_CAP} ASCII characters without blanks."),
            Self::IdempotencyConflict => "This Idempotency-Key was used for another request; use a new key for each new request.".to_owned(),
            Self::LookupFailed => "WhatsApp has not answered yet about this number or group; try again in a moment.".to_owned(),
            Self::NoRoom(none) => no_room_in_english(*none),
            Self::Busy => "Too many messages at once; try again in a moment.".to_owned(),
            Self::QrNotReady(None) => "WhatsApp has not given a QR code yet; call getqr again, and if that persists check the server's internet connection with waviro doctor.".to_owned(),
            Self::QrNotReady(Some(failure)) => format!(
                "There is no QR code yet because WhatsApp cannot be reached: {}.",
                why_unreachable(failure).1
            ),
            Self::Internal => format!("The server failed; try again, and if that persists give its operator the code {id}."),
        }
    }
}

fn not_json_in_indonesian(fault: Fault) -> String {
    let Fault {
        line,
        column,
        cause,
    } = fault;
    match cause {
        Cause::UnescapedQuote => format!(
            "Body bukan JSON yang sah: tanda kutip (\") di baris {line}, kolom {column} berada di dalam teks tanpa garis miring terbalik (\\\"); buat body dengan json_encode (PHP), json.Marshal (Go) atau fungsi JSON bahasa Anda, bukan dengan menyambung teks."
        ),
        Cause::EndsEarly => format!(
            "Body berakhir sebelum JSON selesai (baris {line}, kolom {column}); tutup semua tanda kutip dan kurung, dan isi Content-Length dengan jumlah byte, bukan jumlah karakter."
        ),
        Cause::Other => format!(
            "Body bukan JSON yang sah (baris {line}, kolom {column}); kirim satu objek JSON dalam UTF-8, yang dibuat dengan json_encode (PHP), json.Marshal (Go) atau fungsi JSON bahasa Anda."
        ),
    }
}

fn not_json_in_english(fault: Fault) -> String {
    let Fault {
        line,
        column,
        cause,
    } = fault;
    match cause {
        Cause::UnescapedQuote => format!(
            "The body is not valid JSON: the quotation mark (\") at line {line}, column {column} stands inside a text without a backslash (\\\"); build the body with json_encode (PHP), json.Marshal (Go) or your language's JSON function, not by joining strings."
        ),
        Cause::EndsEarly => format!(
            "The body ends before its JSON does (line {line}, column {column}); close all quotation marks and brackets, and count bytes, not characters, for Content-Length."
        ),
        Cause::Other => format!(
            "The body is not valid JSON (line {line}, column {column}); send one JSON object in UTF-8, built with json_encode (PHP), json.Marshal (Go) or your language's JSON function."
        ),
    }
}

fn no_room_in_indonesian(none: NoRoom) -> String {
    match none {
            NoRoom::Fetches(NoPermit::Owner(most)) => format!("Chatbot ini sedang mengunduh {most} file, batas untuk satu bot; tunggu sampai salah satunya selesai, lalu kirim lagi."),
            NoRoom::Fetches(NoPermit::InAll(most)) => format!("Server sedang mengunduh {most} file, batas untuk semua bot; coba lagi beberapa detik lagi."),
            NoRoom::Waiting { files, mib } => format!("File chatbot ini yang belum terkirim sudah {files} buah atau {mib} MB, batas untuk satu bot; tunggu sampai sebagian terkirim, lalu kirim lagi. Teks tetap dapat dikirim."),
            NoRoom::Disk => "Ruang disk server hampir habis, jadi file tidak diterima untuk sementara; sampaikan kepada pengelola. Teks tetap dapat dikirim.".to_owned(),
        }
}

fn no_room_in_english(none: NoRoom) -> String {
    match none {
            NoRoom::Fetches(NoPermit::Owner(most)) => format!("{most} files are being fetched for this bot, which is the most for one; wait until one is done, then send again."),
            NoRoom::Fetches(NoPermit::InAll(most)) => format!("{most} files are being fetched, which is the most for all bots; try again in a few seconds."),
            NoRoom::Waiting { files, mib } => format!("{files} files of this bot, or {mib} MB of them, wait until they are sent, which is the most for one bot; wait until some are sent, then send again. Texts are taken."),
            NoRoom::Disk => "The server's disk is almost full, so no files are taken for now; tell its operator. Texts are taken.".to_owned(),
        }
}

impl MediaFault {
    fn indonesian(&self) -> String {
        match self {
            Self::TooLarge => format!("Ukuran file media melebihi {} MB; perkecil file lalu kirim lagi.", FILE_CAP >> 20),
            Self::NotFound => "File di mediaurl tidak ditemukan; periksa kembali alamatnya.".to_owned(),
            Self::Status(status) => format!("Server mediaurl menjawab dengan status {status}; pastikan file dapat diunduh tanpa login."),
            Self::Unreachable => "Server mediaurl tidak dapat dihubungi atau koneksinya terputus; periksa alamatnya lalu coba lagi.".to_owned(),
            Self::TimedOut => "File di mediaurl terlalu lama diunduh; coba lagi, atau gunakan server yang lebih cepat.".to_owned(),
            Self::Empty => "File di mediaurl kosong; periksa kembali filenya.".to_owned(),
            Self::Page(Some(direct)) => format!("mediaurl menuju halaman web, bukan filenya; gunakan tautan unduh langsung: {direct} dan pastikan file dibagikan kepada semua orang."),
            Self::Page(None) => "mediaurl menuju halaman web, bukan filenya; gunakan tautan unduh langsung ke file itu, yang dapat dibuka tanpa login.".to_owned(),
            Self::Encoding => "File di mediaurl tidak dapat dibaca karena Content-Encoding-nya salah; periksa pengaturan kompresi di server file.".to_owned(),
            Self::Lost => "mediaurl terlalu sering dialihkan; gunakan alamat langsung ke filenya.".to_owned(),
        }
    }

    fn english(&self) -> String {
        match self {
            Self::TooLarge => format!("The media file is larger than {} MB; make it smaller and send it again.", FILE_CAP >> 20),
            Self::NotFound => "There is no file at mediaurl; check the address.".to_owned(),
            Self::Status(status) => format!("The server of mediaurl answered with status {status}; make sure that the file can be downloaded without a login."),
            Self::Unreachable => "The server of mediaurl cannot be reached, or the connection broke; check the address and try again.".to_owned(),
            Self::TimedOut => "The file at mediaurl took too long to download; try again, or use a faster server.".to_owned(),
            Self::Empty => "The file at mediaurl is empty; check the file.".to_owned(),
            Self::Page(Some(direct)) => format!("mediaurl leads to a web page, not to the file; use the direct download link: {direct} and share the file with everyone."),
            Self::Page(None) => "mediaurl leads to a web page, not to the file; use a direct download link to the file, one that needs no login.".to_owned(),
            Self::Encoding => "The file at mediaurl cannot be read because its Content-Encoding is wrong; check the compression of the file's server.".to_owned(),
            Self::Lost => "mediaurl is redirected too often; use the file's own address.".to_owned(),
        }
    }
}

/// Returns a sample path for the URL in the text about a field.
fn example(field: &str) -> &'static str {
    match field {
        "mediaurl" => "foto.jpg",
        _ => "notify",
    }
}

impl UrlFault {
    fn indonesian(&self, field: &str) -> String {
        match self {
            Self::NotAUrl => format!(
                "tulis alamat lengkap, misalnya https://domain-anda/{}.",
                example(field)
            ),
            Self::TooLong => "alamat lebih panjang dari 2048 karakter.".to_owned(),
            Self::Refused(Refused::Scheme(_)) => {
                "alamat harus diawali http:// atau https://.".to_owned()
            }
            Self::Refused(Refused::UserInfo) => {
                "hapus nama pengguna dan sandi dari alamat.".to_owned()
            }
            Self::Refused(Refused::NoHost) => "alamat tidak memiliki nama host.".to_owned(),
            Self::Refused(Refused::UnsafePort(port)) => {
                format!("port {port} dipakai protokol lain, bukan HTTP; gunakan port lain.")
            }
            Self::Refused(Refused::NotPublic { network, .. }) => format!(
                "alamat ini bukan alamat publik; gunakan alamat publik, atau minta pengelola menambahkan {network} ke outbound.allow."
            ),
            Self::Refused(Refused::NameNotPublic(_)) => {
                "host ini tidak memiliki alamat publik; gunakan alamat publik, atau minta pengelola mengizinkannya di outbound.allow.".to_owned()
            }
        }
    }

    fn english(&self, field: &str) -> String {
        match self {
            Self::NotAUrl => format!(
                "write a complete address, for example https://your-domain/{}.",
                example(field)
            ),
            Self::TooLong => "the address is longer than 2048 characters.".to_owned(),
            Self::Refused(Refused::Scheme(_)) => {
                "the address must start with http:// or https://.".to_owned()
            }
            Self::Refused(Refused::UserInfo) => {
                "remove user name and password from the address.".to_owned()
            }
            Self::Refused(Refused::NoHost) => "the address names no host.".to_owned(),
            Self::Refused(Refused::UnsafePort(port)) => {
                format!("port {port} belongs to another protocol than HTTP; use another port.")
            }
            Self::Refused(Refused::NotPublic { network, .. }) => format!(
                "this is not a public address; use a public one, or ask the operator to add {network} to outbound.allow."
            ),
            Self::Refused(Refused::NameNotPublic(_)) => {
                "this host has no public address; use a public one, or ask the operator to permit it in outbound.allow.".to_owned()
            }
        }
    }
}

fn not_connected_in_indonesian(status: &Status) -> String {
    match status {
        Status::Unlinked(UnlinkedCause::LoggedOut(_)) => {
            "Chatbot sudah dikeluarkan (logout) dari WhatsApp; ambil kode dari /api/getqr lalu pindai ulang.".to_owned()
        }
        Status::Unreachable(failure) => format!(
            "Chatbot belum terhubung: WhatsApp tidak dapat dihubungi, {}.",
            why_unreachable(failure).0
        ),
        Status::Unlinked(_) | Status::Linking { .. } => {
            "Chatbot belum terhubung dengan WhatsApp; ambil kode dari /api/getqr lalu pindai dengan WhatsApp di ponsel.".to_owned()
        }
        Status::Reconnecting {
            cause: OfflineCause::Unreachable(failure),
        } => format!(
            "Chatbot sedang tidak terhubung dan mencoba lagi sendiri: WhatsApp tidak dapat dihubungi, {}.",
            why_unreachable(failure).0
        ),
        Status::Online | Status::Reconnecting { .. } => {
            "Chatbot sedang tidak terhubung dengan WhatsApp dan mencoba lagi sendiri; ulangi beberapa saat lagi.".to_owned()
        }
        Status::Replaced => {
            "Chatbot tidak terhubung: sesinya dipakai program lain; hentikan program itu lalu jalankan ulang Waviro.".to_owned()
        }
        Status::Banned { .. } => {
            "Chatbot tidak terhubung: WhatsApp memblokir nomor ini; buka WhatsApp di ponsel untuk melihat alasan dan batas waktunya.".to_owned()
        }
        Status::PasskeyAsked => {
            "Chatbot belum terhubung: WhatsApp meminta passkey; ikuti petunjuk di ponsel lalu ambil kode dari /api/getqr lagi.".to_owned()
        }
        Status::ClientOutdated => {
            "Chatbot tidak terhubung: WhatsApp menolak versi klien ini; minta pengelola memperbarui Waviro atau mengisi whatsapp.version.".to_owned()
        }
    }
}

fn not_connected_in_english(status: &Status) -> String {
    match status {
        Status::Unlinked(UnlinkedCause::LoggedOut(_)) => {
            "The bot was logged out of WhatsApp; get a code from /api/getqr and scan again.".to_owned()
        }
        Status::Unreachable(failure) => format!(
            "The bot is not connected yet: WhatsApp cannot be reached, {}.",
            why_unreachable(failure).1
        ),
        Status::Unlinked(_) | Status::Linking { .. } => {
            "The bot is not connected to WhatsApp yet; get a code from /api/getqr and scan it with WhatsApp on the phone.".to_owned()
        }
        Status::Reconnecting {
            cause: OfflineCause::Unreachable(failure),
        } => format!(
            "The bot is not connected at the moment and keeps trying: WhatsApp cannot be reached, {}.",
            why_unreachable(failure).1
        ),
        Status::Online | Status::Reconnecting { .. } => {
            "The bot is not connected to WhatsApp at the moment and keeps trying; repeat in a while.".to_owned()
        }
        Status::Replaced => {
            "The bot is not connected: another program uses its session; stop that program, then restart Waviro.".to_owned()
        }
        Status::Banned { .. } => {
            "The bot is not connected: WhatsApp has banned this number; open WhatsApp on the phone to see why and until when.".to_owned()
        }
        Status::PasskeyAsked => {
            "The bot is not connected yet: WhatsApp asks for a passkey; follow the phone, then get a code from /api/getqr again.".to_owned()
        }
        Status::ClientOutdated => {
            "The bot is not connected: WhatsApp refuses this client version; ask the operator to update Waviro or to set whatsapp.version.".to_owned()
        }
    }
}
