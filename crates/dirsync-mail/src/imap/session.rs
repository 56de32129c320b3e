//! One connection to an IMAP server, logged in, with a folder selected.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_imap::error::Error;
use async_imap::types::{Fetch, Flag};
use async_imap::{Client, Session};
use dirsync_carrier::CarrierErrorKind;
use futures_util::TryStreamExt as _;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::ImapSettings;
use crate::out::{Security, is_this_machine};

/// A line to the server, with TLS or without.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send + Debug {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Debug> Wire for T {}

type Line = Box<dyn Wire>;

/// Why something did not work.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: CarrierErrorKind,
    pub(super) said: String,
    /// Whether the connection cannot be used any more.
    pub(super) is_cut: bool,
    /// Whether another connection may help at once.
    pub(super) may_help: bool,
}

impl Failure {
    /// A failure after which the connection is as good as before.
    pub(super) fn new(kind: CarrierErrorKind, said: impl Into<String>) -> Self {
        Self { kind, said: said.into(), is_cut: false, may_help: false }
    }

    fn cut(kind: CarrierErrorKind, said: impl Into<String>, may_help: bool) -> Self {
        Self { kind, said: said.into(), is_cut: true, may_help }
    }

    fn of_io(error: &std::io::Error) -> Self {
        let said = error.to_string();
        let is_certificate = said.contains("certificate");
        let kind = match is_certificate {
            true => CarrierErrorKind::Settings,
            false => CarrierErrorKind::Unreachable,
        };
        Self::cut(kind, said, !is_certificate)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => Self::of_io(&error),
            Error::ConnectionLost => {
                Self::cut(CarrierErrorKind::Unreachable, "the connection was lost", true)
            }
            Error::No(said) => Self::new(kind_of(&said, CarrierErrorKind::Refused), words(&said)),
            Error::Bad(said) => Self::new(CarrierErrorKind::Refused, words(&said)),
            Error::Validate(error) => Self::new(CarrierErrorKind::Settings, error.to_string()),
            other => Self::cut(CarrierErrorKind::Unreachable, other.to_string(), false),
        }
    }
}

/// An answer NO is for now if it says so (RFC 5530).
fn kind_of(said: &str, otherwise: CarrierErrorKind) -> CarrierErrorKind {
    let said = said.to_ascii_lowercase();
    let for_now = ["unavailable", "inuse", "limit", "temporar", "try again", "too many"];
    if for_now.iter().any(|word| said.contains(word)) {
        CarrierErrorKind::Unreachable
    } else {
        otherwise
    }
}

/// The words of the server within what the library makes of them: `code: …, info: Some("…")`.
fn words(said: &str) -> &str {
    let info = said.split_once("info: Some(\"").map(|(_, info)| info);
    info.and_then(|info| info.rsplit_once("\")")).map_or(said, |(words, _)| words)
}

/// Waits for an answer, but not for ever.
pub(super) async fn within<T, E: Into<Failure>>(
    time: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(time, work).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(_) => {
            let said = format!("no answer within {} s", time.as_secs_f32());
            Err(Failure::cut(CarrierErrorKind::Unreachable, said, false))
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::of_io(&error)
    }
}

/// A folder that is selected.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) session: Session<Line>,
    pub(super) validity: u32,
    /// The sizes of the unread mail, in bytes, by UID.
    pub(super) sizes: BTreeMap<u32, u32>,
    pub(super) can_move: bool,
    pub(super) can_idle: bool,
}

/// Connects, logs in, and selects the folder.
pub(super) async fn connect(settings: &ImapSettings) -> Result<Selected, Failure> {
    let ImapSettings { login, folder, patience, .. } = settings;
    let client = open(settings).await?;
    let user = &login.user;
    let logged_in =
        async { client.login(user, &login.password.0).await.map_err(|(error, _)| error) };
    let mut session = match within(*patience, logged_in).await {
        Err(failure) if !failure.is_cut => {
            let kind = kind_of(&failure.said, CarrierErrorKind::Settings);
            let said = format!("the login of \"{user}\" was refused: {}", failure.said);
            return Err(Failure::cut(kind, said, false));
        }
        outcome => outcome?,
    };
    let capabilities = within(*patience, session.capabilities()).await?;
    let (can_move, can_idle) = (capabilities.has_str("MOVE"), capabilities.has_str("IDLE"));
    if let Some(folder) = settings.taken_to.as_ref().filter(|_| !can_move) {
        let said = format!("the server cannot move mail, so none can go to \"{folder}\"");
        return Err(Failure::cut(CarrierErrorKind::Settings, said, false));
    }
    let selected = within(*patience, session.select(folder)).await;
    let selected = selected.map_err(|failure| match failure.is_cut {
        true => failure,
        false => {
            let kind = kind_of(&failure.said, CarrierErrorKind::Settings);
            Failure::cut(kind, format!("the folder \"{folder}\": {}", failure.said), false)
        }
    })?;
    let Some(validity) = selected.uid_validity else {
        let said = "the server gives its mail no lasting numbers (UIDVALIDITY)";
        return Err(Failure::cut(CarrierErrorKind::Settings, said, false));
    };
    Ok(Selected { session, validity, sizes: BTreeMap::new(), can_move, can_idle })
}

