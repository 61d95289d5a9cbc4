//! Malicious requests: attempts to break the HTTP server, to reach internal hosts, or to write more
//! than a message.

mod http;
mod parsers;
mod slow;
mod ssrf;
mod text;
mod unread;
