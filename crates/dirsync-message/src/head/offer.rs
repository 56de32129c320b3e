//! An entry that is released to the addressee, as one field.

use dirsync_directory::{Record, escape, unescape};

use crate::Offer;

pub(super) const OFFER_FORM: &str =
    "ID, stamp, owner, first origin, key, kind, name, addresses and details of an entry";

/// `ID STAMP OWNER FIRST-ORIGIN KEY KIND NAME ADDRESSES DETAILS`, separated by tabs and each escaped.
/// The last four are the record's texts as they stand, which are escaped once themselves.
pub(super) fn print_offer(offer: &Offer) -> String {
    let (id, stamp) = (offer.id.to_string(), offer.stamp.to_string());
    let Record { kind, name, addresses, details } = &offer.record;
    let (owner, first_origin) = (offer.owner.as_str(), offer.first_origin.as_str());
    [&id, &stamp, owner, first_origin, &offer.key, kind, name, addresses, details]
        .map(|text| escape(text))
        .join("\t")
}

/// The bytes of an offer as it stands in a head.
pub(crate) fn offer_bytes(offer: &Offer) -> usize {
    escape(&print_offer(offer)).len()
}

pub(super) fn parse_offer(text: &str) -> Option<Offer> {
    let mut texts = text.split('\t').map(|text| unescape(text).map(String::from));
    let mut next = || texts.next().flatten();
    let offer = Offer {
        id: next()?.parse().ok()?,
        stamp: next()?.parse().ok()?,
        owner: next()?.parse().ok()?,
        first_origin: next()?.parse().ok()?,
        key: next()?,
        record: Record { kind: next()?, name: next()?, addresses: next()?, details: next()? },
    };
    // What a server publishes is right; whoever claims the entry publishes it in turn.
    (texts.next().is_none() && offer.record.as_ref().check().is_ok()).then_some(offer)
}
