//! How a postoffice begins.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use dirsync_agent::founding::{found_requestor, found_server};
use dirsync_carrier::access::{Links, open_file};
use dirsync_carrier::durable;
use dirsync_directory::PostofficeName;
use dirsync_protocol::context::Draws;
use dirsync_protocol::invitation::proof;
use dirsync_seal::PublicKey;

use crate::failure::{Failure, FailureKind, Result};
use crate::folder::{make_folder, require_none};
use crate::invitation::Invitation;
use crate::keys::{evidence_key, make_instance, random_seed};
use crate::postoffice::{CARRIER_NOTE, LOCAL};
use crate::time::{now_ms, rfc3339};

/// The beginning of a carrier that is a shared folder.
const FOLDER: &str = "folder:";
/// Longest file that is read as an invitation, in bytes.
const INVITATION_BYTES_MAX: u64 = 64 * 1024;

/// Makes a directory server's folder.
pub fn make_server(folder: &Path, name: &PostofficeName) -> Result<()> {
    make_folder(folder, name, |tables, key| {
        let instance = make_instance(folder)?;
        evidence_key(folder)?;
        let mut draws = Draws::new(&random_seed()?);
        Ok(found_server(tables, &mut draws, name, instance, key, LOCAL)?)
    })
}

/// A requestor that was made from its invitation.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The invitation.
    pub invitation: Invitation,
    /// Why it could not be marked as used.
    pub unmarked: Option<String>,
}

/// Makes a requestor's folder from its invitation's file, which is then marked as used. `shared` is the
/// shared folder if it has another name here than the invitation says.
///
/// # Errors
///
/// An invitation that cannot be read or used, and a shared folder that is not there. Nothing is made then.
pub fn join(folder: &Path, file: &Path, shared: Option<&Path>) -> Result<Joined> {
    let mut text = String::new();
    open_file(file, Links::Follow)
        .and_then(|file| file.take(INVITATION_BYTES_MAX).read_to_string(&mut text))
        .with_context(|| format!("could not read the invitation \"{}\"", file.display()))?;
    let mut invitation = Invitation::parse(&text)
        .map_err(|error| Failure::usage(format!("\"{}\": {error}", file.display())))?;
    // A folder that is there has used it, most likely: that is said first.
    require_none(folder)?;
    check_invitation(&invitation, &text)
        .map_err(|failure| failure.within(format!("\"{}\"", file.display())))?;
    if let Some(shared) = shared {
        invitation.carrier = format!("{FOLDER}{}", shared.display());
    }
    invitation.carrier = reached(&invitation.carrier)?;
    make_requestor(folder, &invitation)?;
    let unmarked = mark_used(file, folder).err().map(|failure| failure.text());
    Ok(Joined { invitation, unmarked })
}

/// The carrier with the absolute form of its shared folder, which has to be there.
fn reached(carrier: &str) -> Result<String> {
    let shared = Path::new(carrier.strip_prefix(FOLDER).unwrap_or(carrier));
    match fs::canonicalize(shared) {
        Ok(absolute) if absolute.is_dir() => Ok(format!("{FOLDER}{}", absolute.display())),
        found => {
            let why = found.err().map_or("it is not a folder".to_owned(), |why| why.to_string());
            let text =
                format!("the shared folder \"{}\" cannot be reached: {why}", shared.display());
            let hint = "mount it, or name the folder in which it is mounted here: --folder DIR";
            Err(Failure::usage(text).with_kind(FailureKind::Unreachable).hint(hint))
        }
    }
}

/// Refuses an invitation that the server cannot accept any more.
fn check_invitation(invitation: &Invitation, text: &str) -> Result<()> {
    let Invitation { server, postoffice, secret, expires, carrier, .. } = invitation;
    let another = format!(
        "ask the server for another one: `requestor add {postoffice} --folder DIR --again` there"
    );
    if *expires < now_ms() {
        let text = format!("this invitation expired on {}", rfc3339(*expires));
        return Err(Failure::usage(text).hint(another));
    }
    if let Some(used) = used(text) {
        return Err(Failure::usage(format!("this invitation was used {used}")).hint(format!(
            "it admits one machine; {another}; if that folder never sent anything and is gone, remove \
             the line \"used\""
        )));
    }
    if carrier.strip_prefix(FOLDER).is_none_or(str::is_empty) {
        return Err(Failure::usage(format!("its carrier \"{carrier}\" is not known")).hint(another));
    }
    if secret.is_empty() {
        return Err(Failure::usage("this invitation has no secret").hint(another));
    }
    if server == postoffice {
        return Err(Failure::usage("this invitation invites the server itself").hint(another));
    }
    Ok(())
}

/// When and where an invitation was used.
fn used(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("used = "))?;
    Some(line.trim_matches('"').to_owned())
}

/// Notes in an invitation's file that it was used, so that nobody tries it a second time. If the file
/// cannot be written, the server says so later.
fn mark_used(file: &Path, folder: &Path) -> Result<()> {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let words = format!("on {} for {}", rfc3339(now_ms()), folder.display());
    let line = toml::Value::String(words).to_string();
    // What a crash leaves of the line makes it no invitation: it was used.
    Ok(durable::append_line(file, &format!("used = {line}"))?)
}

/// Makes a requestor's folder from its invitation.
pub fn make_requestor(folder: &Path, invitation: &Invitation) -> Result<()> {
    let Invitation { postoffice, server, .. } = invitation;
    let server_key: PublicKey = invitation
        .server_key
        .parse()
        .map_err(|error| Failure::usage(format!("the server_key of the invitation: {error}")))?;
    make_folder(folder, postoffice, |tables, key| {
        let mut draws = Draws::new(&random_seed()?);
        let proof = Some(proof(&invitation.secret, &key.to_string()));
        found_requestor(tables, &mut draws, postoffice, server, &server_key, proof)?;
        tables.put_note(CARRIER_NOTE, Some(&invitation.carrier))?;
        Ok(())
    })
}
