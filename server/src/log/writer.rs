//! Writes the log to standard error on a thread of its own, many lines at once: a write for each request would take
//! longer than the rest of most requests.
//!
//! A line is written within [`PAUSE`]. SIGKILL loses at most the lines of that time; a normal exit writes all lines.

use std::{
    io::Write,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::json;

/// The pause after each write, in which lines are collected.
const PAUSE: Duration = Duration::from_millis(50);
/// If the reader of the log does not keep up, lines above this size are dropped and counted.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// A buffer that has grown above this size is not kept.
const KEPT_BYTES: usize = 64 * 1024;

/// Collects lines. Cloning shares them.
#[derive(Clone, Default)]
pub struct LogWriter(Arc<Shared>);

/// Ends the thread when dropped, after it has written everything.
pub struct LogThread {
    writer: LogWriter,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
    dropped: u64,
    is_ending: bool,
}

impl LogWriter {
    /// Starts the thread that writes to `target`.
    pub fn start(target: impl Write + Send + 'static) -> (LogWriter, LogThread) {
        let writer = LogWriter::default();
        let shared = writer.clone();
        let thread = thread::spawn(move || shared.write_to(target));
        (writer.clone(), LogThread { writer, thread: Some(thread) })
    }

    /// Appends a line, which ends with a line feed.
    pub fn write_line(&self, line: &[u8]) {
        let mut lines = self.lines();
        if lines.buffer.len() + line.len() > MAX_BYTES {
            lines.dropped += 1;
            return;
        }
        let was_empty = lines.buffer.is_empty();
        lines.buffer.extend_from_slice(line);
        drop(lines);
        if was_empty {
            self.0.changed.notify_one();
        }
    }

    fn write_to(&self, mut target: impl Write) {
        let mut written = Vec::new();
        loop {
            let is_ending = {
                let lines = self.lines();
                let has_nothing = |lines: &mut Lines| lines.buffer.is_empty() && !lines.is_ending;
                let waited = self.0.changed.wait_while(lines, has_nothing);
                let mut lines = waited.unwrap_or_else(PoisonError::into_inner);
                std::mem::swap(&mut written, &mut lines.buffer);
                let dropped = std::mem::take(&mut lines.dropped);
                if dropped > 0 {
                    let fields = json!({ "message": "lines were dropped", "lines": dropped });
                    let line = json!({ "timestamp": Timestamp::now(), "level": "WARN", "fields": fields });
                    written.extend_from_slice(format!("{line}\n").as_bytes());
                }
                lines.is_ending
            };
            // Nobody can be told that the log cannot be written.
            let _ = target.write_all(&written).and_then(|()| target.flush());
            written.clear();
            written.shrink_to(KEPT_BYTES);
            if is_ending {
                return;
            }
            let is_going_on = |lines: &mut Lines| !lines.is_ending;
            drop(self.0.changed.wait_timeout_while(self.lines(), PAUSE, is_going_on));
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        self.writer.lines().is_ending = true;
        self.writer.0.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::mpsc};

    use super::*;

    /// Passes on what is written. The first write waits until the sender of `go` is dropped.
    struct Target {
        written: mpsc::Sender<Vec<u8>>,
        go: mpsc::Receiver<()>,
    }

    impl Write for Target {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.go.recv();
            let _ = self.written.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_order_and_in_few_writes_and_the_rest_at_the_end() {
        let (written, received) = mpsc::channel();
        let (hold, go) = mpsc::channel();
        let (writer, thread) = LogWriter::start(Target { written, go });
        for number in 0..1_000 {
            writer.write_line(format!("line {number}\n").as_bytes());
        }
        drop(hold);
        drop(thread);
        let writes: Vec<Vec<u8>> = received.iter().collect();
        assert!(writes.len() <= 3, "{} writes", writes.len());
        let text = String::from_utf8(writes.concat()).expect("text");
        let expected: Vec<String> = (0..1_000).map(|number| format!("line {number}")).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_reader_that_does_not_keep_up_loses_lines_and_is_told_how_many() {
        let (written, received) = mpsc::channel();
        let (hold, go) = mpsc::channel();
        let (writer, thread) = LogWriter::start(Target { written, go });
        writer.write_line(b"first\n");
        let line = [vec![b'x'; 1024 * 1024 - 1], vec![b'\n']].concat();
        for _ in 0..10 {
            writer.write_line(&line);
        }
        assert!(writer.lines().buffer.len() <= MAX_BYTES);
        drop(hold);
        drop(thread);
        let text = String::from_utf8(received.iter().collect::<Vec<_>>().concat()).expect("text");
        let kept = text.lines().filter(|line| line.starts_with('x')).count();
        assert!((3..10).contains(&kept), "{kept}");
        assert!(text.contains(&format!("\"lines\":{}", 10 - kept)), "{}", text.lines().last().unwrap_or_default());
    }
}
