//! `dirsync message show`.

use std::fs::File;
use std::io::{self, Write};

use anyhow::Context as _;
use dirsync_carrier::open_message;
use serde_json::json;

use crate::cli::MessageCommand;
use crate::commands::print_json;
use crate::failure::{ExitStatus, Outcome};

/// `dirsync message show FILE`.
pub fn run(command: &MessageCommand, json: bool) -> Outcome {
    let MessageCommand::Show { file: path } = command;
    let file =
        File::open(path).with_context(|| format!("could not open \"{}\"", path.display()))?;
    let mut message =
        open_message(file).with_context(|| format!("\"{}\" cannot be shown", path.display()))?;
    let head = message.head;
    if json {
        let mut body = String::new();
        message.body.read_to_string(&mut body)?;
        print_json(&json!({
            "from": message.envelope.from.to_string(), "to": message.envelope.to.to_string(),
            "head": head, "body": body,
        }));
        return Ok(ExitStatus::Done);
    }
    let mut output = io::stdout().lock();
    let copied =
        output.write_all(head.as_bytes()).and_then(|()| io::copy(&mut message.body, &mut output));
    match copied {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitStatus::Done),
    }
}
