//! Lines of the client library about messages that cannot be decrypted.
//!
//! The library logs up to four WARN and ERROR lines for such a message, and WhatsApp's protocol repairs each case without anybody: a
//! message that was decrypted before comes again after a kill and is acknowledged, any other is asked for again. ERROR and WARN
//! are for what a person must look at. These lines are therefore left out. The link logs one line at debug level for each such
//! message, with its id, and counts it.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// The library's target.
pub(super) const TARGET: &str = "wacore_libsignal";

/// Parts of the lines about one message (`session_cipher.rs` of the pinned version).
const ABOUT_ONE_MESSAGE: [&str; 5] = [
    " message with ratchet key: ",
    "No valid session for recipient: ",
    "failed to decrypt; sender ratchet public key ",
    "MAC verification failed for message from ",
    "failed to decrypt 1:1 message: ",
];

/// Leaves those lines out.
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
    /// Lines that come by the `log` crate carry their target as a field.
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

    /// Takes the text of what is logged.
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
    fn a_message_that_cannot_be_decrypted_costs_no_line_of_the_library_and_other_faults_do() {
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
