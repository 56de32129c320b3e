//! A requestor's end of a link.

use std::io::{Cursor, Read as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dirsync_agent::exchange::BodyLine;
use dirsync_agent::peers::Peer;
use dirsync_carrier::{
    Carrier, CarrierError, CarrierErrorKind, CarrierFile, MessageFile, is_of_message,
};
use dirsync_directory::PostofficeName;
use dirsync_seal::{Content, ContentHash, FirstContact, Login, Nonce, OwnKeys};
use dirsync_transit::Piece;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body, RequestBuilder};

use crate::connector::words;
use crate::wire::{self, Files, ListedFile};

/// How long a request may take beside the time for which it waits at the server.
const REQUEST_TIME: Duration = Duration::from_secs(60);
/// How long a part of a body is to take. Its size follows from how fast the last one was.
const PART_TIME: Duration = Duration::from_secs(15);
/// The size of the first part, in bytes.
const FIRST_PART_BYTES: u64 = 256 * 1024;
/// The smallest part, in bytes.
const PART_BYTES_MIN: u64 = 8 * 1024;
/// Smaller parts are sent without asking first how much the server has.
const ASK_BYTES_MIN: usize = 16 * 1024;
/// The most bytes of words that are read of a refusal.
const WORDS_BYTES_MAX: u64 = 1024;

/// The connections of a requestor to its server, and what came over them. It outlives exchanges, and settings of keys.
pub struct Connections {
    agent: Agent,
    url: String,
    state: Mutex<State>,
    part_bytes: AtomicU64,
}

#[derive(Default)]
struct State {
    ticket: Option<String>,
    /// The files of the last answer that named some.
    files: Vec<ListedFile>,
    /// Whether nobody has listed them.
    are_new: bool,
    /// The body of which a part was sent last, and how much of it the server had then. `None` if that is not known.
    held: Option<(ContentHash, u64)>,
}

impl Connections {
    /// Connections to the server at this URL, which are made when they are needed, by an agent of
    /// [`connector::agent`](crate::connector::agent).
    pub fn new(agent: Agent, url: &str) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        let part_bytes = AtomicU64::new(FIRST_PART_BYTES);
        Self { agent, url, state: Mutex::default(), part_bytes }
    }

    /// What a thread that panicked left is as good as before: each change of it is one operation.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, files: Files) {
        let mut state = self.state();
        state.are_new = !files.0.is_empty();
        state.files = files.0;
    }

    /// The size of the next part is that of one that takes [`PART_TIME`] at this speed.
    fn note_speed(&self, bytes: u64, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        let fits = bytes.saturating_mul(PART_TIME.as_millis() as u64) / millis;
        let size = fits.clamp(PART_BYTES_MIN, wire::PART_BYTES_MAX);
        self.part_bytes.store(size, Ordering::Relaxed);
    }

    fn part_bytes(&self) -> u64 {
        self.part_bytes.load(Ordering::Relaxed)
    }
}

/// A link to the directory server.
pub struct Link {
    /// The connections.
    pub connections: Arc<Connections>,
    /// The keys of this postoffice.
    pub keys: Arc<OwnKeys>,
    /// The server.
    pub server: Peer,
    /// The proof of the invitation.
    pub first_contact: Option<FirstContact>,
    /// How long a request with a message waits for its answer, at most.
    pub wait: Duration,
}

type Called<T> = Result<T, CarrierError>;

impl Link {
    /// Whether files came that nobody has listed.
    pub fn has_news(&self) -> bool {
        self.connections.state().are_new
    }

    /// Waits until files come for this postoffice, or the time is over. Returns whether there are some: the next
    /// listing has them.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, or refuses.
    pub fn wait_for_news(&self, wait: Duration) -> Called<bool> {
        let wait = wait.min(wire::WAIT_MAX);
        let path = format!("/v1/messages?wait={}", wait.as_secs());
        let response = self.call(|agent, url| self.get(agent, url, &path, wait))?;
        let files = self.files_of(response)?;
        let is_any = !files.0.is_empty();
        self.connections.keep(files);
        Ok(is_any)
    }

    fn error(&self, kind: CarrierErrorKind, said: impl Into<String>) -> CarrierError {
        CarrierError { kind, place: self.place(), said: said.into() }
    }

    fn failed(&self, error: &ureq::Error) -> CarrierError {
        let (kind, said) = words(error);
        self.error(kind, said)
    }

