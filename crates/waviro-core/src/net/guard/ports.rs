//! Lists the ports that are never called.
//!
//! Servers of older protocols answer each line with a known command. Other people choose the URL or
//! the body of a request, so a request can contain such lines: mail for an SMTP server, commands
//! for a printer. Browsers therefore refuse these ports, and so does the gateway.

/// The "bad ports" of the Fetch standard (<https://fetch.spec.whatwg.org/#port-blocking>), sorted.
const UNSAFE: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
    6668, 6669, 6679, 6697, 10080,
];

/// Returns whether a server of another protocol may listen at `port`.
pub(super) fn is_unsafe(port: u16) -> bool {
    UNSAFE.binary_search(&port).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_so_that_each_of_its_ports_is_found() {
        assert!(UNSAFE.is_sorted_by(|before, after| before < after));
        assert!(UNSAFE.into_iter().all(is_unsafe));
        for port in [80, 443, 3000, 5432, 8000, 8080, 8443, 9000] {
            assert!(!is_unsafe(port), "{port}");
        }
    }
}
