//! What nobody sends by mistake: requests made to break the door, to reach what is behind it, or to write more than a message.

mod http;
mod parsers;
mod slow;
mod ssrf;
mod text;
mod unread;
