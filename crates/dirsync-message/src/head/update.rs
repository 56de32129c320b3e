//! The text of an update's head.

use dirsync_directory::{Address, EntryId, PostofficeName, View, escape};

use super::fields::{FieldReader, FieldWriter};
use super::offer::{OFFER_FORM, parse_offer, print_offer};
use super::request::{DIGEST_FORM, HEX_FORM, NAME_FORM, VIEW_FORM, print_epochs, read_epochs};
use super::{Head, HeadError, begin, buckets, read_back};
use crate::{
    Body, BodyKind, OUTCOMES_BYTES_MAX, OUTCOMES_MAX, Outcome, OutcomeKind, Own, REASON_BYTES_MAX,
    ReqSeq, RequestNo, Side, SrvSeq, Update,
};

const SIDES_FORM: &str = "own, fenced, removed, suspended, expired or taken";
const KINDS: [&str; 3] = ["delta", "replace", "repair"];

impl Update {
    /// The text of this head, which [`crate::Head::parse`] reads.
    pub fn to_text(&self) -> String {
        read_back(self.print(), |head| matches!(head, Head::Update(read) if **read == *self))
    }

    pub(super) fn print(&self) -> String {
        let mut fields = begin("update");
        fields.put("from", &self.from);
        fields.put("to", &self.to);
        fields.put("epoch", self.epoch);
        fields.put("answers", self.answers);
        fields.put("request-id", self.request_id);
        fields.put("server-epoch", self.server_epoch);
        fields.put("epoch-evidence", self.epoch_evidence);
        fields.put("ack", self.ack);
        fields.put_some("side", self.side.map(Side::word));
        if let Some(own) = &self.own {
            fields.put("own-challenge", own.challenge);
            fields.put("own-digest", own.digest);
            fields.put("own-epoch", own.in_force);
            fields.put_some("own-retired", print_epochs(&own.retired));
        }
        for outcome in &self.outcomes {
            fields.put("outcome", print_outcome(outcome));
        }
        for offer in &self.offers {
            fields.put("offer", print_offer(offer));
        }
        if let Some(body) = &self.body {
            put_body(&mut fields, body);
        }
        fields.put_flag("want-buckets", self.want_buckets);
        fields.finish()
    }

    pub(super) fn from_fields(fields: &mut FieldReader<'_>) -> Result<Self, HeadError> {
        Ok(Self {
            from: fields.required("from", NAME_FORM)?,
            to: fields.required("to", NAME_FORM)?,
            epoch: fields.required("epoch", HEX_FORM)?,
            answers: fields.number("answers", RequestNo)?,
            request_id: fields.required("request-id", HEX_FORM)?,
            server_epoch: fields
                .epoch("server-epoch")?
                .ok_or_else(|| fields.missing("server-epoch"))?,
            epoch_evidence: fields.required("epoch-evidence", HEX_FORM)?,
            ack: fields.number("ack", ReqSeq)?,
            side: fields.parsed("side", SIDES_FORM, Side::of_word)?,
            own: own(fields)?,
            outcomes: fields.repeated(
                "outcome",
                "ID, word and what belongs to it",
                parse_outcome,
            )?,
            offers: fields.repeated("offer", OFFER_FORM, parse_offer)?,
            body: body(fields)?,
            want_buckets: fields.flag("want-buckets")?,
        })
    }
}

fn own(fields: &mut FieldReader<'_>) -> Result<Option<Own>, HeadError> {
    let Some(challenge) = fields.optional("own-challenge", HEX_FORM)? else { return Ok(None) };
    Ok(Some(Own {
        challenge,
        digest: fields.required("own-digest", DIGEST_FORM)?,
        in_force: fields.required("own-epoch", HEX_FORM)?,
        retired: read_epochs(fields, "own-retired")?.into_iter().collect(),
    }))
}

fn put_body(fields: &mut FieldWriter, body: &Body) {
    match &body.kind {
        BodyKind::Delta => fields.put("body", KINDS[0]),
        BodyKind::Replace => fields.put("body", KINDS[1]),
        BodyKind::Repair { bits, buckets } => {
            fields.put("body", KINDS[2]);
            fields.put("buckets", buckets::print_set(*bits, buckets));
        }
    }
    fields.put("after", body.from);
    fields.put_some("after-epoch", body.from_epoch);
    fields.put_some("after-view", body.view_from);
    fields.put_some("stated", body.stated);
    fields.put("point", body.to);
    fields.put("point-evidence", body.to_evidence);
    fields.put("head", body.head);
    fields.put_some("view", Some(&body.view).filter(|view| !view.is_everything()));
    fields.put_some("list-digest", body.digest);
    fields.put("part", body.part);
}

