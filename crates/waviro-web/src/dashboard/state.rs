//! Explanations of a link's state for shop owners, with the remedy.

use super::page_context::PageContext;

/// The severity of a state. The page shows the severity in words too, not only as a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// No action is needed.
    Good,
    /// The state ends by itself, or waits for the user.
    Waits,
    /// The user must act.
    Bad,
}

impl Tone {
    /// Returns the CSS class.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Waits => "waits",
            Self::Bad => "bad",
        }
    }
}

/// Returns the severity, the words and the remedy for a state; `word` is the API's word.
pub(super) fn explained(
    word: &str,
    healthy: bool,
    context: &PageContext,
) -> (Tone, String, String) {
    let text = |pair: (&str, &str)| context.translate(pair.0, pair.1).to_owned();
    let (tone, words, advice) = match word {
        "online" if healthy => (
            Tone::Good,
            ("Terhubung", "Connected"),
            ("Siap mengirim dan menerima.", "Ready to send and receive."),
        ),
        "online" => (
            Tone::Waits,
            ("Terhubung, tetapi macet", "Connected, but stuck"),
            (
                "WhatsApp tidak menerima pesan yang menunggu. Gateway menyambung ulang sendiri.",
                "WhatsApp accepts none of the waiting messages. The gateway reconnects automatically.",
            ),
        ),
        "reconnecting" => (
            Tone::Waits,
            ("Menyambung ulang", "Reconnecting"),
            (
                "Sambungan terputus dan dicoba lagi sendiri. Pesan yang diterima menunggu.",
                "The connection is down and reconnects automatically. Accepted messages wait.",
            ),
        ),
        "linking" => (
            Tone::Waits,
            ("Menunggu dipindai", "Waiting for a scan"),
            (
                "Pindai kode dengan WhatsApp di ponsel toko.",
                "Scan the code with WhatsApp on the shop's phone.",
            ),
        ),
        "unlinked" => (
            Tone::Waits,
            ("Belum ditautkan", "Not linked yet"),
            ("Tautkan dengan kode QR.", "Link it with a QR code."),
        ),
        "logged_out" => (
            Tone::Bad,
            ("Dikeluarkan", "Logged out"),
            (
                "Perangkat dihapus di ponsel. Tautkan lagi.",
                "The phone removed the device. Link it again.",
            ),
        ),
        "codes_used_up" => (
            Tone::Bad,
            ("Kode habis", "Codes expired"),
            (
                "Tidak ada yang memindai tepat waktu. Mulai lagi.",
                "No code was scanned in time. Start again.",
            ),
        ),
        "pairing_failed" => (
            Tone::Bad,
            ("Penautan gagal", "Pairing failed"),
            (
                "Ponsel memindai, tetapi penautan gagal. Mulai lagi.",
                "A phone scanned, but pairing failed. Start again.",
            ),
        ),
        "replaced" => (
            Tone::Bad,
            ("Dipakai di tempat lain", "In use elsewhere"),
            (
                "Program lain membuka perangkat ini. Hubungkan ulang untuk mengambilnya kembali.",
                "Another program uses this device. Reconnect to take the device back.",
            ),
        ),
        "banned" => (
            Tone::Bad,
            ("Diblokir WhatsApp", "Banned by WhatsApp"),
            (
                "WhatsApp menutup akun ini untuk sementara. Buka WhatsApp di ponsel untuk alasannya.",
                "WhatsApp banned this account temporarily. Open WhatsApp on the phone to see the reason.",
            ),
        ),
        "passkey_asked" => (
            Tone::Bad,
            ("Kunci sandi diminta", "Passkey asked"),
            (
                "Hanya ponsel yang dapat menjawabnya. Matikan kunci sandi di WhatsApp, lalu tautkan lagi.",
                "Only the phone can confirm a passkey. Switch the passkey off in WhatsApp and link again.",
            ),
        ),
        _ => (
            Tone::Bad,
            ("Versi ditolak", "Version refused"),
            (
                "WhatsApp menolak versi ini. Gateway menanyakan versi baru; perbarui bila ini berlanjut.",
                "WhatsApp refuses this version. The gateway looks for a newer version; update the gateway if this state stays.",
            ),
        ),
    };
    (tone, text(words), text(advice))
}

/// Returns the same for a bot that cannot reach WhatsApp; `why` is the reason in words.
pub(super) fn unreachable_explained(why: &str, context: &PageContext) -> (Tone, String, String) {
    let words = context.translate("WhatsApp tidak terjangkau", "WhatsApp cannot be reached");
    let before = context.translate(
        "WhatsApp tidak dapat dihubungi:",
        "WhatsApp cannot be reached:",
    );
    let after = context.translate(
        "Gateway mencoba lagi sendiri.",
        "The gateway tries again automatically.",
    );
    let advice = format!("{before} {}. {after}", why);
    (Tone::Bad, words.to_owned(), advice)
}
