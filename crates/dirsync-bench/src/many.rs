//! T2 for very many requestors: the real server with real request files of postoffices that have no
//! folder.
//!
//! A thousand postoffices with a full list each would take minutes and gigabytes to set up. The
//! server cannot see the difference: it registers each, each presents the secret of its invitation,
//! and each states the point and the digest of a real requestor's list, which the server checks
//! against what it issued, and keeps, before the measured run.

use std::path::PathBuf;

use dirsync_carrier::{BodyEncoder, Carrier, CarrierError, EncodedBody, FolderCarrier, Outgoing};
use dirsync_directory::PostofficeName;
use dirsync_message::{Admission, BodyKind, Head, ReqEpoch, Request, RequestId, RequestNo, Update};
use dirsync_protocol::invitation::proof;

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
    secret: String,
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
    let (pattern, body) = pattern(system, &share)?;
    let admission_key = public_key(system)?;
    for requestor in &requestors {
        let proof = proof(&requestor.secret, &admission_key);
        let admission = Admission { proof, key: admission_key.clone() };
        ask(requestor, 1, Some(admission), &pattern, &body, &share)?;
    }
    system.run(Site::Server, &["process"])?;

    change(system)?;
    for requestor in &requestors {
        ask(requestor, 2, None, &pattern, &body, &share)?;
    }
    system.run(Site::Receiver, &["send"])?;
    let measurement = system.measure(Site::Server, &["process"])?;
    check(system, &requestors, &share)?;
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
    Ok(Requestor { name, number, secret: secret.to_owned() })
}

/// What the real requestor asks: its point, its digest, and a body without own changes.
fn pattern(system: &System, share: &PathBuf) -> Result<(Request, EncodedBody), Failure> {
    system.run(Site::Receiver, &["send"])?;
    let inbox = carrier(share, parse(&Site::Server.postoffice())?);
    let from: PostofficeName = parse(&Site::Receiver.postoffice())?;
    for arrived in inbox.arrived().map_err(carried)?.iter().rev() {
        let Some(message) = inbox.open(arrived).map_err(carried)? else { continue };
        let mut message = message.map_err(|error| wrong("a message", &error))?;
        match Head::parse(&message.head) {
            Ok(Head::Request(request)) if request.from == from => {
                let mut encoder =
                    BodyEncoder::new(LEVEL).map_err(|error| wrong("the body", &error))?;
                std::io::copy(&mut message.body, &mut encoder)
                    .map_err(|error| wrong("the body", &error))?;
                let body = encoder.finish().map_err(|error| wrong("the body", &error))?;
                return Ok((*request, body));
            }
            _ => {}
        }
    }
    Err(Failure::failed(format!("{from} has sent no request")))
}

/// A key that the server pins for all of them; that of the real requestor.
fn public_key(system: &System) -> Result<String, Failure> {
    let keys = system.site_folder(Site::Receiver).join("keys");
    let items = std::fs::read_dir(&keys).map_err(|error| Failure::file("list", &keys, &error))?;
    for path in items.flatten().map(|item| item.path()) {
        if path.extension().is_some_and(|extension| extension == "pub") {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| Failure::file("read", &path, &error))?;
            return Ok(text.trim().to_owned());
        }
    }
    Err(Failure::failed(format!("no public key in {}", keys.display())))
}

/// The request that this postoffice would send.
fn ask(
    requestor: &Requestor,
    number: u64,
    admission: Option<Admission>,
    pattern: &Request,
    body: &EncodedBody,
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
        admission,
        ..pattern.clone()
    };
    let (epoch, head) = (epoch.to_string(), Head::Request(Box::new(request)).to_text());
    let message = Outgoing {
        from: &requestor.name,
        to: &pattern.to,
        epoch: &epoch,
        number,
        part: 1,
        head: &head,
        body,
    };
    carrier(share, requestor.name.clone()).send(&message).map_err(carried)?;
    Ok(())
}

/// A token that no other postoffice has.
fn token(kind: u8, number: u32) -> [u8; 16] {
    let mut token = [kind; 16];
    token[12..].copy_from_slice(&number.to_be_bytes());
    token
}

fn check(system: &System, requestors: &[Requestor], share: &PathBuf) -> Result<(), Failure> {
    let real = parse(&Site::Receiver.postoffice())?;
    let expected = newest(share, &real)?.and_then(|update| update.body);
    let Some(expected) = expected.filter(|body| body.digest.is_some()) else {
        return Err(Failure::failed(format!("{real} was not answered")));
    };
    for requestor in requestors {
        let update = newest(share, &requestor.name)?;
        let body = update.filter(|update| update.answers == RequestNo(2)).and_then(|it| it.body);
        let is_same = body.as_ref().is_some_and(|body| {
            matches!(body.kind, BodyKind::Delta)
                && body.from == expected.from
                && body.to == expected.to
                && body.digest == expected.digest
        });
        if !is_same {
            let (name, folder) = (&requestor.name, system.folder().display());
            let text = format!("{name} was not answered as {real} was; see {folder}");
            return Err(Failure::failed(text));
        }
    }
    Ok(())
}

/// The newest answer that waits for a postoffice.
fn newest(share: &PathBuf, name: &PostofficeName) -> Result<Option<Update>, Failure> {
    let inbox = carrier(share, name.clone());
    let mut newest: Option<Update> = None;
    for arrived in inbox.arrived().map_err(carried)? {
        let Some(message) = inbox.open(&arrived).map_err(carried)? else { continue };
        let message = message.map_err(|error| wrong("an answer", &error))?;
        if let Ok(Head::Update(update)) = Head::parse(&message.head)
            && newest.as_ref().is_none_or(|newest| update.answers > newest.answers)
        {
            newest = Some(*update);
        }
    }
    Ok(newest)
}

fn carrier(share: &PathBuf, me: PostofficeName) -> FolderCarrier {
    FolderCarrier::new(share, me, u64::MAX)
}

fn parse(name: &str) -> Result<PostofficeName, Failure> {
    name.parse().map_err(|error| wrong("a name", &error))
}

fn carried(error: CarrierError) -> Failure {
    Failure::failed(error.to_string())
}

fn wrong(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format!("{what} is not as it should be: {error}"))
}
