//! The line of a mailbox, and what comes back by mail.

use std::collections::BTreeMap;

use dirsync_agent::exchange::ExchangeError;
use dirsync_agent::known_peers::KnownPeers;
use dirsync_agent::probes::LastProbes;
use dirsync_carrier::{PIECE_SUFFIX, Place};
use dirsync_directory::PostofficeName;
use dirsync_mail::bounce::BounceClass;
use dirsync_seal::ContentHash;

use super::messages::Messages;
use super::{Line, Way};
use crate::config::PlaceSettings;
use crate::failure::{Failure, Result};
use crate::mail::{Mail, bounce_in_words, useless_in_words};
use crate::postoffice::Postoffice;

impl Line {
    /// Takes what came back by mail: a piece that was too large travels again as smaller ones. Returns what people are to
    /// know.
    pub(super) fn take_back(&self, mail: &Mail, failed: &mut Option<ExchangeError>) -> Vec<String> {
        let mut said = Vec::new();
        if let Err(error) = self.take_bounces(mail, &mut said) {
            failed.get_or_insert(error);
        }
        said
    }

    fn take_bounces(
        &self,
        mail: &Mail,
        said: &mut Vec<String>,
    ) -> std::result::Result<(), ExchangeError> {
        for returned in mail.carrier.returned()? {
            let piece = returned.file_name.as_deref().and_then(piece_in_name);
            if let (Some(to), Some((hash, at, bytes))) = (&returned.addressee, piece)
                && returned.class != BounceClass::Delayed
            {
                if returned.class == BounceClass::TooLarge {
                    self.outbox.halve_pieces(to, bytes)?;
                }
                self.outbox.lose(to, &hash, at..at + bytes)?;
            }
            if returned.class != BounceClass::Delayed {
                said.push(bounce_in_words(&returned));
            }
            mail.carrier.file(&returned.mail)?;
        }
        for useless in mail.carrier.useless()? {
            said.extend(useless.reason.map(|reason| useless_in_words(&useless.about, &reason)));
            mail.carrier.file(&useless.mail)?;
        }
        Ok(())
    }
}

impl Postoffice {
    /// The line of a server's mailbox, behind which all its requestors are that exchange mail. `None` if there are none.
    pub(super) fn mail_line(
        &mut self,
        routes: &[(PostofficeName, Vec<String>)],
        in_use: &BTreeMap<String, String>,
        peers: &KnownPeers,
        last_probes: &LastProbes,
    ) -> Result<Option<Line>> {
        let (mut addresses, mut messages) = (BTreeMap::new(), Vec::new());
        let (mut texts, mut probes, mut pieces_to) = (Vec::new(), Vec::new(), Vec::new());
        for (name, text) in
            routes.iter().flat_map(|(name, all)| all.iter().map(move |one| (name, one)))
        {
            let Ok(place) = text.parse::<Place>() else { continue };
            let Place::Mail(address) = &place else { continue };
            addresses.insert(name.clone(), address.parse().map_err(Failure::usage)?);
            messages.push((name.clone(), self.slow_place(&place)?));
            probes.extend(last_probes.waiting(text, std::slice::from_ref(name)));
            if in_use.get(name.folded()) == Some(text) {
                pieces_to.push(name.clone());
            }
            texts.push(text.clone());
        }
        if texts.is_empty() {
            return Ok(None);
        }
        let place = self.own_mailbox()?;
        let to = addresses.keys().cloned().collect();
        let settings = self.slow_settings(&place).unwrap_or(PlaceSettings::of(place.clone()));
        Ok(Some(Line {
            way: Way::Mail(self.mail(addresses)?),
            messages: Messages::ByPeer(messages),
            outbox: self.open_outbox()?,
            keys: self.own_keys()?,
            peers: peers.clone(),
            place,
            settings,
            texts,
            to,
            pieces_to,
            probes,
        }))
    }
}

/// The body of a piece, the offset of its first byte and its size, as its name has them.
fn piece_in_name(name: &str) -> Option<(ContentHash, u64, u64)> {
    let mut parts = name.strip_suffix(PIECE_SUFFIX)?.split('-').skip(1);
    let (at, bytes, hash) = (parts.next()?, parts.next()?, parts.next()?);
    Some((hash.parse().ok()?, at.parse().ok()?, bytes.parse().ok()?))
}
