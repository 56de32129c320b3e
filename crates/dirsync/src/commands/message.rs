//! `dirsync message show`.

use std::io::{self, BufRead, Read as _, Write};
use std::path::Path;

use dirsync_message::LINE_BYTES_MAX;
use dirsync_postoffice::message::{MessageContent, MessageShown, show};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::MessageCommand;
use crate::document;
use crate::failure::{ExitStatus, Result};
use crate::output::visible;

/// Most bytes of a line that are read at a time: none is longer.
const PIECE_BYTES_MAX: u64 = LINE_BYTES_MAX as u64 + 1;

/// A message file (`docs/message-format.md`).
#[derive(Serialize, JsonSchema)]
pub struct Message {
    /// The postoffice that sent it.
    from: String,
    /// The postoffice that it is for.
    to: String,
    /// The fingerprint of the key that signed it.
    from_key: String,
    /// The fingerprint of the key that opens it.
    to_key: String,
    /// The epoch of the sender's numbering.
    epoch: String,
    /// Its number.
    number: u64,
    /// The number of its part, from 1.
    part: u32,
    /// Its head; `null` if it cannot be opened.
    head: Option<String>,
    /// Its body, decompressed; `null` if it cannot be opened.
    body: Option<String>,
    /// Why it cannot be opened. All other fields are then those of lines that nothing proves.
    sealed: Option<String>,
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
pub fn run(folder: &Path, command: &MessageCommand, json: bool) -> Result<ExitStatus> {
    let MessageCommand::Show { file } = command;
    let shown = show(folder, file)?;
    if json {
        document::print(&document_of(shown)?);
        return Ok(ExitStatus::Done);
    }
    match print(shown) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitStatus::Done),
    }
}

fn document_of(shown: MessageShown) -> io::Result<Message> {
    let MessageShown { parties, name, content } = shown;
    let (head, body, sealed) = match content {
        Ok(MessageContent { head, mut body }) => {
            let mut text = String::new();
            body.read_to_string(&mut text)?;
            (Some(head), Some(text), None)
        }
        Err(why) => (None, None, Some(why)),
    };
    Ok(Message {
        from: parties.from.to_string(),
        to: parties.to.to_string(),
        from_key: parties.from_key.to_string(),
        to_key: parties.to_key.to_string(),
        epoch: name.epoch().to_owned(),
        number: name.number(),
        part: name.part(),
        head,
        body,
        sealed,
    })
}

fn print(shown: MessageShown) -> io::Result<()> {
    let mut output = io::stdout().lock();
    let MessageShown { parties, name, content } = shown;
    match content {
        Ok(MessageContent { head, mut body }) => {
            output.write_all(visible(&head).as_bytes())?;
            copy_visible(&mut body, &mut output)
        }
        Err(why) => {
            let why = visible(&why);
            writeln!(output, "from {}, signed by the key {}", parties.from, parties.from_key)?;
            writeln!(output, "to {}, sealed to the key {}", parties.to, parties.to_key)?;
            writeln!(
                output,
                "epoch {}, number {}, part {}",
                name.epoch(),
                name.number(),
                name.part()
            )?;
            writeln!(output, "its content is sealed, and nothing of this is proved: {why}")
        }
    }
}
