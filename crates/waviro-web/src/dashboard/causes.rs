//! Explanations of failures for shop owners: the cause and the remedy. The API's causes are short
//! and in English; if a cause has more details, the page shows the API's text beside the
//! explanation.

use super::page_context::PageContext;

/// Explains why a message failed (ack -1).
pub(super) fn of_message(cause: &str, context: &PageContext) -> String {
    let (word, _) = cause.split_once(':').unwrap_or((cause, ""));
    let pair = match word {
        "nack" => (
            "WhatsApp menolak pesan ini. Biasanya karena akun baru atau akun yang dibatasi menulis kepada orang yang belum pernah menulis kepadanya. Kirim lebih pelan, dan biarkan pelanggan menulis lebih dahulu.",
            "WhatsApp refused this message. The usual reason: a new or restricted account wrote to a person who never wrote to the account. Send more slowly, and let customers write first.",
        ),
        "expired" => (
            "Pesan tidak dapat dikirim selama 24 jam, jadi dihentikan. Periksa apakah bot terhubung, lalu kirim lagi bila masih perlu.",
            "The message could not be sent for 24 hours and has expired. Check whether the bot is connected, and send the message again if needed.",
        ),
        "logged_out" => (
            "Perangkat dikeluarkan dari WhatsApp sebelum pesan ini terkirim. Tautkan bot lagi, lalu kirim lagi.",
            "The device was logged out of WhatsApp before this message was sent. Link the bot again, then send the message again.",
        ),
        "banned" => (
            "WhatsApp memblokir akun ini sebelum pesan terkirim. Buka WhatsApp di ponsel untuk alasannya.",
            "WhatsApp banned this account before the message was sent. Open WhatsApp on the phone to see the reason.",
        ),
        "bot_removed" => (
            "Bot dihapus sebelum pesan ini terkirim.",
            "The bot was removed before this message was sent.",
        ),
        "refused" => (
            "WhatsApp tidak mau mengirim pesan ini; kata-katanya ada di bawah. Periksa nomor atau grup tujuan dan isinya, lalu kirim lagi.",
            "WhatsApp refused this message; its reason is below. Check the number or group and the content, then send the message again.",
        ),
        "link_ended" | "unlinked" | "codes_used_up" | "pairing_failed" | "linking"
        | "passkey_asked" => (
            "Bot tidak tertaut lagi sebelum pesan ini terkirim. Tautkan lagi, lalu kirim lagi.",
            "The bot was unlinked before this message was sent. Link the bot again, then send the message again.",
        ),
        _ => (
            "Pesan ini tidak terkirim; sebabnya ada di bawah.",
            "This message was not sent; the cause is below.",
        ),
    };
    context.translate(pair.0, pair.1).to_owned()
}

/// Explains why an attempt of a delivery failed.
pub(super) fn of_attempt(cause: &str, context: &PageContext) -> String {
    let status = cause
        .strip_prefix("status ")
        .and_then(|status| status.parse::<u16>().ok());
    let pair = match status {
        Some(300..=399) => (
            "Server Anda mengalihkan ke alamat lain, dan pengalihan tidak diikuti. Daftarkan alamat akhirnya, biasanya dengan https.",
            "Your server redirects, and redirects are not followed. Register the final address, usually the one with https.",
        ),
        Some(401 | 403) => (
            "Server Anda menolak panggilan ini. Izinkan gateway, atau periksa kuncinya di program Anda.",
            "Your server refuses this request. Allow the gateway, or check the key in your program.",
        ),
        Some(404) => (
            "Tidak ada apa-apa di alamat ini di server Anda. Periksa URL-nya.",
            "Your server has nothing at this address. Check the URL.",
        ),
        Some(405) => (
            "Alamat ini tidak menerima POST. Periksa URL dan program Anda.",
            "This address does not accept POST. Check the URL and your program.",
        ),
        Some(410) => (
            "Server Anda menjawab 410, artinya tidak mau menerima lagi. Aturan atau langganannya dimatikan.",
            "Your server answered 410: it wants no more requests. The rule or subscription was switched off.",
        ),
        Some(429) => (
            "Server Anda meminta agar lebih pelan. Gateway menunggu, lalu mencoba lagi.",
            "Your server asks for fewer requests. The gateway waits and tries again.",
        ),
        Some(502..=504) => (
            "Server Anda sedang tidak sanggup menjawab. Periksa apakah programnya berjalan.",
            "Your server cannot answer now. Check whether its program is running.",
        ),
        Some(500..=599) => (
            "Program Anda gagal saat menerima ini. Lihat catatan galatnya pada jam yang sama.",
            "Your program failed on this request. Check its error log at this time.",
        ),
        Some(_) => (
            "Jawaban selain 2xx berarti belum diterima. Jawab 200 bila sudah.",
            "An answer other than 2xx means that your server did not accept the request. Answer 200 after accepting it.",
        ),
        None if cause.starts_with("refused:") => (
            "Alamat ini tidak boleh dipanggil dari gateway. Bila memang dimaksud, tambahkan ke outbound.allow.",
            "The gateway may not call this address. If the address is intended, add it to outbound.allow.",
        ),
        None if cause.starts_with("no complete answer") => (
            "Server Anda tidak selesai menjawab pada waktunya. Jawab dahulu, kerjakan yang lama sesudahnya.",
            "Your server did not complete its answer in time. Answer first, and do slow work afterwards.",
        ),
        None if cause.starts_with("unreachable:") => (
            "Server Anda tidak dapat dihubungi. Periksa nama, port, sertifikat, dan apakah servernya hidup.",
            "Your server cannot be reached. Check its name, port and certificate, and whether it is running.",
        ),
        None => return String::new(),
    };
    context.translate(pair.0, pair.1).to_owned()
}

/// Explains the outcome of a webhook reply.
pub(super) fn of_note(note: &str, context: &PageContext) -> String {
    if let Some(rest) = note.strip_prefix("sent ") {
        let (count, more) = rest.split_once(" messages").unwrap_or((rest, ""));
        let said = context.translate("Pesan jawaban yang dikirim:", "Messages sent as the reply:");
        let left_out = context.translate("; dilewati:", "; left out:");
        return format!("{said} {count}{}", more.replace("; left out:", left_out));
    }
    match note.strip_prefix("nothing sent:") {
        Some(why) => {
            let said = context.translate("Tidak ada yang dikirim:", "Nothing was sent:");
            format!("{said}{why}")
        }
        None => note.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::error::Language;

    #[test]
    fn only_a_message_whose_bot_was_not_linked_asks_for_a_link() {
        let context = PageContext::in_language(Language::English);
        for cause in [
            "link_ended",
            "unlinked",
            "logged_out: removed",
            "pairing_failed",
        ] {
            assert!(of_message(cause, &context).contains("Link"), "{cause}");
        }
        for cause in [
            "refused: 400 bad participant",
            "nack: 479",
            "expired: not sent within 24 hours",
            "banned: spam",
            "bot_removed",
            "something new",
            "",
        ] {
            let words = of_message(cause, &context);
            assert!(!words.to_lowercase().contains("link"), "{cause}: {words}");
        }
    }
}
