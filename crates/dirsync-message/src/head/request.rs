//! The text of a request's head.

use dirsync_directory::View;

use super::fields::FieldReader;
use super::{Head, HeadError, LINEAGE_MAX, PROGRAM_BYTES_MAX, begin, buckets, read_back};
use crate::{Health, OwnPart, ReqEpoch, ReqSeq, Request, RequestKind, RequestNo};

const KINDS: [&str; 3] = ["delta", "full", "want-own"];
pub(super) const NAME_FORM: &str = "a postoffice name: NETWORK/POSTOFFICE";
pub(super) const DIGEST_FORM: &str = "a digest: COUNT-SUM, the sum as 32 hexadecimal digits";
pub(super) const HEX_FORM: &str = "32 hexadecimal digits";
const EPOCHS_FORM: &str = "at most 1024 requestor epochs, separated by commas";
pub(super) const VIEW_FORM: &str = "a view within its limits: its lines, escaped";

impl Request {
    /// The text of this head, which [`crate::Head::parse`] reads.
    pub fn to_text(&self) -> String {
        read_back(self.print(), |head| matches!(head, Head::Request(read) if **read == *self))
    }

    pub(super) fn print(&self) -> String {
        let mut fields = begin("request");
        fields.put("from", &self.from);
        fields.put("to", &self.to);
        fields.put("epoch", self.epoch);
        fields.put_some("lineage", print_epochs(&self.lineage));
        fields.put("number", self.number);
        fields.put("request-id", self.id);
        let kind = match self.own.kind {
            RequestKind::Delta => 0,
            RequestKind::Full => 1,
            RequestKind::WantOwn => 2,
        };
        fields.put("own", KINDS[kind]);
        fields.put("own-from", self.own.from);
        fields.put("own-to", self.own.to);
        fields.put("own-digest", self.own.digest);
        fields.put_some("own-challenge", self.own.challenge);
        fields.put_some("own-base", self.own.base);
        fields.put_some("epoch-heard", self.epoch_heard);
        fields.put_some("epoch-evidence", self.epoch_evidence);
        fields.put_some("point", self.point);
        fields.put_some("point-evidence", self.point_evidence);
        fields.put("list-digest", self.list_digest);
        fields.put_flag("list-bad", self.list_bad);
        let sums = self.list_buckets.as_ref().map(|(bits, sums)| buckets::print_sums(*bits, sums));
        fields.put_some("list-buckets", sums);
        fields.put_some("view", Some(&self.view_wanted).filter(|view| !view.is_everything()));
        let version = Some(&self.health.version).filter(|version| !version.is_empty());
        fields.put_some("program", version);
        fields.put_count("held", self.health.held);
        fields.put_count("quarantined", self.health.quarantined);
        fields.put_count("clock", self.health.clock);
        fields.finish()
    }

    pub(super) fn from_fields(fields: &mut FieldReader<'_>) -> Result<Self, HeadError> {
        Ok(Self {
            from: fields.required("from", NAME_FORM)?,
            to: fields.required("to", NAME_FORM)?,
            epoch: fields.required("epoch", HEX_FORM)?,
            lineage: read_epochs(fields, "lineage")?,
            number: fields.number("number", RequestNo)?,
            id: fields.required("request-id", HEX_FORM)?,
            own: own_part(fields)?,
            epoch_heard: fields.epoch("epoch-heard")?,
            epoch_evidence: fields.optional("epoch-evidence", HEX_FORM)?,
            point: fields.point("point")?,
            point_evidence: fields.optional("point-evidence", HEX_FORM)?,
            list_digest: fields.required("list-digest", DIGEST_FORM)?,
            list_bad: fields.flag("list-bad")?,
            list_buckets: fields.parsed("list-buckets", buckets::SUMS_FORM, buckets::parse_sums)?,
            view_wanted: fields.parsed("view", VIEW_FORM, view_wanted)?.unwrap_or_default(),
            health: Health {
                version: fields
                    .text("program", "a text of at most 128 bytes", PROGRAM_BYTES_MAX)?
                    .unwrap_or_default(),
                held: fields.count("held")?,
                quarantined: fields.count("quarantined")?,
                clock: fields.count("clock")?,
            },
        })
    }
}

/// Reads a view that one party wants. It may be half as large as the view in force, which the view's own
/// parser accepts.
fn view_wanted(text: &str) -> Option<View> {
    text.parse().ok().filter(|view: &View| view.check_size().is_ok())
}

fn own_part(fields: &mut FieldReader<'_>) -> Result<OwnPart, HeadError> {
    let kind = match fields.word("own", "delta, full or want-own", &KINDS)? {
        0 => RequestKind::Delta,
        1 => RequestKind::Full,
        _ => RequestKind::WantOwn,
    };
    Ok(OwnPart {
        kind,
        from: fields.number("own-from", ReqSeq)?,
        to: fields.number("own-to", ReqSeq)?,
        digest: fields.required("own-digest", DIGEST_FORM)?,
        challenge: fields.optional("own-challenge", HEX_FORM)?,
        base: fields.optional("own-base", DIGEST_FORM)?,
    })
}

/// Epochs separated by commas, or `None` if there are none.
pub(super) fn print_epochs<'e>(epochs: impl IntoIterator<Item = &'e ReqEpoch>) -> Option<String> {
    let texts: Vec<String> = epochs.into_iter().map(ReqEpoch::to_string).collect();
    debug_assert!(texts.len() <= LINEAGE_MAX, "{} epochs", texts.len());
    (!texts.is_empty()).then(|| texts.join(","))
}

pub(super) fn read_epochs(
    fields: &mut FieldReader<'_>,
    name: &'static str,
) -> Result<Vec<ReqEpoch>, HeadError> {
    Ok(fields.parsed(name, EPOCHS_FORM, parse_epochs)?.unwrap_or_default())
}

fn parse_epochs(text: &str) -> Option<Vec<ReqEpoch>> {
    // The limit of the number, as a limit of the length, holds before anything is allocated.
    let within = text.len() <= LINEAGE_MAX * (2 * size_of::<ReqEpoch>() + 1);
    within.then(|| text.split(',').map(|epoch| epoch.parse().ok()).collect())?
}
