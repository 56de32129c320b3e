//! The first state of a postoffice's database.

use dirsync_directory::{PostofficeName, SetDigest, View};
use dirsync_message::{Instance, ReqEpoch, ReqSeq, RequestNo, ServerEpoch, SrvSeq, Stamp};
use dirsync_protocol::context::Draws;
use dirsync_protocol::tables::{
    Mode, Registration, RegistrationState, RequestorState, ServerState, Stored, Tables,
};
use dirsync_seal::PublicKey;

use crate::decisions::empty_registration;
use crate::peers::put_server_key;

/// Writes the first state of a requestor. `server_key` is the key of its server, and `proof` proves that it
/// knows its invitation's secret.
///
/// # Errors
///
/// When the store fails.
pub fn found_requestor(
    tables: &mut dyn Tables,
    draws: &mut Draws,
    name: &PostofficeName,
    server: &PostofficeName,
    server_key: &PublicKey,
    proof: Option<String>,
) -> Stored<()> {
    put_server_key(tables, server_key)?;
    tables.put_requestor(&RequestorState {
        name: name.clone(),
        server: server.clone(),
        epoch: ReqEpoch(draws.token()),
        lineage: Vec::new(),
        former_epochs: Vec::new(),
        epoch_accepted: false,
        req_seq: ReqSeq(0),
        req_sync: ReqSeq(0),
        last_stamp: Stamp(0),
        request_no: RequestNo(0),
        last_answer: RequestNo(0),
        sent: Vec::new(),
        epoch_heard: None,
        epoch_evidence: None,
        point: None,
        point_evidence: None,
        filling: None,
        list_digest: SetDigest::default(),
        own_digest: SetDigest::default(),
        staging: None,
        list_bad: false,
        send_buckets: false,
        request_due: false,
        view_wanted: View::default(),
        view: View::default(),
        mode: Mode::Normal,
        proof,
    })
}

/// Writes the first state of a directory server. It is also a requestor of itself, registered with its own
/// key and reached through `place`.
///
/// # Errors
///
/// When the store fails.
pub fn found_server(
    tables: &mut dyn Tables,
    draws: &mut Draws,
    name: &PostofficeName,
    instance: Instance,
    key: &PublicKey,
    place: &str,
) -> Stored<()> {
    found_requestor(tables, draws, name, name, key, None)?;
    tables.put_server(&ServerState {
        epoch: ServerEpoch { generation: 1, instance, random: draws.number() },
        head: SrvSeq(0),
        horizon: SrvSeq(0),
        recovering: false,
        fenced: false,
        cycle: 0,
        claims: 0,
        last_run: 0,
        overtaken: 0,
        overtaken_at: 0,
    })?;
    tables.put_registration(&Registration {
        state: RegistrationState::Active,
        key: Some(key.to_string()),
        places: vec![place.to_owned()],
        ..empty_registration(name)
    })
}
