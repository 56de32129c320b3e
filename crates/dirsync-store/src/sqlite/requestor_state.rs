//! The requestor's state, and the outcomes of its entries at the server.

use dirsync_message::{Outcome, OutcomeKind, ReqSeq, RequestId, RequestNo, SrvSeq, Stamp};
use dirsync_protocol::tables::{Mode, RequestorState, Staging, StoreError, Stored};
use rusqlite::params;

use super::columns::{Columns, integer, text_of, words_of};
use super::transaction::SqliteTransaction;

const PUT: &str = "REPLACE INTO requestor (one, name, server, epoch, lineage, former_epochs, \
     epoch_accepted, req_seq, req_sync, last_stamp, request_no, last_answer, sent, epoch_heard, \
     epoch_evidence, point, point_evidence, list_digest, filling, own_digest, staging_point, \
     staging_view, staging_head, staging_digest, list_bad, send_buckets, request_due, view_wanted, \
     view, mode, base, challenge, proof) \
     VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, \
     ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32)";

const GET: &str = "SELECT name, server, epoch, lineage, former_epochs, epoch_accepted, \
     req_seq, req_sync, last_stamp, request_no, last_answer, sent, epoch_heard, \
     epoch_evidence, point, point_evidence, list_digest, filling, own_digest, staging_point, \
     staging_view, staging_head, staging_digest, list_bad, send_buckets, request_due, view_wanted, \
     view, mode, base, challenge, proof FROM requestor";

/// A request that was sent: `NUMBER=ID`.
struct Sent(RequestNo, RequestId);

impl std::str::FromStr for Sent {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (number, id) = text.split_once('=').ok_or(())?;
        Ok(Self(number.parse().map_err(|_| ())?, id.parse().map_err(|_| ())?))
    }
}

/// The numbers and ids of requests, separated by spaces.
pub(super) fn read_sent(columns: &mut Columns<'_, '_>) -> Stored<Vec<(RequestNo, RequestId)>> {
    let sent = columns.words::<Sent, Vec<_>>()?;
    Ok(sent.into_iter().map(|Sent(number, id)| (number, id)).collect())
}

/// The text that [`read_sent`] reads.
pub(super) fn sent_text(sent: &[(RequestNo, RequestId)]) -> String {
    words_of(sent.iter().map(|(number, id)| format!("{number}={id}")))
}

fn read_staging(columns: &mut Columns<'_, '_>) -> Stored<Option<Staging>> {
    let Some(point) = columns.optional_parsed()? else {
        columns.skip(3);
        return Ok(None);
    };
    Ok(Some(Staging {
        point,
        view: columns.view()?,
        head: SrvSeq(columns.number()?),
        digest: columns.parsed()?,
    }))
}

fn mode_word(mode: &Mode) -> &'static str {
    match mode {
        Mode::Normal => "normal",
        Mode::WantOwn => "want-own",
        Mode::Resubmitting { .. } => "resubmitting",
        Mode::Fenced => "fenced",
        Mode::Removed => "removed",
    }
}

fn read_mode(columns: &mut Columns<'_, '_>) -> Stored<Mode> {
    let mode = columns.read(|word| match word {
        "normal" => Some(Some(Mode::Normal)),
        "want-own" => Some(Some(Mode::WantOwn)),
        "fenced" => Some(Some(Mode::Fenced)),
        "removed" => Some(Some(Mode::Removed)),
        "resubmitting" => Some(None),
        _ => None,
    })?;
    if let Some(mode) = mode {
        columns.skip(2);
        return Ok(mode);
    }
    Ok(Mode::Resubmitting { base: columns.parsed()?, challenge: columns.parsed()? })
}

fn read_state(columns: &mut Columns<'_, '_>) -> Stored<RequestorState> {
    Ok(RequestorState {
        name: columns.parsed()?,
        server: columns.parsed()?,
        epoch: columns.parsed()?,
        lineage: columns.words()?,
        former_epochs: columns.words()?,
        epoch_accepted: columns.flag()?,
        req_seq: ReqSeq(columns.number()?),
        req_sync: ReqSeq(columns.number()?),
        last_stamp: Stamp(columns.number()?),
        request_no: RequestNo(columns.number()?),
        last_answer: RequestNo(columns.number()?),
        sent: read_sent(columns)?,
        epoch_heard: columns.optional_parsed()?,
        epoch_evidence: columns.optional_parsed()?,
        point: columns.optional_parsed()?,
        point_evidence: columns.optional_parsed()?,
        list_digest: columns.parsed()?,
        filling: columns.optional_number()?.map(SrvSeq),
        own_digest: columns.parsed()?,
        staging: read_staging(columns)?,
        list_bad: columns.flag()?,
        send_buckets: columns.flag()?,
        request_due: columns.flag()?,
        view_wanted: columns.view()?,
        view: columns.view()?,
        mode: read_mode(columns)?,
        proof: columns.optional_text()?.map(str::to_owned),
    })
}

