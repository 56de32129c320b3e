//! Mail by SMTP, with STARTTLS or TLS and a login.

use std::error::Error as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use dirsync_carrier::{CarrierError, CarrierErrorKind};
use dirsync_directory::shown;
use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, SmtpConnection, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailParameter};

use super::{Login, MailOut, Security, is_this_machine};
use crate::address::MailAddress;
use crate::bounce::error_kind;

/// The answer to the last line of a mail may take as many times as long as another one: the server stores or scans it.
const ANSWER_TO_DATA: u32 = 5;
/// The slowest line that is worth waiting for, in bytes a second.
const BYTES_A_SECOND: u64 = 1000;
/// The most attempts that may still hang behind a server that never ends one.
const HANGING_MAX: u32 = 2;
const CHARS_SHOWN_MAX: usize = 300;

/// The settings of an SMTP server.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// The host, by its name or IP address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// The login, if the server wants one.
    pub login: Option<Login>,
    /// The certificates that the server's must lead to, as PEM. `None`: those that the operating system trusts.
    pub roots: Option<Vec<u8>>,
    /// The name by which this machine greets the server; `None` for the address 127.0.0.1.
    pub hello: Option<String>,
    /// How long each answer of the server may take.
    pub patience: Duration,
}

/// An SMTP server.
#[derive(Debug)]
pub struct Smtp {
    settings: Arc<SmtpSettings>,
    hanging: Arc<AtomicU32>,
}

/// Why a mail was not handed over: the kind, and the words.
type Failure = (CarrierErrorKind, String);

impl Smtp {
    /// The server. Nothing is connected yet.
    pub fn new(settings: SmtpSettings) -> Self {
        Self { settings: Arc::new(settings), hanging: Arc::default() }
    }

    fn failed(&self, (kind, said): Failure) -> CarrierError {
        let said: String = said.chars().take(CHARS_SHOWN_MAX).collect();
        CarrierError { kind, place: self.place(), said: shown(&said).into_owned() }
    }

    /// How long a mail may take in all. A server that sends a byte now and then would hold it for ever.
    fn time_for(&self, bytes: usize) -> Duration {
        let steps = self.settings.patience.saturating_mul(6 + ANSWER_TO_DATA);
        steps.saturating_add(Duration::from_secs(bytes as u64 / BYTES_A_SECOND))
    }
}

impl MailOut for Smtp {
    fn place(&self) -> String {
        format!("the mail server {}:{}", self.settings.host, self.settings.port)
    }

    fn send(&self, from: &MailAddress, to: &MailAddress, mail: &[u8]) -> Result<(), CarrierError> {
        let unreachable = |said: String| self.failed((CarrierErrorKind::Unreachable, said));
        if self.hanging.load(Ordering::Relaxed) >= HANGING_MAX {
            return Err(unreachable("it still holds earlier attempts without an answer".into()));
        }
        let (settings, hanging) = (Arc::clone(&self.settings), Arc::clone(&self.hanging));
        let (from, to, mail) = (from.clone(), to.clone(), mail.to_vec());
        let time = self.time_for(mail.len());
        let (sender, receiver) = mpsc::sync_channel(1);
        hanging.fetch_add(1, Ordering::Relaxed);
        let work = move || {
            let _ = sender.send(hand_over(&settings, &from, &to, &mail));
            hanging.fetch_sub(1, Ordering::Relaxed);
        };
        let started = thread::Builder::new().name("mail out".into()).spawn(work);
        if let Err(error) = started {
            self.hanging.fetch_sub(1, Ordering::Relaxed);
            return Err(unreachable(error.to_string()));
        }
        match receiver.recv_timeout(time) {
            Ok(outcome) => outcome.map_err(|failure| self.failed(failure)),
            Err(_) => Err(unreachable(format!("no end within {} s", time.as_secs()))),
        }
    }
}