/// Connects, with TLS if it is wanted, up to the login.
async fn open(settings: &ImapSettings) -> Result<Client<Line>, Failure> {
    let ImapSettings { host, port, security, patience, .. } = settings;
    if *security == Security::None && !is_this_machine(host) {
        let said = "a password is not sent over a line without TLS";
        return Err(Failure::cut(CarrierErrorKind::Settings, said, false));
    }
    let tcp = within(*patience, TcpStream::connect((host.as_str(), *port))).await?;
    let line: Line = match security {
        Security::Tls => Box::new(encrypted(settings, Box::new(tcp)).await?),
        Security::None | Security::StartTls => Box::new(tcp),
    };
    let mut client = Client::new(line);
    let greeting = within(*patience, client.read_response()).await?;
    if greeting.is_none() {
        let said = "the connection was closed without a greeting";
        return Err(Failure::cut(CarrierErrorKind::Unreachable, said, false));
    }
    if *security == Security::StartTls {
        let started = within(*patience, client.run_command_and_check_ok("STARTTLS", None)).await;
        started.map_err(|failure| match failure.is_cut && failure.may_help {
            true => failure,
            false => {
                let said = format!("it does not start TLS: {}", failure.said);
                Failure::cut(CarrierErrorKind::Settings, said, false)
            }
        })?;
        // What came before TLS began, and was not read, is dropped with the old client.
        client = Client::new(Box::new(encrypted(settings, client.into_inner()).await?));
    }
    Ok(client)
}

async fn encrypted(
    settings: &ImapSettings,
    line: Line,
) -> Result<tokio_rustls::client::TlsStream<Line>, Failure> {
    let wrong = |said: String| Failure::cut(CarrierErrorKind::Settings, said, false);
    let config = tls(settings.roots.as_deref()).map_err(|error| wrong(error.to_string()))?;
    let name = ServerName::try_from(settings.host.clone());
    let name = name.map_err(|error| wrong(format!("\"{}\": {error}", settings.host)))?;
    within(settings.patience, TlsConnector::from(Arc::new(config)).connect(name, line)).await
}

fn tls(roots: Option<&[u8]>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let Some(pem) = roots else {
        return Ok(builder.with_platform_verifier()?.with_no_client_auth());
    };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let general =
            |error: rustls::pki_types::pem::Error| rustls::Error::General(error.to_string());
        store.add(certificate.map_err(general)?)?;
    }
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}

impl Selected {
    /// Waits until the server says anything, `goes_on` says no, or the time is over. A server that cannot say anything
    /// by itself is only waited for.
    pub(super) async fn idle(
        mut self,
        patience: Duration,
        time: Duration,
        ask_every: Duration,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Self, Failure> {
        let end = Instant::now() + time;
        if !self.can_idle {
            while goes_on() && Instant::now() < end {
                let rest = end.saturating_duration_since(Instant::now());
                tokio::time::sleep(rest.min(ask_every)).await;
            }
            return Ok(self);
        }
        let mut handle = self.session.idle();
        within(patience, handle.init()).await?;
        {
            let (waited, _stop) = handle.wait_with_timeout(time);
            let mut waited = pin!(waited);
            while goes_on() && Instant::now() < end {
                if let Ok(outcome) = tokio::time::timeout(ask_every, &mut waited).await {
                    outcome?;
                    break;
                }
            }
        }
        self.session = within(patience, handle.done()).await?;
        Ok(self)
    }
}

/// The highest UID of all mail in the folder; 0 if it is empty. New mail is noticed by this command.
pub(super) async fn highest_uid(
    selected: &mut Selected,
    patience: Duration,
) -> Result<u32, Failure> {
    within(patience, selected.session.noop()).await?;
    let found = async {
        let fetched = selected.session.uid_fetch("*", "(UID)").await?;
        fetched.try_collect::<Vec<_>>().await
    };
    match within(patience, found).await {
        Ok(found) => Ok(found.iter().filter_map(|fetch| fetch.uid).max().unwrap_or(0)),
        // Some servers take no "*" for an empty folder.
        Err(failure) if !failure.is_cut => Ok(0),
        Err(failure) => Err(failure),
    }
}

/// What the server says of one mail. `None` if it is gone.
pub(super) async fn fetch(
    selected: &mut Selected,
    uid: u32,
    query: &str,
    time: Duration,
) -> Result<Option<Fetch>, Failure> {
    let fetched = async {
        let fetched = selected.session.uid_fetch(uid.to_string(), query).await?;
        // Servers also tell of other mail meanwhile.
        fetched.try_filter(|fetch| std::future::ready(fetch.uid == Some(uid))).try_collect().await
    };
    let fetched: Vec<Fetch> = within(time, fetched).await?;
    Ok(fetched.into_iter().last())
}

pub(super) fn is_unread(fetch: &Fetch) -> bool {
    !fetch.flags().any(|flag| matches!(flag, Flag::Seen | Flag::Deleted))
}
