//! Filters log lines of the client library about messages that cannot be decrypted.
//!
//! For each such message the library logs up to four WARN and ERROR lines, but WhatsApp's protocol
//! repairs every case: a message decrypted before a kill is redelivered and acknowledged; for any
//! other message the library requests a resend. ERROR and WARN are reserved for problems that need
//! a person, so these lines are dropped. For each message the link logs a debug line with the id,
//! and counts the message.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// The log target of the library.
pub(super) const TARGET: &str = "wacore_libsignal";

/// Parts of the lines about a single message (`session_cipher.rs` of the pinned version).
const ABOUT_ONE_MESSAGE: [&str; 5] = [
    " message with ratchet key: ",
    "No valid session for recipient: ",
    "failed to decrypt; sender ratchet public key ",
    "MAC verification failed for message from ",
    "failed to decrypt 1:1 message: ",
];

/// The layer that drops these lines.
pub(super) struct Expected;

impl<S: Subscriber> Layer<S> for Expected {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if *event.metadata().level() > Level::WARN {
            return true;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let target = line.target.as_deref();
        let target = target.unwrap_or(event.metadata().target());
        !target.starts_with(TARGET)
            || !ABOUT_ONE_MESSAGE
                .iter()
                .any(|part| line.text.contains(part))
    }
}

#[derive(Default)]
struct Line {
    /// Lines from the `log` crate carry the target as a field.
    target: Option<String>,
    text: String,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            self.target = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a String cannot fail.
            let _ = write!(self.text, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{error, warn};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const CIPHER: &str = "wacore_libsignal::protocol::session_cipher";

    /// Collects the text of log lines.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Seen {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut line = Line::default();
            event.record(&mut line);
            self.0.lock().unwrap().push(line.text);
        }
    }

    #[test]
    fn expected_decryption_failures_are_not_logged_and_other_faults_are() {
        let seen = Seen::default();
        let subscriber = tracing_subscriber::registry()
            .with(Expected)
            .with(seen.clone());
        tracing::subscriber::with_default(subscriber, || {
            warn!(
                log.target = CIPHER,
                "Failed to decrypt Whisper message with ratchet key: 05ab and counter: 2. message with old counter 3 / 2"
            );
            error!(
                log.target = CIPHER,
                "No valid session for recipient: 628.1, current session base key"
            );
            error!(
                target: CIPHER,
                "Message from 628.1 failed to decrypt; sender ratchet public key 05ab message counter 2\nCandidate session 0 failed"
            );
            error!(
                log.target = CIPHER,
                "MAC verification failed for message from 628.1. Remote Identity: 05"
            );
            error!(log.target = CIPHER, "session state corrupt for 628.1");
            error!(
                log.target = "wacore::client",
                "No valid session for recipient: 628.1"
            );
        });
        assert_eq!(
            *seen.0.lock().unwrap(),
            [
                "session state corrupt for 628.1",
                "No valid session for recipient: 628.1"
            ]
        );
    }
}
