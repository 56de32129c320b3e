//! T2 for very many requestors: the real server with real request files of postoffices that have no
//! folder.
//!
//! A thousand postoffices with a full list each would take minutes and gigabytes to set up. The
//! server cannot see the difference: it registers each, each presents the secret of its invitation,
//! and each states the point and the digest of a real requestor's list, which the server checks
//! against what it issued, and keeps, before the measured run.

use std::io::{BufReader, Read};
use std::path::PathBuf;

use dirsync_carrier::{Arrived, Body, FolderTransit, Outgoing, Transit, TransitError};
use dirsync_directory::PostofficeName;
use dirsync_message::{BodyKind, Head, ReqEpoch, Request, RequestId, RequestNo, Update};
use dirsync_protocol::invitation::proof;
use dirsync_seal::{
    BodyPlace, BodySealer, BodyStatement, FirstContact, Front, KeyPair, Lines, MessageName,
    OwnKeys, PeerKeys, SealedBody,
};

use super::interrupt;
use super::report::{Row, step};
use super::system::{Site, System};
use crate::failure::Failure;

/// The compression of the empty bodies; any would do.
const LEVEL: i32 = 3;

/// A postoffice of which only the messages exist.
struct Requestor {
    name: PostofficeName,
    number: u32,
    keys: OwnKeys,
    /// The proof of its invitation.
    contact: FirstContact,
}

/// What all requestors ask: the request of a real one, with a body that they share.
struct Pattern {
    request: Request,
    body: SealedBody,
    bytes: Body,
    /// The key of the server, to which requests are sealed.
    server: PeerKeys,
}

/// Registers `count` requestors, lets `change` alter and send entries, and measures the server's run
/// that answers all. The answers are checked: each is a delta to the digest that the real requestor
/// is answered with.
pub fn measure(
    system: &System,
    count: u32,
    change: impl FnOnce(&System) -> Result<(), Failure>,
    rows: &mut Vec<Row>,
) -> Result<(), Failure> {
    eprintln!("-- {count} requestors");
    let requestors =
        (1..=count).map(|number| invite(system, number)).collect::<Result<Vec<_>, _>>()?;
    let share = system.share();
    let pattern = pattern(system, &share)?;
    for requestor in &requestors {
        ask(requestor, 1, &pattern, &share)?;
    }
    system.run(Site::Server, &["process"])?;

    change(system)?;
    for requestor in &requestors {
        ask(requestor, 2, &pattern, &share)?;
    }
    system.run(Site::Receiver, &["send"])?;
    let measurement = system.measure(Site::Server, &["process"])?;
    check(system, &requestors, &pattern, &share)?;
    rows.push(Row { name: step::MANY_PROCESS, units: count, measurement });
    system.settle()?;
    let measurement = system.measure(Site::Server, &["status"])?;
    rows.push(Row { name: step::MANY_STATUS, units: count, measurement });
    Ok(())
}

