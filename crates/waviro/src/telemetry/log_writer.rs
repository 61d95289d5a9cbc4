//! Writes log lines from a separate thread.
//!
//! A failing log must cost only log lines. The file system may be full, the reader of a pipe may be
//! gone, or the reader may never read. Therefore a task that logs never touches the file
//! descriptor, but puts the line into a bounded queue. A line that does not fit, or that the thread
//! cannot write, is counted and dropped. The thread logs a single notice when writing works again.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

/// The size of the queue in bytes. A burst of several thousand lines fits.
const QUEUE: usize = 4 * 1024 * 1024;

/// The bytes that a line uses in the queue in addition to its text.
const OVERHEAD: usize = 64;

/// Formats the notice about lost lines.
pub(super) type Notice = fn(lost: u64) -> Vec<u8>;

enum Order {
    Line(Vec<u8>),
    /// Answered when all earlier lines are written or lost.
    Flush(SyncSender<()>),
}

/// The queue of a log thread. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct LogWriter {
    orders: Sender<Order>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Bytes in the queue.
    queued: AtomicUsize,
    /// Lost lines since the start.
    lost: AtomicU64,
    /// Lost lines not yet reported in a notice.
    unreported: AtomicU64,
}

impl LogWriter {
    /// Starts the thread that writes to `out`.
    pub(super) fn start(out: impl Write + Send + 'static, notice: Notice) -> io::Result<Self> {
        let (orders, inbox) = channel();
        let counts = Arc::new(Counts::default());
        let thread = Thread {
            out,
            notice,
            counts: Arc::clone(&counts),
            torn: false,
        };
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || thread.run(&inbox))?;
        Ok(Self { orders, counts })
    }

    /// Enqueues a line, or counts the line as lost. Never waits.
    pub(super) fn write(&self, line: Vec<u8>) {
        let size = line.len() + OVERHEAD;
        let fits = self
            .counts
            .queued
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |queued| {
                (queued == 0 || queued + size <= QUEUE).then_some(queued + size)
            });
        if fits.is_err() || self.orders.send(Order::Line(line)).is_err() {
            self.counts.lose();
        }
    }

    /// Returns the number of lost lines since the start.
    pub(super) fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::SeqCst)
    }

    /// Waits until all queued lines are written or lost, at most `within`.
    pub(super) fn flush(&self, within: Duration) {
        let (done, finished) = sync_channel(1);
        if self.orders.send(Order::Flush(done)).is_ok() {
            // A reader that never reads must not block the process.
            let _ = finished.recv_timeout(within);
        }
    }
}

impl Counts {
    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::SeqCst);
        self.unreported.fetch_add(1, Ordering::SeqCst);
    }
}

struct Thread<W> {
    out: W,
    notice: Notice,
    counts: Arc<Counts>,
    /// The last failed line was written partly.
    torn: bool,
}

impl<W: Write> Thread<W> {
    fn run(mut self, inbox: &Receiver<Order>) {
        while let Ok(order) = inbox.recv() {
            match order {
                Order::Line(line) => self.line(&line),
                Order::Flush(done) => {
                    // The waiting caller may have timed out.
                    let _ = done.try_send(());
                }
            }
        }
    }

    fn line(&mut self, line: &[u8]) {
        let written = self.write(line);
        let size = line.len() + OVERHEAD;
        let before = self.counts.queued.fetch_sub(size, Ordering::SeqCst);
        if written.is_err() {
            self.counts.lose();
        } else if before == size {
            // No notice while lines wait: more lines may be lost, and a single notice should cover
            // the whole outage.
            self.report();
        }
    }

    /// Writes the notice if lines were lost since the last notice.
    fn report(&mut self) {
        let lost = self.counts.unreported.swap(0, Ordering::SeqCst);
        if lost == 0 {
            return;
        }
        let notice = (self.notice)(lost);
        if self.write(&notice).is_err() {
            self.counts.unreported.fetch_add(lost, Ordering::SeqCst);
        }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.out.write_all(b"\n")?;
            self.torn = false;
        }
        let mut rest = line;
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::sync::{Mutex, PoisonError};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A file with a capacity set by the test, and its content.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Disk {
        fn room(&self, bytes: usize) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = bytes;
        }

        fn text(&self) -> String {
            let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            String::from_utf8(held.1.clone()).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = bytes.len().min(held.0);
            if fits == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            held.0 -= fits;
            held.1.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn notice(lost: u64) -> Vec<u8> {
        format!("{lost} lost\n").into_bytes()
    }

    fn write(log: &LogWriter, lines: &[&str]) {
        for line in lines {
            log.write(format!("{line}\n").into_bytes());
            log.flush(LONG);
        }
    }

    #[test]
    fn lines_that_a_full_disk_refuses_are_counted_and_one_notice_follows_when_it_has_room() {
        let disk = Disk::default();
        let log = LogWriter::start(disk.clone(), notice).unwrap();
        disk.room(7);
        write(&log, &["one", "two", "three", "four"]);
        assert_eq!(disk.text(), "one\ntwo");
        assert_eq!(log.lost(), 3);
        disk.room(1000);
        write(&log, &["five", "six"]);
        assert_eq!(disk.text(), "one\ntwo\nfive\n3 lost\nsix\n");
        disk.room(0);
        write(&log, &["seven"]);
        disk.room(1000);
        write(&log, &["eight"]);
        assert_eq!(log.lost(), 4);
        assert!(disk.text().ends_with("six\neight\n1 lost\n"));
    }

    #[test]
    fn a_notice_that_cannot_be_written_is_given_later_with_the_whole_count() {
        let disk = Disk::default();
        let log = LogWriter::start(disk.clone(), notice).unwrap();
        write(&log, &["one"]);
        disk.room(4);
        write(&log, &["two"]);
        write(&log, &["three"]);
        disk.room(1000);
        write(&log, &["four"]);
        assert_eq!(disk.text(), "two\nfour\n2 lost\n");
        assert_eq!(log.lost(), 2);
    }

    /// A pipe whose reader is alive but does not read.
    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_blocked_reader_loses_lines_but_costs_no_memory_or_time() {
        let (read, stuck) = mpsc::channel();
        let log = LogWriter::start(Stuck(stuck), notice).unwrap();
        let line = vec![b'a'; 1024];
        for _ in 0..3 * QUEUE / line.len() {
            log.write(line.clone());
        }
        assert!(log.counts.queued.load(Ordering::SeqCst) <= QUEUE);
        assert!(log.lost() > (QUEUE / line.len()) as u64, "{}", log.lost());
        log.flush(Duration::from_millis(1));
        drop(read);
        log.flush(LONG);
        assert_eq!(log.counts.queued.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_line_larger_than_the_queue_is_written_when_nothing_else_waits() {
        let disk = Disk::default();
        disk.room(usize::MAX);
        let log = LogWriter::start(disk.clone(), notice).unwrap();
        log.write(vec![b'a'; QUEUE]);
        log.flush(LONG);
        assert_eq!((disk.text().len(), log.lost()), (QUEUE, 0));
    }
}
