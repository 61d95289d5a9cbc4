//! The explanation of a failed connection to WhatsApp, with a remedy: one text for the API, health,
//! the dashboard and `doctor`.

use waviro_link::{DialFailure, DialStep};

/// Returns the cause and the remedy in Indonesian and in English, without an initial capital and
/// without a final stop. The texts reveal nothing about the operator's network to a tenant; system
/// messages appear only in logs and in `doctor`.
#[must_use]
pub fn why_unreachable(failure: &DialFailure) -> (&'static str, &'static str) {
    match failure {
        DialFailure::Dns(_) => (
            "nama server WhatsApp tidak ditemukan (DNS); periksa DNS dan koneksi internet server gateway",
            "the name of WhatsApp's server does not resolve (DNS); check the DNS and the internet connection of the gateway's machine",
        ),
        DialFailure::NoRoute => (
            "server gateway tidak punya rute ke internet; periksa jaringan dan gateway default-nya",
            "the gateway's machine has no route to the internet; check its network and its default route",
        ),
        DialFailure::Refused => (
            "koneksi ditolak; izinkan koneksi keluar ke port 443 di firewall, dan periksa whatsapp.url",
            "the connection is refused; allow connections to port 443 in the firewall, and check whatsapp.url",
        ),
        DialFailure::Tcp(_) => (
            "koneksi TCP gagal; periksa firewall dan jaringan server gateway",
            "the TCP connection fails; check the firewall and the network of the gateway's machine",
        ),
        DialFailure::TlsUnknownCa => (
            "sertifikat server ditandatangani CA yang tidak dikenal, biasanya karena firewall atau antivirus membuka TLS; kecualikan web.whatsapp.com di sana, atau isi whatsapp.ca_file dengan sertifikat CA itu",
            "an unknown authority signed the server's certificate, usually because a firewall or antivirus opens TLS; exempt web.whatsapp.com there, or set whatsapp.ca_file to the certificate of that authority",
        ),
        DialFailure::TlsWrongName => (
            "sertifikat server milik nama lain; periksa DNS, berkas hosts, proxy, dan whatsapp.url",
            "the server's certificate is for another name; check DNS, the hosts file, the proxy, and whatsapp.url",
        ),
        DialFailure::TlsExpired => (
            "sertifikat server sudah kedaluwarsa menurut jam server gateway; betulkan jamnya (NTP), dan bila jamnya benar periksa proxy di antaranya",
            "the server's certificate has expired by the clock of the gateway's machine; correct the clock (NTP), and if the clock is right check the proxy in between",
        ),
        DialFailure::TlsNotYetValid => (
            "sertifikat server belum berlaku menurut jam server gateway, jadi jamnya terlambat; betulkan jamnya (NTP)",
            "the server's certificate is not valid yet by the clock of the gateway's machine, so the clock is slow; correct the clock (NTP)",
        ),
        DialFailure::Tls(_) => (
            "TLS gagal: yang menjawab bukan server WhatsApp; periksa proxy, firewall, dan whatsapp.url",
            "TLS fails: the server that answers is not WhatsApp's; check the proxy, the firewall, and whatsapp.url",
        ),
        DialFailure::UpgradeStatus(status) => status_explained(*status),
        DialFailure::NotWebSocket => (
            "yang menjawab bukan server WhatsApp; periksa proxy, halaman login jaringan, dan whatsapp.url",
            "the server that answers is not WhatsApp's; check the proxy, the network's login page, and whatsapp.url",
        ),
        DialFailure::ServerKey => (
            "server yang menjawab tidak terbukti milik WhatsApp; periksa DNS, proxy, whatsapp.url, dan whatsapp.server_key",
            "the server that answers did not prove to be WhatsApp's; check DNS, the proxy, whatsapp.url, and whatsapp.server_key",
        ),
        DialFailure::Closed(DialStep::Dns | DialStep::Tcp | DialStep::Tls) => (
            "koneksi diputus saat TLS dimulai; firewall mungkin memblokir WhatsApp, izinkan web.whatsapp.com",
            "the connection is closed while TLS begins; a firewall may block WhatsApp; allow web.whatsapp.com",
        ),
        DialFailure::Closed(DialStep::Upgrade | DialStep::Handshake) => (
            "koneksi diputus sebelum WhatsApp menjawab; proxy mungkin tidak meneruskan WebSocket, kecualikan web.whatsapp.com",
            "the connection is closed before WhatsApp answers; a proxy may not forward WebSockets; exempt web.whatsapp.com",
        ),
        DialFailure::Silent(DialStep::Dns) => (
            "server DNS tidak menjawab; periksa DNS server gateway",
            "the DNS server does not answer; check the DNS of the gateway's machine",
        ),
        DialFailure::Silent(DialStep::Tcp) => (
            "server WhatsApp tidak menjawab; periksa koneksi internet, dan izinkan koneksi keluar ke port 443 di firewall",
            "WhatsApp's server does not answer; check the internet connection, and allow connections to port 443 in the firewall",
        ),
        DialFailure::Silent(DialStep::Tls | DialStep::Upgrade | DialStep::Handshake) => (
            "server menerima koneksi lalu diam; periksa firewall, proxy, dan MTU jaringan",
            "the server accepts the connection and then does not answer; check the firewall, the proxy, and the network's MTU",
        ),
    }
}