impl SqliteTransaction<'_> {
    pub(super) fn read_requestor(&mut self) -> Stored<RequestorState> {
        let action = "read the requestor's state";
        let state = self.one(action, GET, [], |columns, _| read_state(columns))?;
        self.named(state.ok_or_else(|| StoreError::corrupt(action, "it was never written")))
    }

    pub(super) fn write_requestor(&mut self, state: &RequestorState) -> Stored<()> {
        let action = "write the requestor's state";
        let staging = state.staging.as_ref();
        let (base, challenge) = match &state.mode {
            Mode::Resubmitting { base, challenge } => (Some(base), Some(challenge)),
            _ => (None, None),
        };
        let params = params![
            state.name.as_str(),
            state.server.as_str(),
            state.epoch.to_string(),
            words_of(&state.lineage),
            words_of(&state.former_epochs),
            state.epoch_accepted,
            integer(action, state.req_seq.0)?,
            integer(action, state.req_sync.0)?,
            integer(action, state.last_stamp.0)?,
            integer(action, state.request_no.0)?,
            integer(action, state.last_answer.0)?,
            sent_text(&state.sent),
            text_of(&state.epoch_heard),
            text_of(&state.epoch_evidence),
            text_of(&state.point),
            text_of(&state.point_evidence),
            state.list_digest.to_string(),
            state.filling.map(|head| integer(action, head.0)).transpose()?,
            state.own_digest.to_string(),
            staging.map(|staging| staging.point.to_string()),
            staging.map(|staging| staging.view.to_string()),
            staging.map(|staging| integer(action, staging.head.0)).transpose()?,
            staging.map(|staging| staging.digest.to_string()),
            state.list_bad,
            state.send_buckets,
            state.request_due,
            state.view_wanted.to_string(),
            state.view.to_string(),
            mode_word(&state.mode),
            text_of(&base),
            text_of(&challenge),
            state.proof,
        ];
        self.execute(action, PUT, params).map(|_| ())
    }

    pub(super) fn read_outcomes(&mut self) -> Stored<Vec<Outcome>> {
        let sql = "SELECT id, kind, address, party, reason FROM outcome ORDER BY place";
        self.all("read the outcomes", sql, [], |columns, _| read_outcome(columns))
    }

    pub(super) fn write_outcomes(&mut self, outcomes: &[Outcome]) -> Stored<()> {
        let action = "write the outcomes";
        self.execute(action, "DELETE FROM outcome", [])?;
        let sql = "INSERT INTO outcome (place, id, kind, address, party, reason) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        for (place, outcome) in (1i64..).zip(outcomes) {
            let (word, address, party, reason) = outcome_columns(&outcome.kind);
            let params = params![place, outcome.id.as_bytes(), word, address, party, reason];
            self.execute(action, sql, params)?;
        }
        Ok(())
    }
}

fn outcome_columns(kind: &OutcomeKind) -> (&str, Option<&str>, Option<&str>, Option<&str>) {
    match kind {
        OutcomeKind::Waiting { address, holder } => {
            ("waiting", Some(address.as_str()), Some(holder.as_str()), None)
        }
        OutcomeKind::Contested { address, by } => {
            ("contested", Some(address.as_str()), Some(by.as_str()), None)
        }
        OutcomeKind::Held => ("held", None, None, None),
        OutcomeKind::Transferred { to } => ("transferred", None, Some(to.as_str()), None),
        OutcomeKind::ForeignId { owner } => ("foreign-id", None, Some(owner.as_str()), None),
        OutcomeKind::Invalid { reason } => ("invalid", None, None, Some(reason)),
    }
}

fn read_outcome(columns: &mut Columns<'_, '_>) -> Stored<Outcome> {
    let id = columns.id()?;
    let word = columns.text()?;
    let mut address = None;
    let mut party = None;
    if matches!(word, "waiting" | "contested") {
        address = Some(columns.parsed()?);
    } else {
        columns.skip(1);
    }
    if matches!(word, "held" | "invalid") {
        columns.skip(1);
    } else {
        party = Some(columns.parsed()?);
    }
    let kind = match (word, address, party) {
        ("waiting", Some(address), Some(holder)) => OutcomeKind::Waiting { address, holder },
        ("contested", Some(address), Some(by)) => OutcomeKind::Contested { address, by },
        ("held", ..) => OutcomeKind::Held,
        ("transferred", _, Some(to)) => OutcomeKind::Transferred { to },
        ("foreign-id", _, Some(owner)) => OutcomeKind::ForeignId { owner },
        ("invalid", ..) => OutcomeKind::Invalid { reason: columns.text()?.into() },
        _ => {
            let what = format!("\"{word}\" is no kind of outcome");
            return Err(StoreError::corrupt("read the outcomes", what));
        }
    };
    Ok(Outcome { id, kind })
}
