//! A program that goes on until it is stopped, and is stopped whatever happens.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::interrupt;
use super::process::peak_of;
use crate::failure::Failure;

/// How long a program may take to end in good order.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(1);

/// A line that a service wrote to standard error, and when it came.
pub struct Line {
    /// Which service, as its starter numbered it.
    pub from: usize,
    pub at: Instant,
    pub text: String,
}

/// A running program. Dropping it ends the program.
pub struct Service {
    child: Child,
    stop: Signal,
}

impl Service {
    /// Starts `command`. Its standard error goes to `lines`, numbered `from`.
    ///
    /// It is in a process group of its own: Ctrl-C ends what measures, and that ends this.
    pub fn start(
        command: &mut Command,
        stop: Signal,
        from: usize,
        lines: Sender<Line>,
    ) -> Result<Self, Failure> {
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::failed(format!("could not start {command:?}: {error}")))?;
        let errors = child.stderr.take();
        thread::spawn(move || {
            for text in errors.into_iter().flat_map(|errors| BufReader::new(errors).lines()) {
                let Ok(text) = text else { return };
                // Read on when nobody listens any more, so that the program is never blocked.
                let _ = lines.send(Line { from, at: Instant::now(), text });
            }
        });
        Ok(Self { child, stop })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The peak of its resident memory so far.
    pub fn peak_bytes(&self) -> Option<u64> {
        peak_of(self.id())
    }

    /// Whether it ended by itself, which it never should.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            // It may have ended already; then there is nothing to say.
            let _ = kill(Pid::from_raw(id), self.stop);
        }
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if self.has_ended() {
                return;
            }
            thread::sleep(PAUSE);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until `question` has an answer; a failure after `patience`, or once a signal came.
pub fn until<T>(
    what: &str,
    patience: Duration,
    pause: Duration,
    mut question: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let end = Instant::now() + patience;
    loop {
        interrupt::check()?;
        if let Some(answer) = question()? {
            return Ok(answer);
        }
        if Instant::now() > end {
            let seconds = patience.as_secs();
            return Err(Failure::failed(format!("waited {seconds} s in vain for {what}")));
        }
        thread::sleep(pause);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_service_ends_with_its_guard() {
        let (sender, lines) = channel();
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "trap 'echo over >&2; exit 0' TERM; echo here >&2; while :; do sleep 0.01; done",
        ]);
        let service = Service::start(&mut command, Signal::SIGTERM, 7, sender).unwrap();
        let first = lines.recv().unwrap();
        assert_eq!((first.from, first.text.as_str()), (7, "here"));
        let id = service.id();
        drop(service);
        assert_eq!(lines.recv().unwrap().text, "over", "it could end in good order");
        assert!(peak_of(id).is_none(), "no process is left");
    }

    #[test]
    fn waiting_ends() {
        let mut asked = 0;
        let answer = until("three", Duration::from_secs(60), Duration::ZERO, || {
            asked += 1;
            Ok((asked == 3).then_some(asked))
        });
        assert_eq!(answer.unwrap(), 3);
        let never: Result<(), _> =
            until("it", Duration::ZERO, Duration::from_millis(1), || Ok(None));
        assert!(never.unwrap_err().to_string().contains("in vain for it"));
    }
}