    fn get(
        &self,
        agent: &Agent,
        url: &str,
        path: &str,
        wait: Duration,
    ) -> Result<Response<Body>, ureq::Error> {
        timed(self.signed_in(agent.get(format!("{url}{path}"))), wait).call()
    }

    fn signed_in<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.connections.state().ticket {
            Some(ticket) => request.header("authorization", wire::authorization(ticket)),
            None => request,
        }
    }

    /// Makes a request as somebody whom the server knows. The answer is one that a server of a link gives.
    fn call(
        &self,
        request: impl Fn(&Agent, &str) -> Result<Response<Body>, ureq::Error>,
    ) -> Called<Response<Body>> {
        let Connections { agent, url, .. } = &*self.connections;
        if self.connections.state().ticket.is_none() {
            // A request that is refused has brought its whole body in vain.
            let asked = self.get(agent, url, "/v1/messages", Duration::ZERO);
            let asked = asked.map_err(|error| self.failed(&error))?;
            if asked.status() == StatusCode::UNAUTHORIZED {
                self.log_in(self.nonce(asked)?)?;
            }
        }
        let again = || request(agent, url).map_err(|error| self.failed(&error));
        let answer = again()?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return self.checked(answer);
        }
        self.connections.state().ticket = None;
        self.log_in(self.nonce(answer)?)?;
        self.checked(again()?)
    }

    /// The nonce of a 401.
    fn nonce(&self, answer: Response<Body>) -> Called<Nonce> {
        let challenge = answer.headers().get("www-authenticate");
        let nonce = challenge.and_then(|value| value.to_str().ok()).and_then(wire::nonce_of);
        nonce.ok_or_else(|| self.no_link(&answer))
    }

    fn log_in(&self, nonce: Nonce) -> Called<()> {
        let Self { keys, server, first_contact, .. } = self;
        let (signer, rotated) = keys.signing_for(server.confirmed.as_ref());
        let (from, to, first_contact) = (keys.name(), server.keys.name(), first_contact.as_ref());
        let login = Login { from, to, nonce, rotated, first_contact };
        let login = login
            .seal(signer, server.keys.newest())
            .map_err(|error| self.error(CarrierErrorKind::Settings, error.to_string()))?;
        let Connections { agent, url, .. } = &*self.connections;
        let request = timed(agent.post(format!("{url}/v1/tickets")), Duration::ZERO);
        let answer = request.send(&login).map_err(|error| self.failed(&error))?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            let said = format!("the server does not admit {from}: {}", said_in(answer));
            return Err(self.error(CarrierErrorKind::Refused, said));
        }
        let ticket = self.bytes_of(self.checked(answer)?, WORDS_BYTES_MAX)?;
        let ticket = String::from_utf8_lossy(&ticket).trim_end().to_owned();
        self.connections.state().ticket = Some(ticket);
        Ok(())
    }

    /// An answer that does, or may do later, what was asked. Those by which the link says that something is not there
    /// are left to the caller.
    fn checked(&self, answer: Response<Body>) -> Called<Response<Body>> {
        let status = answer.status();
        let kind = match status {
            _ if status.is_success() => return Ok(answer),
            StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::RANGE_NOT_SATISFIABLE => {
                return Ok(answer);
            }
            StatusCode::PAYLOAD_TOO_LARGE => CarrierErrorKind::TooLarge,
            StatusCode::UNAUTHORIZED | StatusCode::UNPROCESSABLE_ENTITY => {
                CarrierErrorKind::Refused
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                CarrierErrorKind::Unreachable
            }
            _ if status.is_server_error() => CarrierErrorKind::Unreachable,
            _ => return Err(self.no_link(&answer)),
        };
        Err(self.error(kind, format!("{status}: {}", said_in(answer))))
    }

    fn no_link(&self, answer: &Response<Body>) -> CarrierError {
        let said = format!(
            "the answer {} is none of a link; a dirsync server is not there",
            answer.status()
        );
        self.error(CarrierErrorKind::Settings, said)
    }

    fn bytes_of(&self, answer: Response<Body>, bytes_max: u64) -> Called<Vec<u8>> {
        let read = answer.into_body().into_with_config().limit(bytes_max).read_to_vec();
        read.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => {
                let said = format!("an answer has more than {bytes_max} bytes");
                self.error(CarrierErrorKind::TooLarge, said)
            }
            error => self.failed(&error),
        })
    }

    fn files_of(&self, answer: Response<Body>) -> Called<Files> {
        let kind = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
        if kind != Some(wire::FILES_TYPE) {
            return Err(self.no_link(&answer));
        }
        let bytes = self.bytes_of(answer, wire::LISTING_BYTES_MAX)?;
        Files::parse(&bytes)
            .map_err(|error| self.error(CarrierErrorKind::Settings, error.to_string()))
    }

    /// The content of a file that came with the last answer, once: later the file may be gone.
    fn content_here(&self, name: &str, bytes_max: u64) -> Option<Vec<u8>> {
        let mut state = self.connections.state();
        let file = state.files.iter_mut().find(|file| file.name == name)?;
        file.content.take_if(|content| content.len() as u64 <= bytes_max)
    }

    /// How many bytes of a body have come, as the server says.
    fn held(&self, body: &Content) -> Called<u64> {
        let path = format!("/v1/bodies/{}", body.hash);
        let answer = self.call(|agent, url| {
            timed(self.signed_in(agent.head(format!("{url}{path}"))), Duration::ZERO).call()
        })?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(0);
        }
        let size = number(&answer, wire::UPLOAD_LENGTH);
        let held = number(&answer, wire::UPLOAD_OFFSET).filter(|_| size == Some(body.bytes));
        held.ok_or_else(|| self.no_link(&answer))
    }
}

