//! If the log cannot be written, only log lines are lost.

use std::fs::File;
use std::io::{PipeReader, Write};
use std::net::SocketAddr;
use std::process::Stdio;

use super::process::{Folder, PINNED, free_address};
use super::serve::get;
use crate::wire::{post, raw};

/// The capacity of a pipe without a reading process.
const PIPE: usize = 64 * 1024;

/// Returns the value of a counter.
fn counted(page: &str, name: &str) -> u64 {
    let line = page.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {page}"))
}

/// Sends both streams to a device that is always full.
fn full() -> (Stdio, Stdio) {
    let device = || File::options().write(true).open("/dev/full").unwrap();
    (device().into(), device().into())
}

/// Sends both streams to a pipe with a closed reader.
fn closed() -> (Stdio, Stdio) {
    let (_, writer) = std::io::pipe().unwrap();
    (writer.try_clone().unwrap().into(), writer.into())
}

/// Sends both streams to a full pipe with an open reader that never reads.
fn full_pipe() -> (PipeReader, (Stdio, Stdio)) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&vec![b'x'; PIPE]).unwrap();
    (reader, (writer.try_clone().unwrap().into(), writer.into()))
}

async fn refused(address: SocketAddr) {
    let answer = raw(address, post("/api/sendwa", "no key", "{}")).await;
    assert!(answer.contains("invalid_secret_key"), "{answer}");
}

#[tokio::test]
async fn a_gateway_whose_log_cannot_be_written_serves_stops_and_counts_the_lost_lines() {
    for streams in [full(), closed()] {
        let (folder, address, metrics) = (Folder::new(), free_address(), free_address());
        folder.configure(&format!("server.metrics_listen = \"{metrics}\"\n{PINNED}"));
        let mut gateway = folder.serve_into(address, streams);
        gateway.ready(address).await;
        for _ in 0..5 {
            refused(address).await;
        }
        gateway
            .until("the lost lines to be counted", async || {
                let page = get(metrics, "/metrics").await;
                let lost = counted(&page, "waviro_log_lines_lost_total");
                (lost >= 5).then_some(()).ok_or(lost.to_string())
            })
            .await;
        let page = get(metrics, "/metrics").await;
        assert_eq!(counted(&page, "waviro_panics_total"), 0);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_gateway_with_an_unread_log_serves_and_stops() {
    let folder = Folder::new();
    let address = free_address();
    let (_unread, streams) = full_pipe();
    let mut gateway = folder.serve_into(address, streams);
    gateway.ready(address).await;
    for _ in 0..5 {
        refused(address).await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_that_cannot_start_ends_even_if_stderr_is_not_read() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (_unread, stuck) = full_pipe();
    for streams in [full(), closed(), stuck] {
        let mut gateway = folder.serve_into(taken.local_addr().unwrap(), streams);
        assert_eq!(gateway.ended().await.code(), Some(1));
    }
}
