//! Who is there: nonces, logins and tickets. It needs no clock but the time since the server began.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use dirsync_directory::PostofficeName;
use dirsync_seal::{LoginLines, Nonce};

use super::desk::Desk;
use crate::wire::TICKET_TIME;

/// How long a nonce can be answered.
const NONCE_TIME: Duration = Duration::from_secs(60);
/// The most tickets of one requestor. A newer one makes the oldest void.
const TICKETS_MAX: usize = 8;

/// Hands out nonces and tickets.
pub(super) struct Gate {
    began: Instant,
    /// What makes a nonce one of this server, so that none has to be remembered before it is answered.
    secret: [u8; 32],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The nonces that were answered rightly, with the times at which they end.
    answered: BTreeMap<Nonce, Duration>,
    /// By the hashes of tickets. Who looks one up learns nothing from how long it takes.
    tickets: BTreeMap<[u8; 32], Ticket>,
}

struct Ticket {
    requestor: PostofficeName,
    until: Duration,
}

/// The operating system gives no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no randomness: {0}")]
pub(super) struct NoRandomness(getrandom::Error);

fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

impl Gate {
    pub(super) fn new() -> Result<Self, NoRandomness> {
        Ok(Self { began: Instant::now(), secret: random()?, state: Mutex::default() })
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// What a thread that panicked left is as good as before: each change of it is one operation.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A nonce that can be answered once.
    pub(super) fn nonce(&self) -> Result<Nonce, NoRandomness> {
        Ok(self.nonce_at(self.now(), random()?))
    }

    fn nonce_at(&self, now: Duration, random: [u8; 16]) -> Nonce {
        let mut nonce = [0; 40];
        let (text, tag) = nonce.split_at_mut(24);
        let (time, rest) = text.split_at_mut(8);
        time.copy_from_slice(&u64::try_from(now.as_millis()).unwrap_or(u64::MAX).to_be_bytes());
        rest.copy_from_slice(&random);
        let keyed = blake3::keyed_hash(&self.secret, text);
        tag.copy_from_slice(keyed.as_bytes().first_chunk::<16>().expect("a hash has 32 bytes"));
        Nonce(nonce)
    }

    /// When a nonce of this server ends; `None` if it is not one, or has ended.
    fn end_of(&self, nonce: &Nonce, now: Duration) -> Option<Duration> {
        let time = nonce.0.first_chunk::<8>()?;
        let random = nonce.0.get(8..)?.first_chunk::<16>()?;
        let made = Duration::from_millis(u64::from_be_bytes(*time));
        let is_ours = blake3::hash(&self.nonce_at(made, *random).0) == blake3::hash(&nonce.0);
        let end = made.checked_add(NONCE_TIME)?;
        (is_ours && made <= now && now < end).then_some(end)
    }

    /// The requestor that a login proves, and a ticket for it, or why there is none, in words for its administrator.
    pub(super) fn ticket(
        &self,
        login: LoginLines,
        desk: &dyn Desk,
    ) -> Result<(PostofficeName, String), String> {
        let (nonce, now) = (login.nonce(), self.now());
        let end = self.end_of(&nonce, now).filter(|_| !self.state().answered.contains_key(&nonce));
        let end = end.ok_or("the nonce was answered before, or has ended")?;
        let requestor = desk.admit(login).map_err(|error| error.to_string())?;
        {
            let mut state = self.state();
            state.answered.retain(|_, end| *end > now);
            if state.answered.insert(nonce, end).is_some() {
                return Err("the nonce was answered before".into());
            }
        }
        let ticket = self.admit(&requestor).map_err(|error| error.to_string())?;
        Ok((requestor, ticket))
    }

    /// A ticket for a requestor that is proved.
    pub(super) fn admit(&self, requestor: &PostofficeName) -> Result<String, NoRandomness> {
        let ticket = random::<32>()?;
        self.state().keep(*blake3::hash(&ticket).as_bytes(), requestor.clone(), self.now());
        Ok(HEXLOWER.encode(&ticket))
    }

    /// The requestor that has a ticket.
    pub(super) fn holder(&self, ticket: &str) -> Option<PostofficeName> {
        let ticket = HEXLOWER.decode(ticket.as_bytes()).ok()?;
        let now = self.now();
        let state = self.state();
        let found = state.tickets.get(blake3::hash(&ticket).as_bytes());
        found.filter(|ticket| ticket.until > now).map(|ticket| ticket.requestor.clone())
    }
}

impl State {
    fn keep(&mut self, ticket: [u8; 32], requestor: PostofficeName, now: Duration) {
        self.tickets.retain(|_, ticket| ticket.until > now);
        let mut own: Vec<([u8; 32], Duration)> = self
            .tickets
            .iter()
            .filter(|(_, ticket)| ticket.requestor == requestor)
            .map(|(hash, ticket)| (*hash, ticket.until))
            .collect();
        own.sort_by_key(|(_, until)| *until);
        let surplus = (own.len() + 1).saturating_sub(TICKETS_MAX);
        for (hash, _) in own.into_iter().take(surplus) {
            self.tickets.remove(&hash);
        }
        self.tickets.insert(ticket, Ticket { requestor, until: now + TICKET_TIME });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_of_its_server_and_ends() {
        let (gate, other) = (Gate::new().unwrap(), Gate::new().unwrap());
        let at = Duration::from_secs(5);
        let nonce = gate.nonce_at(at, [1; 16]);
        assert_eq!(gate.end_of(&nonce, at), Some(at + NONCE_TIME));
        assert_eq!(gate.end_of(&nonce, at + NONCE_TIME), None, "it has ended");
        assert_eq!(gate.end_of(&nonce, Duration::ZERO), None, "it is of the future");
        assert_eq!(other.end_of(&nonce, at), None);
        for byte in 0..40 {
            let mut altered = nonce;
            altered.0[byte] ^= 1;
            assert_eq!(gate.end_of(&altered, at), None, "byte {byte}");
        }
    }

    #[test]
    fn a_requestor_has_a_few_tickets_and_each_ends() {
        let mut state = State::default();
        let name = |text: &str| text.parse::<PostofficeName>().unwrap();
        state.keep([200; 32], name("WEST/HQ"), Duration::ZERO);
        for nth in 0..10_u8 {
            state.keep([nth; 32], name("SOUTH/HQ"), Duration::from_secs(nth.into()));
        }
        assert_eq!(state.tickets.len(), TICKETS_MAX + 1, "another requestor keeps its own");
        assert!(!state.tickets.contains_key(&[1; 32]) && state.tickets.contains_key(&[2; 32]));
        state.keep([50; 32], name("SOUTH/HQ"), TICKET_TIME * 2);
        assert_eq!(state.tickets.len(), 1);
    }
}