/// A request with its deadline.
fn timed<B>(request: RequestBuilder<B>, wait: Duration) -> RequestBuilder<B> {
    request.config().timeout_global(Some(REQUEST_TIME + wait)).build()
}

/// The words of a refusal: its first line.
fn said_in(answer: Response<Body>) -> String {
    let mut text = Vec::new();
    // Of words that are cut off, the beginning is as good.
    let _ = answer.into_body().into_reader().take(WORDS_BYTES_MAX).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    dirsync_directory::excerpt(text.lines().next().unwrap_or_default())
}

fn number(answer: &Response<Body>, name: &str) -> Option<u64> {
    wire::decimal(answer.headers().get(name)?.to_str().ok()?)
}

impl Carrier for Link {
    fn place(&self) -> String {
        format!("the link {}", self.connections.url)
    }

    fn file_bytes_max(&self) -> Option<u64> {
        Some(wire::FILE_BYTES_MAX)
    }

    fn continues(&self) -> bool {
        false
    }

    /// Leaves a file for the server, the only one that takes files from here.
    fn put(&self, to: &PostofficeName, name: &str, bytes: &[u8]) -> Called<()> {
        if to != self.server.keys.name() {
            let said = format!("it leads to {} alone, not to {to}", self.server.keys.name());
            return Err(self.error(CarrierErrorKind::Settings, said));
        }
        if bytes.len() as u64 > wire::FILE_BYTES_MAX {
            let said = format!("{} bytes; at most {} are taken", bytes.len(), wire::FILE_BYTES_MAX);
            return Err(self.error(CarrierErrorKind::TooLarge, said));
        }
        let wait = if is_of_message(name) { self.wait } else { Duration::ZERO };
        let path = format!("/v1/messages/{name}?wait={}", wait.as_secs());
        let answer = self.call(|agent, url| {
            timed(self.signed_in(agent.put(format!("{url}{path}"))), wait).send(bytes)
        })?;
        let files = self.files_of(answer)?;
        if !files.0.is_empty() {
            self.connections.keep(files);
        }
        Ok(())
    }

    fn list(&self) -> Called<Vec<CarrierFile>> {
        let is_new = std::mem::take(&mut self.connections.state().are_new);
        if !is_new {
            let asked =
                self.call(|agent, url| self.get(agent, url, "/v1/messages", Duration::ZERO))?;
            let files = self.files_of(asked)?;
            self.connections.keep(files);
            self.connections.state().are_new = false;
        }
        let state = self.connections.state();
        let listed =
            |file: &ListedFile| CarrierFile { name: file.name.clone(), bytes: Some(file.bytes) };
        Ok(state.files.iter().map(listed).collect())
    }

