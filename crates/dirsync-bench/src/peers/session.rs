//! A client program that is asked line by line, so that a look does not cost a process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::failure::Failure;

pub struct Session {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    words: String,
}

impl Session {
    pub fn start(command: &mut Command) -> Result<Self, Failure> {
        let words = format!("{command:?}");
        let failed = |error| Failure::failed(format!("could not run {words}: {error}"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(failed)?;
        let input = child.stdin.take();
        let output = child.stdout.take().map(BufReader::new);
        let output = output.ok_or_else(|| Failure::failed("a pipe is missing"))?;
        Ok(Self { child, input, output, words })
    }

    /// Sends text, for which there is no answer.
    pub fn tell(&mut self, text: &str) -> Result<(), Failure> {
        let Some(input) = &mut self.input else { return Ok(()) };
        input
            .write_all(text.as_bytes())
            .and_then(|()| input.flush())
            .map_err(|error| Failure::failed(format!("{} has ended: {error}", self.words)))
    }

    /// Sends text, and reads lines until `is_last` says so; it is given all lines so far.
    pub fn ask(
        &mut self,
        text: &str,
        is_last: impl Fn(&[String]) -> bool,
    ) -> Result<Vec<String>, Failure> {
        self.tell(text)?;
        let mut lines = Vec::new();
        while !is_last(&lines) {
            let mut line = String::new();
            match self.output.read_line(&mut line) {
                Ok(0) => return Err(Failure::failed(format!("{} has ended", self.words))),
                Ok(_) => lines.push(line.trim_end().to_owned()),
                Err(error) => return Err(Failure::failed(format!("lost {}: {error}", self.words))),
            }
        }
        Ok(lines)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The end of its input ends it; a server that hangs must not keep this one.
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_answered_one_after_another() {
        let mut session = Session::start(&mut Command::new("cat")).unwrap();
        for word in ["one", "two"] {
            let lines = session
                .ask(&format!("{word}\nend\n"), |lines| lines.last().is_some_and(|it| it == "end"))
                .unwrap();
            assert_eq!(lines, [word, "end"]);
        }
    }

    #[test]
    fn a_client_that_ended_is_a_failure() {
        let mut session = Session::start(&mut Command::new("true")).unwrap();
        assert!(session.ask("", |lines| !lines.is_empty()).is_err());
    }
}