fn hand_over(
    settings: &SmtpSettings,
    from: &MailAddress,
    to: &MailAddress,
    mail: &[u8],
) -> Result<(), Failure> {
    let address = |address: &MailAddress| {
        let parsed = address.as_str().parse::<Address>();
        parsed.map_err(|error| (CarrierErrorKind::Settings, format!("\"{address}\": {error}")))
    };
    let (from, to) = (address(from)?, address(to)?);
    let hello = hello(settings);
    let (mut connection, size) = connect(settings, &hello)?;
    let bytes = mail.len();
    let mut options = Vec::new();
    match size {
        // 0 stands for no fixed limit (RFC 1870).
        Some(size) if size > 0 && bytes as u64 > size => {
            let said = format!("it takes mail of at most {size} bytes, and this has {bytes}");
            return Err((CarrierErrorKind::TooLarge, said));
        }
        Some(_) => options.push(MailParameter::Size(bytes)),
        None => {}
    }
    connection.command(Mail::new(Some(from), options)).map_err(why)?;
    connection.command(Rcpt::new(to, Vec::new())).map_err(why)?;
    connection.command(Data).map_err(why)?;
    let patience = settings.patience.saturating_mul(ANSWER_TO_DATA);
    let set = connection.set_timeout(Some(patience));
    set.map_err(|error| (CarrierErrorKind::Unreachable, error.to_string()))?;
    connection.message(mail).map_err(why)?;
    // The mail is handed over, whatever the server says to this.
    let _ = connection.set_timeout(Some(Duration::from_secs(1)));
    let _ = connection.quit();
    Ok(())
}

fn hello(settings: &SmtpSettings) -> ClientId {
    settings.hello.as_ref().map_or_else(ClientId::default, |name| ClientId::Domain(name.clone()))
}

/// Connects and logs in. Returns the connection with the size that the server announces.
fn connect(
    settings: &SmtpSettings,
    hello: &ClientId,
) -> Result<(SmtpConnection, Option<u64>), Failure> {
    if settings.login.is_some()
        && settings.security == Security::None
        && !is_this_machine(&settings.host)
    {
        let said = "a password is not sent over a line without TLS";
        return Err((CarrierErrorKind::Settings, said.into()));
    }
    let tls = (settings.security != Security::None).then(|| tls(settings)).transpose()?;
    let first = tls.as_ref().filter(|_| settings.security == Security::Tls);
    let server = (settings.host.as_str(), settings.port);
    let patience = Some(settings.patience);
    let mut connection =
        SmtpConnection::connect(server, patience, hello, first, None).map_err(why)?;
    if let (Security::StartTls, Some(tls)) = (settings.security, &tls) {
        connection.starttls(tls, hello).map_err(why)?;
    }
    if let Some(Login { user, password }) = &settings.login {
        let credentials = Credentials::new(user.clone(), password.0.clone());
        connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).map_err(why)?;
    }
    // The library keeps no limits of the greeting, so it is asked for once more.
    let answer = connection.command(Ehlo::new(hello.clone())).map_err(why)?;
    let size = answer.message().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        words.next().filter(|word| word.eq_ignore_ascii_case("SIZE"))?;
        Some(words.next().and_then(|size| size.parse().ok()).unwrap_or(0))
    });
    Ok((connection, size))
}

fn tls(settings: &SmtpSettings) -> Result<TlsParameters, Failure> {
    let wrong = |error: lettre::transport::smtp::Error| {
        (CarrierErrorKind::Settings, format!("TLS cannot be set up: {error}"))
    };
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(pem) = &settings.roots {
        builder = builder.certificate_store(CertificateStore::None);
        builder = builder.add_root_certificate(Certificate::from_pem(pem).map_err(wrong)?);
    }
    builder.build_rustls().map_err(wrong)
}

/// The kind and the words of an error.
#[allow(clippy::needless_pass_by_value, reason = "the errors of map_err")]
fn why(error: lettre::transport::smtp::Error) -> Failure {
    let mut words = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // An error of I/O repeats its cause.
        if words.last() != Some(&text) {
            words.push(text);
        }
        source = cause.source();
    }
    let mut words = words.join(": ").split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(code) = error.status() {
        let code = code.to_string();
        let kind = error_kind(code.parse().unwrap_or(0), &words);
        return (kind, format!("{code} {words}").trim_end().to_owned());
    }
    if words.is_empty() {
        words = error.to_string();
    }
    if error.is_timeout() || words.contains("os error 11") {
        return (CarrierErrorKind::Unreachable, "it does not answer in time".into());
    }
    let is_settings = error.is_client() || error.is_tls() || words.contains("certificate");
    let kind = if is_settings { CarrierErrorKind::Settings } else { CarrierErrorKind::Unreachable };
    (kind, words)
}
