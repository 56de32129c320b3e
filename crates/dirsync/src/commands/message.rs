//! `dirsync message show`.

use std::io::{self, BufRead, Read as _, Write};

use anyhow::Context as _;
use dirsync_carrier::access::{Links, open_file};
use dirsync_carrier::open_message;
use dirsync_message::LINE_BYTES_MAX;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::MessageCommand;
use crate::document;
use crate::failure::{ExitStatus, Result};
use crate::output::visible;

/// Most bytes of a line that are read at a time: none is longer.
const PIECE_BYTES_MAX: u64 = LINE_BYTES_MAX as u64 + 1;

/// A message file, as it is written (`docs/message-format.md`).
#[derive(Serialize, JsonSchema)]
pub struct Message {
    /// The postoffice that sent it.
    from: String,
    /// The postoffice that it is for.
    to: String,
    /// Its head.
    head: String,
    /// Its body, decompressed.
    body: String,
}

/// Copies lines without hidden characters; bytes that are not UTF-8 are replaced.
fn copy_visible(body: &mut impl BufRead, output: &mut impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if body.take(PIECE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        output.write_all(visible(&String::from_utf8_lossy(&line)).as_bytes())?;
    }
}

/// `dirsync message show FILE`.
pub fn run(command: &MessageCommand, json: bool) -> Result<ExitStatus> {
    let MessageCommand::Show { file: path } = command;
    let file = open_file(path, Links::Follow)
        .with_context(|| format!("could not open \"{}\"", path.display()))?;
    let mut message =
        open_message(file).with_context(|| format!("\"{}\" cannot be shown", path.display()))?;
    let head = message.head;
    if json {
        let mut body = String::new();
        message.body.read_to_string(&mut body)?;
        let (from, to) = (message.envelope.from.to_string(), message.envelope.to.to_string());
        document::print(&Message { from, to, head, body });
        return Ok(ExitStatus::Done);
    }
    let mut output = io::stdout().lock();
    let copied = output
        .write_all(visible(&head).as_bytes())
        .and_then(|()| copy_visible(&mut message.body, &mut output));
    match copied {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitStatus::Done),
    }
}
