//! Message files, for a person who looks at one.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context as _;
use dirsync_agent::peers::Peer;
use dirsync_carrier::access::{Links, open_file};
use dirsync_directory::PostofficeName;
use dirsync_seal::{BODY_BYTES_MAX, Lines, MessageName, Parties, PeerKeys};

use crate::failure::Result;
use crate::folder::DATABASE;
use crate::postoffice::Postoffice;

/// A message file, as far as it can be read.
pub struct MessageShown {
    /// The sender and the addressee, with their keys.
    pub parties: Parties,
    /// The name of the message.
    pub name: MessageName,
    /// Its content, if this postoffice can open it; otherwise the reason why not.
    pub content: std::result::Result<MessageContent, String>,
}

/// The content of a message that its sender has signed for this postoffice.
pub struct MessageContent {
    /// The head.
    pub head: String,
    /// The body, decompressed.
    pub body: Box<dyn BufRead>,
}

/// Reads a message file with the keys of the postoffice in `folder`, if there is one. Without its keys
/// only the lines can be read, which say nothing that is proved.
///
/// # Errors
///
/// If the file cannot be read, or is no message.
pub fn show(folder: &Path, path: &Path) -> Result<MessageShown> {
    let file = open_file(path, Links::Follow)
        .with_context(|| format!("could not open \"{}\"", path.display()))?;
    let mut file = BufReader::new(file);
    let lines = Lines::read(&mut file)
        .with_context(|| format!("\"{}\" cannot be shown", path.display()))?;
    let (parties, name) = (lines.parties().clone(), lines.name().clone());
    let content = open(folder, lines, file)?;
    Ok(MessageShown { parties, name, content })
}

fn open(
    folder: &Path,
    lines: Lines,
    file: BufReader<File>,
) -> Result<std::result::Result<MessageContent, String>> {
    let Parties { from, to, .. } = lines.parties();
    if !folder.join(DATABASE).exists() {
        let folder = folder.display();
        return Ok(Err(format!("\"{folder}\" is no postoffice: name the folder of {to} with -C")));
    }
    let mut postoffice = Postoffice::read(folder)?;
    let own = postoffice.own_keys()?;
    if own.name() != to {
        let text = format!("{} cannot open it: only {to} can", own.name());
        return Ok(Err(text));
    }
    let Some(sender) = sender_keys(&mut postoffice, from, &own.as_peer())? else {
        return Ok(Err(format!("no key of {from} is known here")));
    };
    let opened = lines.verify(&own, &sender).and_then(|signed| signed.open_head(file, &own));
    let opened = opened.and_then(|opened| {
        let head = opened.head().to_owned();
        let body = BufReader::new(opened.open_body(BODY_BYTES_MAX)?);
        Ok(MessageContent { head, body: Box::new(body) })
    });
    Ok(opened.map_err(|error| error.to_string()))
}

fn sender_keys(
    postoffice: &mut Postoffice,
    from: &PostofficeName,
    own: &PeerKeys,
) -> Result<Option<PeerKeys>> {
    let mut tables = postoffice.begin()?;
    let peer = match tables.registration(from)? {
        Some(registration) => Peer::requestor(&mut *tables, &registration, own)?,
        None => Peer::server(&mut *tables, own)?.filter(|server| server.keys.name() == from),
    };
    Ok(peer.map(|peer| peer.keys))
}