fn body(fields: &mut FieldReader<'_>) -> Result<Option<Body>, HeadError> {
    let kind = match fields.optional_word("body", "delta, replace or repair", &KINDS)? {
        None => return Ok(None),
        Some(0) => BodyKind::Delta,
        Some(1) => BodyKind::Replace,
        Some(_) => {
            let parsed = fields.parsed("buckets", buckets::SET_FORM, buckets::parse_set)?;
            let (bits, buckets) = parsed.ok_or_else(|| fields.missing("buckets"))?;
            BodyKind::Repair { bits, buckets }
        }
    };
    Ok(Some(Body {
        kind,
        from: fields.number("after", SrvSeq)?,
        from_epoch: fields.epoch("after-epoch")?,
        view_from: fields.optional("after-view", HEX_FORM)?,
        stated: fields.point("stated")?,
        to: fields.point("point")?.ok_or_else(|| fields.missing("point"))?,
        to_evidence: fields.required("point-evidence", HEX_FORM)?,
        head: fields.number("head", SrvSeq)?,
        view: fields.optional::<View>("view", VIEW_FORM)?.unwrap_or_default(),
        digest: fields.optional("list-digest", DIGEST_FORM)?,
        part: fields.required("part", "a number")?,
    }))
}

impl Outcome {
    /// Reduces outcomes to those that one update may bring.
    ///
    /// Transfers come first, because the addressee drops the entries that were handed over. The other
    /// outcomes are reports, which can wait for a later update.
    pub fn within_limits(mut outcomes: Vec<Self>) -> Vec<Self> {
        for outcome in &mut outcomes {
            if let OutcomeKind::Invalid { reason } = &mut outcome.kind {
                reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
            }
        }
        let bytes: usize = outcomes.iter().map(outcome_bytes).sum();
        if outcomes.len() <= OUTCOMES_MAX && bytes <= OUTCOMES_BYTES_MAX {
            return outcomes;
        }
        outcomes.sort_by_key(|outcome| !matches!(outcome.kind, OutcomeKind::Transferred { .. }));
        outcomes.truncate(OUTCOMES_MAX);
        let mut bytes = 0;
        let fits = |outcome: &Self| {
            bytes += outcome_bytes(outcome);
            bytes <= OUTCOMES_BYTES_MAX
        };
        let count = outcomes.iter().map(fits).take_while(|fits| *fits).count();
        outcomes.truncate(count);
        debug_assert!(outcomes.iter().map(outcome_bytes).sum::<usize>() <= OUTCOMES_BYTES_MAX);
        outcomes
    }
}

/// The length of an outcome's field in a head, in bytes.
fn outcome_bytes(outcome: &Outcome) -> usize {
    escape(&print_outcome(outcome)).len() + "outcome=\n".len()
}

/// `ID WORD …`, separated by tabs. Only the last part can contain a tab itself, so the parts need no
/// escapes of their own.
fn print_outcome(outcome: &Outcome) -> String {
    let id = outcome.id;
    match &outcome.kind {
        OutcomeKind::Waiting { address, holder } => format!("{id}\twaiting\t{address}\t{holder}"),
        OutcomeKind::Contested { address, by } => format!("{id}\tcontested\t{address}\t{by}"),
        OutcomeKind::Held => format!("{id}\theld"),
        OutcomeKind::Transferred { to } => format!("{id}\ttransferred\t{to}"),
        OutcomeKind::ForeignId { owner } => format!("{id}\tforeign-id\t{owner}"),
        OutcomeKind::Invalid { reason } => {
            debug_assert!(reason.len() <= REASON_BYTES_MAX, "{} bytes", reason.len());
            format!("{id}\tinvalid\t{reason}")
        }
    }
}

fn parse_outcome(text: &str) -> Option<Outcome> {
    let mut parts = text.splitn(3, '\t');
    let id: EntryId = parts.next()?.parse().ok()?;
    let word = parts.next()?;
    let rest = parts.next();
    let party = || rest?.parse::<PostofficeName>().ok();
    let claim = || {
        let (address, party) = rest?.split_once('\t')?;
        Some((address.parse::<Address>().ok()?, party.parse::<PostofficeName>().ok()?))
    };
    let kind = match word {
        "waiting" => claim().map(|(address, holder)| OutcomeKind::Waiting { address, holder })?,
        "contested" => claim().map(|(address, by)| OutcomeKind::Contested { address, by })?,
        "held" if rest.is_none() => OutcomeKind::Held,
        "transferred" => OutcomeKind::Transferred { to: party()? },
        "foreign-id" => OutcomeKind::ForeignId { owner: party()? },
        "invalid" if rest?.len() <= REASON_BYTES_MAX => {
            OutcomeKind::Invalid { reason: rest?.into() }
        }
        _ => return None,
    };
    Some(Outcome { id, kind })
}
