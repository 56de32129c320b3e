//! Mail by the program `sendmail`, which every mail system for Unix brings.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use dirsync_carrier::{CarrierError, CarrierErrorKind};
use dirsync_directory::shown;

use super::MailOut;
use crate::address::MailAddress;
use crate::bounce::says_too_large;

/// The most bytes of the words of the program that are kept.
const WORDS_BYTES_MAX: u64 = 2000;
const CHARS_SHOWN_MAX: usize = 300;
const POLL: Duration = Duration::from_millis(20);
/// Exit codes of `sysexits.h`.
const EX_USAGE: i32 = 64;
const EX_NOUSER: i32 = 67;
const EX_NOHOST: i32 = 68;
const EX_NOPERM: i32 = 77;
const EX_CONFIG: i32 = 78;

/// The program `sendmail`.
#[derive(Clone, Debug)]
pub struct Sendmail {
    program: PathBuf,
    patience: Duration,
}

impl Sendmail {
    /// The program at this path. It is killed if it takes longer than `patience` for a mail.
    pub fn new(program: &Path, patience: Duration) -> Self {
        Self { program: program.to_owned(), patience }
    }

    fn failed(&self, kind: CarrierErrorKind, said: &str) -> CarrierError {
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let said: String = said.chars().take(CHARS_SHOWN_MAX).collect();
        CarrierError { kind, place: self.place(), said: shown(&said).into_owned() }
    }

    fn run(&self, from: &MailAddress, to: &MailAddress, mail: Vec<u8>) -> Result<(), CarrierError> {
        let settings =
            |error: std::io::Error| self.failed(CarrierErrorKind::Settings, &error.to_string());
        // -i: a line with a dot alone is not the end.
        let mut command = Command::new(&self.program);
        command.args(["-i", "-f", from.as_str(), "--", to.as_str()]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(settings)?;
        let (input, words) = (child.stdin.take(), child.stderr.take());
        // A program that ends before it has read everything says why.
        thread::spawn(move || input.map(|mut input| input.write_all(&mail)));
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut text = Vec::new();
            let read = words.map(|words| words.take(WORDS_BYTES_MAX).read_to_end(&mut text));
            let _ = sender.send((read, text));
        });
        let status = self.wait(&mut child)?;
        // A program that it left behind may hold the other end.
        let said = receiver.recv_timeout(Duration::from_secs(1));
        let said = said.map(|(_, text)| String::from_utf8_lossy(&text).into_owned());
        self.outcome(status, &said.unwrap_or_default())
    }

    fn wait(&self, child: &mut Child) -> Result<ExitStatus, CarrierError> {
        let begun = Instant::now();
        let unreachable = |said: &str| self.failed(CarrierErrorKind::Unreachable, said);
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if begun.elapsed() < self.patience => thread::sleep(POLL),
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    let seconds = self.patience.as_secs();
                    return Err(unreachable(&format!("it did not end within {seconds} s")));
                }
                Err(error) => return Err(unreachable(&error.to_string())),
            }
        }
    }

    fn outcome(&self, status: ExitStatus, said: &str) -> Result<(), CarrierError> {
        if status.success() {
            return Ok(());
        }
        let kind = match status.code() {
            _ if says_too_large("", said) => CarrierErrorKind::TooLarge,
            Some(EX_NOUSER | EX_NOHOST) => CarrierErrorKind::Refused,
            Some(EX_USAGE | EX_NOPERM | EX_CONFIG) => CarrierErrorKind::Settings,
            _ => CarrierErrorKind::Unreachable,
        };
        let said = if said.trim().is_empty() { "it said nothing" } else { said };
        Err(self.failed(kind, &format!("{status}: {said}")))
    }
}

impl MailOut for Sendmail {
    fn place(&self) -> String {
        format!("the program \"{}\"", self.program.display())
    }

    fn send(&self, from: &MailAddress, to: &MailAddress, mail: &[u8]) -> Result<(), CarrierError> {
        // Programs of Unix take lines that end with LF, and make them what they need.
        let unix = mail.iter().copied().filter(|byte| *byte != b'\r').collect();
        self.run(from, to, unix)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn send(script: &str, patience: Duration) -> Result<String, CarrierError> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("sendmail");
        let out = folder.path().join("out");
        let text = format!("#!/bin/sh\nOUT={}\n{script}\n", out.display());
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let (from, to) = ("a@south.example".parse().unwrap(), "b@north.example".parse().unwrap());
        let mail = [b"Subject: x\r\n\r\n.\r\n".to_vec(), vec![b'x'; 1 << 20]].concat();
        Sendmail::new(&program, patience).send(&from, &to, &mail)?;
        Ok(fs::read_to_string(out).unwrap())
    }

    #[test]
    fn the_program_gets_the_addresses_and_the_mail() {
        let out = send(
            "echo \"$@\" > $OUT; head -c 15 >> $OUT; cat > /dev/null",
            Duration::from_secs(20),
        );
        assert_eq!(out.unwrap(), "-i -f a@south.example -- b@north.example\nSubject: x\n\n.\nx");
    }

    #[test]
    fn a_failure_has_the_words_of_the_program() {
        let long = Duration::from_secs(20);
        for (script, kind, said) in [
            ("echo no such user >&2; exit 67", CarrierErrorKind::Refused, "no such user"),
            ("echo message file too big >&2; exit 69", CarrierErrorKind::TooLarge, "too big"),
            ("echo bad option >&2; exit 64", CarrierErrorKind::Settings, "bad option"),
            ("exit 75", CarrierErrorKind::Unreachable, "it said nothing"),
            ("yes trouble | head -c 100000 >&2; exit 75", CarrierErrorKind::Unreachable, "trouble"),
            ("kill -9 $$", CarrierErrorKind::Unreachable, "signal: 9"),
        ] {
            let error = send(script, long).unwrap_err();
            assert!(error.kind == kind && error.said.contains(said), "{script}: {error:?}");
        }
        let error = send("exec sleep 60", Duration::from_millis(200)).unwrap_err();
        assert_eq!(error.kind, CarrierErrorKind::Unreachable, "{error}");
        let missing = Sendmail::new(Path::new("/nonexistent/sendmail"), long);
        let address: MailAddress = "a@b.example".parse().unwrap();
        let error = missing.send(&address, &address, b"").unwrap_err();
        assert_eq!(error.kind, CarrierErrorKind::Settings, "{error}");
    }
}
