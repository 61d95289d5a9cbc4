//! The connection to WhatsApp, step by step: names the first failed step, with a remedy.

use std::net::SocketAddr;

use waviro_core::config::Config;
use waviro_link::whatsapp::{FamilyProbe, Probe, certificate_checks, check_endpoint, probe};
use waviro_link::{DialFailure, DialStep};
use waviro_web::texts::Language;
use waviro_web::unreachable::why_unreachable;

use super::Finding;
use super::Finding::{Fail, Ok as Good, Warn};
use crate::cli::serve::whatsapp_config;

/// Returns a finding per step, up to the first failed step.
pub(super) async fn dial(config: &Config) -> Vec<Finding> {
    let whatsapp = whatsapp_config(config);
    let pinned = whatsapp.server_key.is_some();
    let server_key = whatsapp.server_key.as_ref();
    if let Err(error) = check_endpoint(&whatsapp.url, server_key, certificate_checks()) {
        return vec![Fail(error.to_string())];
    }
    match probe(&whatsapp).await {
        Ok(probed) => {
            let steps = Steps {
                host: whatsapp.url.host_str().unwrap_or_default(),
                secure: whatsapp.url.scheme() == "wss",
                pinned,
            };
            steps.findings(&probed)
        }
        Err(error) => vec![Fail(error.to_string())],
    }
}

/// The server of the connection.
struct Steps<'a> {
    host: &'a str,
    secure: bool,
    pinned: bool,
}

impl Steps<'_> {
    fn findings(&self, probed: &Probe) -> Vec<Finding> {
        let addresses = match &probed.addresses {
            Ok(addresses) => addresses,
            Err(failure) => return vec![failed(failure)],
        };
        let mut findings = vec![self.resolved(addresses)];
        let Some(best) = probed.families.iter().max_by_key(|family| reached(family)) else {
            return findings;
        };
        for step in [
            DialStep::Tcp,
            DialStep::Tls,
            DialStep::Upgrade,
            DialStep::Handshake,
        ] {
            if let Err(failure) = &best.outcome
                && failure.step() == step
            {
                findings.push(failed(failure));
                return findings;
            }
            if step == DialStep::Tls && !self.secure {
                continue;
            }
            let mut others = probed.families.iter().filter(|it| it.is_v6 != best.is_v6);
            let worse = others.find_map(|other| {
                let failure = other.outcome.as_ref().err()?;
                (failure.step() == step).then_some(failure)
            });
            findings.push(self.passed(step, family(best), worse));
        }
        findings
    }

    fn resolved(&self, addresses: &[SocketAddr]) -> Finding {
        let v6 = addresses.iter().filter(|address| address.is_ipv6()).count();
        let v4 = addresses.len() - v6;
        let host = self.host;
        Good(format!("DNS: {host} has {v6} IPv6 and {v4} IPv4 addresses"))
    }

    /// Returns the finding for a step with success over one address family; `worse` is the failure
    /// over the other family.
    fn passed(&self, step: DialStep, family: &str, worse: Option<&DialFailure>) -> Finding {
        let words = match step {
            DialStep::Dns | DialStep::Tcp => format!("TCP: {} can be reached", self.host),
            DialStep::Tls => format!("TLS: the certificate of {} is valid", self.host),
            DialStep::Upgrade => "Upgrade: the server speaks WebSocket".to_owned(),
            DialStep::Handshake if self.pinned => "Noise: the server has the pinned key".to_owned(),
            DialStep::Handshake => "Noise: the server is WhatsApp's".to_owned(),
        };
        match worse {
            None => Good(words),
            // Most networks have a single family.
            Some(DialFailure::NoRoute) => Good(format!("{words} over {family}")),
            Some(failure) => Warn(format!(
                "{words} over {family}, which the gateway uses; over {} it fails: {}",
                other(family),
                words_of(failure)
            )),
        }
    }
}

/// Returns how far the connection attempt got.
fn reached(family: &FamilyProbe) -> (bool, Option<DialStep>) {
    match &family.outcome {
        Ok(_) => (true, None),
        Err(failure) => (false, Some(failure.step())),
    }
}

fn family(probed: &FamilyProbe) -> &'static str {
    if probed.is_v6 { "IPv6" } else { "IPv4" }
}

fn other(family: &str) -> &'static str {
    if family == "IPv6" { "IPv4" } else { "IPv6" }
}

fn failed(failure: &DialFailure) -> Finding {
    let step = match failure.step() {
        DialStep::Dns => "DNS",
        DialStep::Tcp => "TCP",
        DialStep::Tls => "TLS",
        DialStep::Upgrade => "Upgrade",
        DialStep::Handshake => "Noise",
    };
    Fail(format!("{step}: {}", words_of(failure)))
}

/// Returns cause and remedy, with the system's message if known.
fn words_of(failure: &DialFailure) -> String {
    let english = why_unreachable(failure, Language::English);
    match failure {
        DialFailure::Dns(words) | DialFailure::Tcp(words) | DialFailure::Tls(words) => {
            format!("{english} ({words})")
        }
        DialFailure::UpgradeStatus(status) => format!("{english} (status {status})"),
        _ => english.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(finding: &Finding) -> String {
        match finding {
            Good(text) => format!("OK {text}"),
            Warn(text) => format!("WARN {text}"),
            Fail(text) => format!("FAIL {text}"),
        }
    }

    fn report(families: [Result<(), DialFailure>; 2]) -> Vec<String> {
        let addresses: [SocketAddr; 2] =
            ["[::1]:443", "127.0.0.1:443"].map(|it| it.parse().unwrap());
        let families = families.into_iter().zip(addresses);
        let families = families.map(|(outcome, address)| FamilyProbe {
            is_v6: address.is_ipv6(),
            outcome: outcome.map(|()| address),
        });
        let probed = Probe {
            addresses: Ok(addresses.to_vec()),
            families: families.collect(),
        };
        let steps = Steps {
            host: "web.whatsapp.com",
            secure: true,
            pinned: false,
        };
        steps.findings(&probed).iter().map(shown).collect()
    }

    #[test]
    fn the_first_step_that_fails_over_both_families_is_the_last_line() {
        let lines = report([Err(DialFailure::NoRoute), Err(DialFailure::TlsUnknownCa)]);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].starts_with("OK DNS: web.whatsapp.com has 1 IPv6 and 1 IPv4"));
        assert_eq!(
            lines[1],
            "OK TCP: web.whatsapp.com can be reached over IPv4"
        );
        assert!(lines[2].starts_with("FAIL TLS: ") && lines[2].contains("whatsapp.ca_file"));
        let lines = report([
            Err(DialFailure::Silent(DialStep::Tcp)),
            Err(DialFailure::UpgradeStatus(403)),
        ]);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[1].starts_with("WARN TCP: ") && lines[1].contains("over IPv6 it fails"));
        assert!(lines[3].starts_with("FAIL Upgrade: ") && lines[3].contains("(status 403)"));
    }

    #[test]
    fn a_family_that_fails_beside_one_that_works_is_a_warning_at_its_step() {
        let silent = DialFailure::Silent(DialStep::Tls);
        let lines = report([Err(silent), Ok(())]);
        let words: Vec<_> = lines
            .iter()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(words, ["OK", "OK", "WARN", "OK", "OK"], "{lines:?}");
        assert!(lines[2].contains("MTU"), "{lines:?}");
        let lines = report([Ok(()), Ok(())]);
        assert!(lines.len() == 5 && lines.iter().all(|line| line.starts_with("OK ")));
    }
}
