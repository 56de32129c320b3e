//! The signals of an exchange: probes and their answers, and reports of the pieces that came.

use dirsync_carrier::{CarrierFile, SIGNAL_SUFFIX, is_of_signal};
use dirsync_directory::PostofficeName;
use dirsync_protocol::simulation::Rule;
use dirsync_seal::{Content, ProbeId, SealError, Signal};

use super::{Exchange, ExchangeError, Exchanged};
use crate::peers::Peer;

/// A probe that this postoffice sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The postoffice that is to answer.
    pub to: PostofficeName,
    /// Its id.
    pub id: ProbeId,
}

/// The answer to a probe of this postoffice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// The postoffice that answered.
    pub from: PostofficeName,
    /// The id of the probe.
    pub id: ProbeId,
    /// When it answered, by its own clock, in milliseconds since 1970.
    pub answered: u64,
    /// When the answer came, by the clock here.
    pub came: u64,
}

/// What a signal is for. Its file has a name that says this and the sender, so that a newer one replaces it.
#[derive(Clone, Copy)]
enum Purpose {
    Probe,
    Answer,
    Report,
}

impl Purpose {
    fn file_name(self, from: &PostofficeName) -> String {
        let word = match self {
            Self::Probe => "probe",
            Self::Answer => "answer",
            Self::Report => "report",
        };
        let sender = Content::of(from.folded().as_bytes()).hash;
        format!("{word}-{sender}{SIGNAL_SUFFIX}")
    }
}

impl Exchange<'_> {
    /// Takes a signal. Returns whether its file is needed no longer.
    pub(super) fn take_signal(
        &self,
        file: &CarrierFile,
        bytes: &[u8],
        done: &mut Exchanged,
    ) -> Result<bool, ExchangeError> {
        let mut refuse = |why: String| {
            done.refused.push((file.clone(), why));
            Ok(true)
        };
        let sealed = match self.sealing.read_signal(bytes) {
            Ok(sealed) => sealed,
            Err(error) => return refuse(error.to_string()),
        };
        let Some(sender) = self.peers.keys_of(&sealed.claim()) else {
            done.left += 1;
            return Ok(false);
        };
        let signal = match sealed.open(&sender) {
            Ok(signal) => signal,
            Err(SealError::OtherSigner { .. }) => {
                // A message that is on its way may announce the key.
                done.left += 1;
                return Ok(false);
            }
            Err(error) => return refuse(error.to_string()),
        };
        let from = sender.name().clone();
        if let Some(holds) = &signal.holds {
            self.outbox.hear_report(&from, holds)?;
        }
        if let Some(id) = signal.answers {
            let (answered, came) = (signal.sent, (self.clock)());
            done.answers.push(ProbeAnswer { from: from.clone(), id, answered, came });
        }
        if let Some(answers) = signal.probe {
            let peer = self.peers.peer(&from).cloned().unwrap_or_else(|| Peer::pinned(sender));
            let answer = Signal { answers: Some(answers), ..Signal::default() };
            self.send_signal(&peer, Purpose::Answer, answer, done)?;
        }
        done.signals += 1;
        Ok(true)
    }

    /// Sends probes and reports, and nothing else.
    ///
    /// # Errors
    ///
    /// If the carrier or the bodies fail.
    pub fn send_signals(&self, done: &mut Exchanged) -> Result<(), ExchangeError> {
        self.send_probes(done)?;
        self.send_reports(done)
    }

    /// Sends the probes that are wanted.
    ///
    /// # Errors
    ///
    /// If the carrier fails.
    pub fn send_probes(&self, done: &mut Exchanged) -> Result<(), ExchangeError> {
        for probe in self.probes {
            let Some(peer) = self.peers.peer(&probe.to) else { continue };
            let signal = Signal { probe: Some(probe.id), ..Signal::default() };
            let sent = self.send_signal(peer, Purpose::Probe, signal, done)?;
            done.probed.push((probe.clone(), sent));
        }
        Ok(())
    }

    /// Tells requestors which bytes of their bodies have come. A server hears that with each request.
    pub(super) fn send_reports(&self, done: &mut Exchanged) -> Result<(), ExchangeError> {
        if !self.peers.are_requestors() || !Rule::Came.holds() {
            return Ok(());
        }
        for name in self.outbox.peers()? {
            if !self.pieces_to.contains(&name) {
                continue;
            }
            let known = self.peers.peer(&name).cloned();
            let sender = || done.senders.get(name.folded()).cloned().map(Peer::pinned);
            let Some(peer) = known.or_else(sender) else { continue };
            let Some(holds) = self.outbox.report_due(&name)? else { continue };
            let signal = Signal { holds: Some(holds.clone()), ..Signal::default() };
            self.send_signal(&peer, Purpose::Report, signal, done)?;
            self.outbox.reported(&name, &holds)?;
        }
        Ok(())
    }

    /// Sends a signal now. Returns when that was, in milliseconds since 1970.
    fn send_signal(
        &self,
        to: &Peer,
        purpose: Purpose,
        signal: Signal,
        done: &mut Exchanged,
    ) -> Result<u64, ExchangeError> {
        let signal = Signal { sent: (self.clock)(), ..signal };
        let file = self.sealing.signal(to, self.peers.first_contact(), &signal)?;
        let name = purpose.file_name(self.sealing.name());
        self.carrier.put(to.keys.name(), &name, &file)?;
        done.sent += 1;
        done.bytes_sent += file.len() as u64;
        Ok(signal.sent)
    }
}

/// Signals first: they are short, and pieces behind which they would wait may take the whole night.
pub(super) fn signals_first(mut files: Vec<CarrierFile>) -> Vec<CarrierFile> {
    files.sort_by_key(|file| !is_of_signal(&file.name));
    files
}
