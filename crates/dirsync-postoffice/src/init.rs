//! How a postoffice begins.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dirsync_agent::founding::{found_requestor, found_server};
use dirsync_agent::notes::{LINK_ROOT, MAIL_ADDRESS};
use dirsync_carrier::access::{Links, open_file};
use dirsync_carrier::{Place, durable};
use dirsync_directory::{PostofficeName, plural};
use dirsync_protocol::context::Draws;
use dirsync_protocol::invitation::proof;
use dirsync_seal::PublicKey;

use crate::failure::{Failure, Result};
use crate::folder::{make_folder, require_none};
use crate::invitation::Invitation;
use crate::keys::{evidence_key, make_instance, random_seed};
use crate::places::{self, NamedPlace};
use crate::time::{now_ms, rfc3339};

/// Longest file that is read as an invitation, in bytes.
const INVITATION_BYTES_MAX: u64 = 64 * 1024;

/// Makes a directory server's folder.
pub fn make_server(folder: &Path, name: &PostofficeName) -> Result<()> {
    make_folder(folder, name, |tables, key| {
        let instance = make_instance(folder)?;
        evidence_key(folder)?;
        let mut draws = Draws::new(&random_seed()?);
        let place = Place::Local.to_string();
        Ok(found_server(tables, &mut draws, name, instance, key, &place)?)
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

/// Makes a requestor's folder from its invitation's file, which is then marked as used. `shared` has the
/// shared folders in order, if they have other names here than the invitation says; it may be empty.
///
/// # Errors
///
/// An invitation that cannot be read or used, and a shared folder that is not there or more of them than the
/// invitation names. Nothing is made then.
pub fn join(folder: &Path, file: &Path, shared: &[PathBuf]) -> Result<Joined> {
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
    invitation.places = reached(&invitation.places, shared)?;
    make_requestor(folder, &invitation)?;
    let unmarked = mark_used(file, folder).err().map(|failure| failure.text());
    Ok(Joined { invitation, unmarked })
}

/// The places of an invitation as they are reached here. Its folders are those that are `shared`, if any is named.
fn reached(invited: &[Place], shared: &[PathBuf]) -> Result<Vec<Place>> {
    let is_folder = |place: &&Place| matches!(place, Place::Folder(_));
    let folders = invited.iter().filter(is_folder).count();
    if shared.len() > folders {
        let (words, named) = (plural(folders as u64, "folder", "folders"), shared.len());
        let text = format!("the invitation has {words}, and --folder names {named}");
        return Err(Failure::usage(text).hint(
            "the server looks into no other folder: name those of the invitation, in its order",
        ));
    }
    let mut here = shared.iter().cloned().map(NamedPlace::Folder);
    let named = invited.iter().filter_map(|place| match place {
        Place::Folder(_) if !shared.is_empty() => here.next(),
        Place::Folder(path) => Some(NamedPlace::Folder(path.into())),
        Place::Link(url) => Some(NamedPlace::Link(url.clone())),
        Place::Mail(address) => Some(NamedPlace::Mail(address.clone())),
        Place::Local => None,
    });
    places::mounted(&named.collect::<Vec<_>>())
}

/// Refuses an invitation that the server cannot accept any more.
fn check_invitation(invitation: &Invitation, text: &str) -> Result<()> {
    let Invitation { server, postoffice, secret, expires, .. } = invitation;
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
        tables.put_note(LINK_ROOT, invitation.link_root.as_deref())?;
        tables.put_note(MAIL_ADDRESS, invitation.mail_address.as_deref())?;
        Ok(places::note(tables, &invitation.places)?)
    })
}