/// Returns the same texts for a code from [`DialFailure::code`].
#[must_use]
pub fn why_unreachable_by_code(code: &str) -> Option<(&'static str, &'static str)> {
    let samples = DialFailure::samples();
    let same = samples.iter().find(|failure| failure.code() == code)?;
    Some(why_unreachable(same))
}

/// Explains an HTTP status received instead of a WebSocket.
fn status_explained(status: u16) -> (&'static str, &'static str) {
    match status {
        429 => (
            "terlalu banyak koneksi dari alamat ini (HTTP 429); tunggu, gateway mencoba lagi sendiri",
            "there are too many connections from this address (HTTP 429); wait, the gateway tries again automatically",
        ),
        407 => (
            "proxy meminta login (HTTP 407); kecualikan web.whatsapp.com di proxy",
            "a proxy asks for a login (HTTP 407); exempt web.whatsapp.com in the proxy",
        ),
        400..=499 => (
            "WhatsApp atau proxy menolak koneksi ini (HTTP 4xx); periksa proxy dan whatsapp.url, atau coba dari alamat IP lain",
            "WhatsApp or a proxy refuses this connection (HTTP 4xx); check the proxy and whatsapp.url, or try from another IP address",
        ),
        500..=599 => (
            "server WhatsApp atau proxy sedang bermasalah (HTTP 5xx); tunggu, gateway mencoba lagi sendiri",
            "WhatsApp's server or a proxy has a failure (HTTP 5xx); wait, the gateway tries again automatically",
        ),
        _ => (
            "yang menjawab adalah halaman web, bukan WhatsApp; masuk ke halaman login jaringan, dan periksa proxy dan whatsapp.url",
            "a web page answers instead of WhatsApp; log in to the network, and check the proxy and whatsapp.url",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_cause_of_a_failed_dial_has_a_cause_and_a_remedy_in_both_languages() {
        let samples = DialFailure::samples();
        for failure in &samples {
            let (indonesian, english) = why_unreachable(failure);
            for text in [indonesian, english] {
                assert!(text.contains([';', ',']) && !text.ends_with('.'), "{text}");
            }
            assert_eq!(
                why_unreachable_by_code(failure.code()),
                Some((indonesian, english))
            );
        }
        assert_eq!(why_unreachable_by_code("no_such_code"), None);
        let tls = [
            DialFailure::TlsUnknownCa,
            DialFailure::TlsWrongName,
            DialFailure::TlsExpired,
            DialFailure::TlsNotYetValid,
        ];
        let differing: BTreeSet<_> = tls.iter().map(why_unreachable).collect();
        assert_eq!(differing.len(), tls.len());
    }
}