fn invite(system: &System, number: u32) -> Result<Requestor, Failure> {
    let name = format!("MANY/M{number:04}");
    let out = system.invite(&name)?;
    let text =
        std::fs::read_to_string(&out).map_err(|error| Failure::file("read", &out, &error))?;
    let invitation: toml::Table =
        toml::from_str(&text).map_err(|error| wrong("an invitation", &error))?;
    let secret = invitation.get("secret").and_then(toml::Value::as_str).unwrap_or_default();
    let name = parse(&name)?;
    let mut seed = [1; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    let pair = KeyPair::from_seed(&seed, name.as_str()).map_err(|error| wrong("a key", &error))?;
    let proof = proof(secret, &pair.public().to_string());
    let contact = FirstContact::new(*pair.public(), &proof)
        .ok_or_else(|| Failure::failed("a proof has another form"))?;
    Ok(Requestor { keys: OwnKeys::new(name.clone(), pair), name, number, contact })
}

/// What the real requestor asks: its point, its digest, and a body without own changes.
fn pattern(system: &System, share: &PathBuf) -> Result<Pattern, Failure> {
    system.run(Site::Receiver, &["send"])?;
    let (server, real) = (keys(system, Site::Server)?, keys(system, Site::Receiver)?);
    let inbox = transit(share, server.name().clone());
    for arrived in inbox.arrived().map_err(carried)?.iter().rev() {
        if !arrived.is_from(real.name()) {
            continue;
        }
        let Some((head, body)) = read(&inbox, arrived, &server, &pinned(&real))? else { continue };
        let Ok(Head::Request(request)) = Head::parse(&head) else { continue };
        let mut sealer =
            BodySealer::new(Vec::new(), LEVEL).map_err(|error| wrong("the body", &error))?;
        std::io::copy(&mut body.as_slice(), &mut sealer)
            .map_err(|error| wrong("the body", &error))?;
        let (body, bytes) = sealer.finish().map_err(|error| wrong("the body", &error))?;
        let bytes = Body::from(bytes);
        return Ok(Pattern { request: *request, body, bytes, server: pinned(&server) });
    }
    Err(Failure::failed(format!("{} has sent no request", real.name())))
}

/// The keys of a real postoffice.
fn keys(system: &System, site: Site) -> Result<OwnKeys, Failure> {
    let path = system.site_folder(site).join("keys").join("id_ed25519");
    let text =
        std::fs::read_to_string(&path).map_err(|error| Failure::file("read", &path, &error))?;
    let pair = KeyPair::from_openssh(&text).map_err(|error| wrong("a key", &error))?;
    Ok(OwnKeys::new(parse(&site.postoffice())?, pair))
}

/// The keys of a postoffice, as others know them.
fn pinned(keys: &OwnKeys) -> PeerKeys {
    PeerKeys::pinned(keys.name().clone(), *keys.newest().public())
}

/// Opens a message. `None` if somebody else took it.
fn read(
    inbox: &FolderTransit,
    arrived: &Arrived,
    own: &OwnKeys,
    sender: &PeerKeys,
) -> Result<Option<(String, Vec<u8>)>, Failure> {
    let Some(file) = inbox.open(arrived).map_err(carried)? else { return Ok(None) };
    let mut file = BufReader::new(file.map_err(|error| wrong("a message", &error))?);
    let opened = Lines::read(&mut file)
        .and_then(|lines| lines.verify(own, sender))
        .and_then(|signed| signed.open_head(file, own))
        .map_err(|error| wrong("a message", &error))?;
    let head = opened.head().to_owned();
    let mut body = Vec::new();
    let mut reader = opened.open_body(u64::MAX).map_err(|error| wrong("the body", &error))?;
    reader.read_to_end(&mut body).map_err(|error| wrong("the body", &error))?;
    Ok(Some((head, body)))
}

/// Sends the request that this postoffice would send.
fn ask(
    requestor: &Requestor,
    number: u64,
    pattern: &Pattern,
    share: &PathBuf,
) -> Result<(), Failure> {
    interrupt::check()?;
    let epoch = ReqEpoch(token(1, requestor.number));
    let request = Request {
        from: requestor.name.clone(),
        epoch,
        lineage: Vec::new(),
        number: RequestNo(number),
        id: RequestId(token(number as u8 + 1, requestor.number)),
        ..pattern.request.clone()
    };
    let (epoch, head) = (epoch.to_string(), Head::Request(Box::new(request)).to_text());
    let name = MessageName::new(&epoch, number, 1)
        .ok_or_else(|| Failure::failed("a request has no name"))?;
    let front = Front {
        from: requestor.name.clone(),
        to: pattern.server.name().clone(),
        name,
        body: BodyStatement { content: pattern.body.content, place: BodyPlace::Inline },
        holds: Vec::new(),
        rotated: Vec::new(),
        first_contact: Some(requestor.contact.clone()),
    };
    let front = front
        .seal(&head, &pattern.body.key, requestor.keys.newest(), pattern.server.newest())
        .map_err(|error| wrong("a request", &error))?;
    let message = Outgoing {
        from: &requestor.name,
        to: pattern.server.name(),
        epoch: &epoch,
        number,
        part: 1,
        front: &front,
        body: &pattern.bytes,
    };
    transit(share, requestor.name.clone()).send(&message).map_err(carried)?;
    Ok(())
}

/// A token that no other postoffice has.
fn token(kind: u8, number: u32) -> [u8; 16] {
    let mut token = [kind; 16];
    token[12..].copy_from_slice(&number.to_be_bytes());
    token
}

fn check(
    system: &System,
    requestors: &[Requestor],
    pattern: &Pattern,
    share: &PathBuf,
) -> Result<(), Failure> {
    let real = keys(system, Site::Receiver)?;
    let expected = newest(share, &real, &pattern.server)?.and_then(|update| update.body);
    let Some(expected) = expected.filter(|body| body.digest.is_some()) else {
        return Err(Failure::failed(format!("{} was not answered", real.name())));
    };
    for requestor in requestors {
        let update = newest(share, &requestor.keys, &pattern.server)?;
        let body = update.filter(|update| update.answers == RequestNo(2)).and_then(|it| it.body);
        let is_same = body.as_ref().is_some_and(|body| {
            matches!(body.kind, BodyKind::Delta)
                && body.from == expected.from
                && body.to == expected.to
                && body.digest == expected.digest
        });
        if !is_same {
            let (name, real, folder) = (&requestor.name, real.name(), system.folder().display());
            let text = format!("{name} was not answered as {real} was; see {folder}");
            return Err(Failure::failed(text));
        }
    }
    Ok(())
}

/// The newest answer that waits for a postoffice.
fn newest(share: &PathBuf, own: &OwnKeys, server: &PeerKeys) -> Result<Option<Update>, Failure> {
    let inbox = transit(share, own.name().clone());
    let mut newest: Option<Update> = None;
    for arrived in inbox.arrived().map_err(carried)? {
        let Some((head, _)) = read(&inbox, &arrived, own, server)? else { continue };
        if let Ok(Head::Update(update)) = Head::parse(&head)
            && newest.as_ref().is_none_or(|newest| update.answers > newest.answers)
        {
            newest = Some(*update);
        }
    }
    Ok(newest)
}

fn transit(share: &PathBuf, me: PostofficeName) -> FolderTransit {
    FolderTransit::new(share, me)
}

fn parse(name: &str) -> Result<PostofficeName, Failure> {
    name.parse().map_err(|error| wrong("a name", &error))
}

fn carried(error: TransitError) -> Failure {
    Failure::failed(error.to_string())
}

fn wrong(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format!("{what} is not as it should be: {error}"))
}