    fn fetch(&self, file: &CarrierFile, bytes_max: u64) -> Called<Option<Vec<u8>>> {
        if !wire::is_of_link(&file.name) {
            return Ok(None);
        }
        let bytes = match self.content_here(&file.name, bytes_max) {
            Some(bytes) => bytes,
            None => {
                let path = format!("/v1/messages/{}", file.name);
                let answer = self.call(|agent, url| self.get(agent, url, &path, Duration::ZERO))?;
                if answer.status() == StatusCode::NOT_FOUND {
                    return Ok(None);
                }
                self.bytes_of(answer, bytes_max.min(wire::FILE_BYTES_MAX))?
            }
        };
        if bytes.len() as u64 > bytes_max {
            let said = format!("\"{}\" has more than {bytes_max} bytes", file.name);
            return Err(self.error(CarrierErrorKind::TooLarge, said));
        }
        Ok(Some(bytes))
    }

    fn open(&self, file: &CarrierFile) -> Called<Option<Box<dyn MessageFile>>> {
        let bytes = self.fetch(file, u64::MAX)?;
        Ok(bytes.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn MessageFile>))
    }

    fn taken(&self, file: &CarrierFile) -> Called<()> {
        if !wire::is_of_link(&file.name) {
            return Ok(());
        }
        let path = format!("/v1/messages/{}", file.name);
        self.call(|agent, url| {
            timed(self.signed_in(agent.delete(format!("{url}{path}"))), Duration::ZERO).call()
        })?;
        self.connections.state().files.retain(|known| known.name != file.name);
        Ok(())
    }
}

impl BodyLine for Link {
    fn put_part(&self, part: &Piece, bytes: &[u8]) -> Called<u64> {
        let size = usize::try_from(self.connections.part_bytes()).unwrap_or(usize::MAX);
        let bytes = bytes.get(..size).unwrap_or(bytes);
        let is_last = part.at + bytes.len() as u64 == part.body.bytes;
        // After a cut, bytes that the server has already would be sent in vain.
        let is_known = self.connections.state().held.take() == Some((part.body.hash, part.at));
        if !is_known && bytes.len() >= ASK_BYTES_MIN {
            let held = self.held(&part.body)?;
            if held != part.at {
                self.connections.state().held = Some((part.body.hash, held));
                return Ok(held);
            }
        }
        let began = Instant::now();
        let answer = self.call(|agent, url| {
            let path = format!("{url}/v1/bodies/{}", part.body.hash);
            let request = self
                .signed_in(agent.patch(path))
                .header("content-type", wire::PARTIAL_UPLOAD_TYPE)
                .header(wire::UPLOAD_OFFSET, part.at.to_string())
                .header(wire::UPLOAD_LENGTH, part.body.bytes.to_string())
                .header(wire::UPLOAD_COMPLETE, if is_last { "?1" } else { "?0" });
            timed(request, Duration::ZERO).send(bytes)
        })?;
        if answer.status() != StatusCode::CONFLICT {
            self.connections.note_speed(bytes.len() as u64, began.elapsed());
        }
        let held = number(&answer, wire::UPLOAD_OFFSET).ok_or_else(|| self.no_link(&answer))?;
        self.connections.state().held = Some((part.body.hash, held));
        Ok(held)
    }

    fn fetch_part(&self, part: &Piece) -> Called<Option<Vec<u8>>> {
        let size = part.bytes.min(self.connections.part_bytes());
        let range = part.at..part.at + size;
        let began = Instant::now();
        let answer = self.call(|agent, url| {
            let request = self
                .signed_in(agent.get(format!("{url}/v1/bodies/{}", part.body.hash)))
                .header("range", wire::range_header(&range))
                .header("if-range", wire::etag(&part.body.hash));
            timed(request, Duration::ZERO).call()
        })?;
        if answer.status() != StatusCode::PARTIAL_CONTENT {
            return match answer.status() {
                StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE => Ok(None),
                _ => Err(self.no_link(&answer)),
            };
        }
        let found = answer.headers().get("content-range").and_then(|value| value.to_str().ok());
        if found.and_then(wire::content_range_of) != Some((part.at, part.body.bytes)) {
            return Err(self.no_link(&answer));
        }
        let mut bytes = Vec::new();
        let read = answer.into_body().into_reader().take(size).read_to_end(&mut bytes);
        match read {
            Err(error) if bytes.is_empty() => Err(self.failed(&ureq::Error::Io(error))),
            // Of a line that was cut off each byte is kept.
            _ => {
                self.connections.note_speed(bytes.len() as u64, began.elapsed());
                Ok(Some(bytes))
            }
        }
    }
}
