//! One process measured: wall time, and the peak of its resident memory.

use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// How often a running process is asked for its peak. The kernel's figure only grows, so all that
/// can be missed is growth in the last such span.
const POLL: Duration = Duration::from_millis(2);

/// What one step took.
#[derive(Clone, Debug)]
pub struct Measurement {
    pub took: Duration,
    /// `VmHWM` of the process; `None` where the system does not tell or it ended too soon.
    pub peak_bytes: Option<u64>,
    /// Bytes of message files that the step added.
    pub message_bytes: u64,
}

/// Runs `command` to its end; a `message_bytes` of 0 is for the caller to fill in.
///
/// Exit code 3 (done, and something waits for a person) is a failure here too: held changes would
/// make the figures those of another job.
pub fn run(command: &mut Command) -> Result<(Measurement, String), Failure> {
    let words = format!("{command:?}");
    let start = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::failed(format!("could not run {words}: {error}")))?;
    let (output, took, peak_bytes) = watch(child, start);
    let output = output.map_err(|error| Failure::failed(format!("lost {words}: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::failed(format!("{words} ended with {}: {said}", output.status)));
    }
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((Measurement { took, peak_bytes, message_bytes: 0 }, printed))
}

fn watch(child: Child, start: Instant) -> (std::io::Result<Output>, Duration, Option<u64>) {
    let status_file = format!("/proc/{}/status", child.id());
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let poll = scope.spawn(|| {
            let mut peak = None;
            while !has_ended.load(Ordering::Relaxed) {
                let status = std::fs::read_to_string(&status_file).unwrap_or_default();
                peak = peak.max(peak_bytes(&status));
                thread::sleep(POLL);
            }
            peak
        });
        let output = child.wait_with_output();
        let took = start.elapsed();
        has_ended.store(true, Ordering::Relaxed);
        (output, took, poll.join().unwrap_or_default())
    })
}

/// `VmHWM` of a status file, which gives it in KiB. Source: proc(5).
fn peak_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_status() {
        assert_eq!(peak_bytes("Name:\ta\nVmHWM:\t    2048 kB\nVmRSS:\t1 kB\n"), Some(2 << 20));
        assert_eq!(peak_bytes("Name:\ta\n"), None);
    }

    #[test]
    fn a_process_that_does_not_end_with_0_is_a_failure() {
        assert!(run(Command::new("sh").args(["-c", "exit 3"])).is_err());
        let (measurement, printed) =
            run(Command::new("sh").args(["-c", "sleep 0.05; echo a"])).unwrap();
        assert_eq!(printed, "a\n");
        assert!(measurement.took >= Duration::from_millis(50));
    }
}
