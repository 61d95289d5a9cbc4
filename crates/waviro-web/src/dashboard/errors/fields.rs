//! Explanations of wrong fields of rules, settings, subscriptions and users, and of rare problems,
//! in Indonesian and English.

/// Returns the explanation of a rare code, or `None` for a code that no page causes.
pub(super) fn other(code: &str) -> Option<(&'static str, &'static str)> {
    Some(match code {
        "key_taken" => (
            "Bot lain sudah memakai SecretKey itu, dan kunci menentukan bot mana yang dimaksud; beri bot itu kunci lain dahulu.",
            "Another bot has that SecretKey, and a SecretKey identifies one bot; give the other bot another key first.",
        ),
        "keyword_taken" => (
            "Aturan lain sudah memakai kata kunci itu; ubah atau hapus aturan itu dahulu.",
            "Another rule has that keyword; change or remove that rule first.",
        ),
        "too_many" => (
            "Sudah sebanyak yang boleh; hapus salah satu dahulu.",
            "The maximum number is reached; remove one first.",
        ),
        "last_admin" => (
            "Ini admin terakhir; jadikan orang lain admin dahulu.",
            "This is the last admin; make another user an admin first.",
        ),
        "idempotency_conflict" => (
            "Formulir ini sudah dijalankan; buka halamannya lagi untuk mengulanginya.",
            "This form was already submitted; open its page again to submit it once more.",
        ),
        "wrong_state" => (
            "Keadaan bot sudah lain; muat ulang halaman ini.",
            "The bot's state has changed; load this page again.",
        ),
        "refused_by_whatsapp" => (
            "WhatsApp menolaknya; kata-katanya ada di bawah.",
            "WhatsApp refused the request; its reason is below.",
        ),
        "too_many_tries" => (
            "Terlalu banyak percobaan dari alamat Anda. Tunggu satu menit, lalu coba lagi.",
            "Too many tries from your address. Wait a minute, then try again.",
        ),
        "body_too_large" => (
            "Isian itu terlalu besar; lihat limits.body_kib.",
            "The input is too large; see limits.body_kib.",
        ),
        "too_many_fetches" => (
            "Terlalu banyak berkas sedang diunduh; coba lagi beberapa detik lagi.",
            "Too many files are being downloaded; try again in a few seconds.",
        ),
        "too_many_files" => (
            "Terlalu banyak berkas bot ini belum terkirim; tunggu sampai sebagian terkirim. Teks tetap dapat dikirim.",
            "Too many files of this bot wait to be sent; wait until some are sent. Texts are accepted.",
        ),
        "disk_full" => (
            "Ruang disk hampir habis, jadi berkas tidak diterima. Teks tetap dapat dikirim.",
            "The disk is almost full, so files are refused. Texts are accepted.",
        ),
        "too_many_at_work" => (
            "Terlalu banyak permintaan Anda masih dikerjakan; tunggu sampai salah satunya selesai.",
            "Too many of your requests are still in progress; wait until a request is complete.",
        ),
        "internal" => (
            "Gateway gagal; catatannya menjelaskan lebih banyak dengan nomor di bawah.",
            "The gateway failed; its log has the cause under the number below.",
        ),
        _ => return None,
    })
}

