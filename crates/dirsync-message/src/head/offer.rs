//! The text of an offer in a field.

use dirsync_directory::{Record, escape, unescape};

use crate::{OFFERS_BYTES_MAX, OFFERS_MAX, Offer};

pub(super) const OFFER_FORM: &str =
    "ID, stamp, owner, first origin, key, kind, name, addresses and details of an entry";

/// `ID STAMP OWNER FIRST-ORIGIN KEY KIND NAME ADDRESSES DETAILS`, separated by tabs and each escaped.
///
/// The last four are the texts of the record. They are escaped already, but addresses and details
/// contain tabs and line ends, so they are escaped once more.
pub(super) fn print_offer(offer: &Offer) -> String {
    let (id, stamp) = (offer.id.to_string(), offer.stamp.to_string());
    let Record { kind, name, addresses, details } = &offer.record;
    let (owner, first_origin) = (offer.owner.as_str(), offer.first_origin.as_str());
    [&id, &stamp, owner, first_origin, &offer.key, kind, name, addresses, details]
        .map(|text| escape(text))
        .join("\t")
}

impl Offer {
    /// The first offers, up to the limits of one update. Offers that are too large alone are skipped.
    pub fn within_limits(offers: &[Self]) -> Vec<Self> {
        let mut bytes = 0;
        let fits = |offer: &&Self| {
            bytes += offer_bytes(offer);
            bytes <= OFFERS_BYTES_MAX
        };
        let sendable = offers.iter().filter(|offer| offer_bytes(offer) <= OFFERS_BYTES_MAX);
        let within: Vec<_> = sendable.take(OFFERS_MAX).take_while(fits).cloned().collect();
        debug_assert!(within.iter().map(offer_bytes).sum::<usize>() <= OFFERS_BYTES_MAX);
        within
    }
}

/// The length of an offer's value in a head, in bytes.
fn offer_bytes(offer: &Offer) -> usize {
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
    // A server publishes only valid records, and the postoffice that claims the entry publishes
    // this one.
    (texts.next().is_none() && offer.record.as_ref().check().is_ok()).then_some(offer)
}
