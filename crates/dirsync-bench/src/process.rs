//! One process measured: wall time, processor time, peak of its resident memory, bytes written.

use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::interrupt;
use crate::failure::Failure;

/// How often a running process is asked for its peak. The kernel's figure only grows, so all that
/// can be missed is growth in the last such span.
const POLL: Duration = Duration::from_millis(2);
/// The unit of `ru_oublock`. Source: getrusage(2), and `account` of Linux' task_io_accounting.
const BLOCK_BYTES: u64 = 512;

/// What one step took.
#[derive(Clone, Debug, Default)]
pub struct Measurement {
    pub took: Duration,
    /// User and system time. On a busy machine it is the figure to compare.
    pub processor: Option<Duration>,
    /// `VmHWM` of the process; `None` where the system does not tell or it ended too soon.
    pub peak_bytes: Option<u64>,
    /// Bytes of the pages that it made dirty in files; nothing on a file system in memory.
    pub written_bytes: Option<u64>,
    /// Bytes of message files that the step added.
    pub message_bytes: u64,
}

/// Runs `command` to its end; a `message_bytes` of 0 is for the caller to fill in.
///
/// Exit code 3 (done, and something waits for a person) is a failure here too: held changes would
/// make the figures those of another job.
pub fn run(command: &mut Command) -> Result<(Measurement, String), Failure> {
    let words = format!("{command:?}");
    let before = children();
    let start = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::failed(format!("could not run {words}: {error}")))?;
    let (output, took, peak_bytes) = watch(child, start);
    let after = children();
    interrupt::check()?;
    let output = output.map_err(|error| Failure::failed(format!("lost {words}: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::failed(format!("{words} ended with {}: {said}", output.status)));
    }
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let used =
        |of: fn(&Usage) -> u64| Some(of(after.as_ref()?).saturating_sub(of(before.as_ref()?)));
    let measurement = Measurement {
        took,
        processor: used(processor_microseconds).map(Duration::from_micros),
        peak_bytes,
        written_bytes: used(written_bytes),
        message_bytes: 0,
    };
    Ok((measurement, printed))
}

/// What the processes used that this one started and has waited for. Steps run one at a time, so
/// that the difference is that of one.
fn children() -> Option<Usage> {
    getrusage(UsageWho::RUSAGE_CHILDREN).ok()
}

fn processor_microseconds(usage: &Usage) -> u64 {
    let both = usage.user_time() + usage.system_time();
    u64::try_from(both.num_microseconds()).unwrap_or_default()
}

fn written_bytes(usage: &Usage) -> u64 {
    u64::try_from(usage.block_writes()).unwrap_or_default() * BLOCK_BYTES
}

fn watch(child: Child, start: Instant) -> (std::io::Result<Output>, Duration, Option<u64>) {
    let id = child.id();
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let poll = scope.spawn(|| {
            let mut peak = None;
            while !has_ended.load(Ordering::Relaxed) {
                peak = peak.max(peak_of(id));
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

/// The peak of the resident memory of a process that runs.
pub fn peak_of(id: u32) -> Option<u64> {
    peak_bytes(&std::fs::read_to_string(format!("/proc/{id}/status")).ok()?)
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

    #[test]
    fn processor_time_and_written_bytes_are_those_of_the_process() {
        // Beside the test program, for a folder for temporary files may be in memory.
        let folder =
            tempfile::tempdir_in(std::env::current_exe().unwrap().parent().unwrap()).unwrap();
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; head -c 300000 /dev/zero >a";
        let (measurement, _) =
            run(Command::new("sh").args(["-c", busy]).current_dir(folder.path())).unwrap();
        let processor = measurement.processor.unwrap();
        assert!(processor >= Duration::from_millis(5), "{processor:?}");
        assert!(measurement.written_bytes.unwrap() >= 300_000);
    }
}
