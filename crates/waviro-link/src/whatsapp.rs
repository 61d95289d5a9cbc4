//! The real link, over whatsapp-rust.