/// Returns the expected form of a field.
pub(super) fn explained(field: &str) -> Option<(&'static str, &'static str)> {
    Some(match field {
        "secret_key" => (
            "SecretKey terdiri dari 16 sampai 128 huruf, angka, dan tanda baca tanpa spasi, sukar ditebak (bukan kata, urutan, atau pengulangan), dan berbeda dari kunci webhook. Bila kunci lama tidak memenuhi ini, buat kunci baru.",
            "A SecretKey has 16 to 128 letters, digits and punctuation without blanks, is hard to guess (no words, sequences or repetitions), and is not the webhook key. If the old key does not fit, create a new key.",
        ),
        "webhook_key" => (
            "Kunci webhook terdiri dari 1 sampai 128 karakter dalam satu baris, dan berbeda dari SecretKey.",
            "A webhook key has 1 to 128 characters on one line, and is not the SecretKey.",
        ),
        "contact.numbers" => (
            "Isi nomor dengan kode negara, dipisah koma, misalnya 6281234567890.",
            "Give numbers with their country code, separated by commas, such as 6281234567890.",
        ),
        "keyword" => (
            "Kata kunci paling panjang 200 karakter, dalam satu baris.",
            "A keyword has at most 200 characters, on one line.",
        ),
        "url" | "endpoint" | "media.url" | "notify_url" => (
            "URL harus lengkap dan dimulai dengan http:// atau https://.",
            "The URL must be complete, and start with http:// or https://.",
        ),
        "media.caption" => (
            "Keterangan paling panjang 65536 karakter, dan tidak hanya berisi spasi.",
            "A caption has at most 65536 characters, and not only blanks.",
        ),
        "location.name" => (
            "Nama tempat paling panjang 65536 karakter, dan tidak hanya berisi spasi.",
            "The name of a place has at most 65536 characters, and not only blanks.",
        ),
        "contact.name" => (
            "Isi nama kontaknya; nama yang hanya berisi spasi tidak dikirim.",
            "Give the contact's name; a name of only blanks is not sent.",
        ),
        "enabled" | "duplicate_rule.enabled" | "pacing.typing" | "group_acks" | "groups" => (
            "Centang berarti ya, tanpa centang berarti tidak.",
            "A tick means yes, no tick means no.",
        ),
        "timeout_s" => (
            "Batas waktu adalah bilangan bulat dari 1 detik sampai outbound.timeout_s gateway (bawaan 15).",
            "The deadline is a whole number, from 1 second to the gateway's outbound.timeout_s (15 by default).",
        ),
        "text" => (
            "Tulis teks, paling panjang 65536 karakter; teks yang hanya berisi spasi tidak dikirim.",
            "Write a text of at most 65536 characters; a text of only blanks is not sent.",
        ),
        "from" => (
            "Pengirim harus nomor dengan kode negara, misalnya 6281234567890, atau kosong.",
            "The sender must be a number with its country code, such as 6281234567890, or empty.",
        ),
        "group" => (
            "Id grup tampak seperti 120363000000000001@g.us.",
            "A group's id looks like 120363000000000001@g.us.",
        ),
        "overlap_s" => (
            "Kunci lama dapat berlaku paling lama 7 hari lagi.",
            "An old key can stay valid for at most 7 days.",
        ),
        "kinds" => (
            "Pilih setidaknya satu jenis peristiwa.",
            "Choose at least one kind of event.",
        ),
        "duplicate_rule.within_s" => (
            "Jangka waktu adalah bilangan bulat dari 1 sampai 31536000 detik, atau kosong.",
            "The period is a whole number from 1 to 31536000 seconds, or empty.",
        ),
        "pacing.per_minute" => (
            "Pesan per menit adalah bilangan bulat dari 1 sampai 600, atau kosong.",
            "Messages per minute are a whole number from 1 to 600, or empty.",
        ),
        "pacing.jitter" => (
            "Variasi jeda adalah bilangan dari 0 sampai 100 persen.",
            "The variation is a number from 0 to 100 percent.",
        ),
        "grace_s" => (
            "Waktu tenggang adalah bilangan bulat dari 0 sampai 86400 detik, atau kosong.",
            "The grace time is a whole number from 0 to 86400 seconds, or empty.",
        ),
        "allow" => (
            "Tulis paling banyak 64 alamat atau jaringan, misalnya 10.0.0.5, 10.0.0.0/8 atau 10.0.0.5:8080.",
            "Write at most 64 addresses or networks, such as 10.0.0.5, 10.0.0.0/8 or 10.0.0.5:8080.",
        ),
        "old_password" => ("Kata sandi lama salah.", "The old password is wrong."),
        "password" => (
            "Kata sandi setidaknya 10 karakter.",
            "A password has at least 10 characters.",
        ),
        "role" => ("Pilih salah satu peran.", "Choose one of the roles."),
        "bots" => ("Pilih bot yang masih ada.", "Choose bots that still exist."),
        _ => return None,
    })
}
