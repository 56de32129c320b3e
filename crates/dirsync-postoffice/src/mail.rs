//! The mail of a postoffice: one mailbox for all its peers.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dirsync_agent::notes::MAIL_ADDRESS;
use dirsync_carrier::Place;
use dirsync_directory::PostofficeName;
use dirsync_mail::carrier::{MailCarrier, Parties, Returned};
use dirsync_mail::imap::{Imap, ImapSettings};
use dirsync_mail::out::{Login, MailOut, Secret, Sendmail, Smtp, SmtpSettings};
use dirsync_mail::read::About;
use dirsync_mail::{MailAddress, Mailbox, Maildir};

use crate::config::{MailInSettings, MailOutSettings, MailServer, MailSettings};
use crate::failure::{Failure, Result};
use crate::keys::read_text;
use crate::postoffice::Postoffice;

/// How long each answer of a mail server may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The program by which mail leaves if the settings name none.
const SENDMAIL: &str = "/usr/sbin/sendmail";
/// The environment variable with the password at the mail servers.
const PASSWORD: &str = "DIRSYNC_MAIL_PASSWORD";
/// The environment variable with the folder of systemd's credentials, and the name of ours in it.
const CREDENTIALS: (&str, &str) = ("CREDENTIALS_DIRECTORY", "dirsync-mail");

/// The carrier of a postoffice's mail, as long as its settings and its peers stay as they are: it remembers which mails it
/// has read.
pub(crate) struct Mail {
    settings: MailSettings,
    parties: Parties,
    pub(crate) carrier: MailCarrier,
}

impl Postoffice {
    /// The address of this postoffice: that of its settings, or of its invitation.
    ///
    /// # Errors
    ///
    /// If it has none.
    pub(crate) fn mail_address(&mut self) -> Result<MailAddress> {
        if let Some(address) = &self.config.mail.address {
            return Ok(address.clone());
        }
        let noted = self.begin()?.note(MAIL_ADDRESS)?;
        let address = noted.and_then(|address| address.parse().ok());
        address.ok_or_else(|| {
            Failure::usage("this postoffice has no mail address")
                .hint("`address` of [mail] in dirsync.toml, for example \"dirsync@north.example\"")
        })
    }

    /// The own mailbox as a place, by which `[[place]]` has its settings.
    pub(crate) fn own_mailbox(&mut self) -> Result<Place> {
        let address = self.mail_address()?;
        Place::mail(address.as_str()).map_err(Failure::usage)
    }

    /// What moves files by mail between this postoffice and these peers.
    pub(crate) fn mail(
        &mut self,
        peers: BTreeMap<PostofficeName, MailAddress>,
    ) -> Result<Arc<Mail>> {
        let (me, address) = (self.name.clone(), self.mail_address()?);
        let (parties, settings) = (Parties { me, address, peers }, self.config.mail.clone());
        let known = self.links.mail(&self.folder);
        let is_same = |known: &Arc<Mail>| known.settings == settings && known.parties == parties;
        if let Some(known) = known.filter(is_same) {
            return Ok(known);
        }
        let login = login(&settings)?;
        let (out, inbox) = (way_out(&settings, login.clone()), mailbox(&settings, login)?);
        let carrier = MailCarrier::new(parties.clone(), out, inbox, settings.mail_kib * 1024);
        let mail = Arc::new(Mail { settings, parties, carrier });
        self.links.keep_mail(&self.folder, &mail);
        Ok(mail)
    }
}

fn way_out(settings: &MailSettings, login: Option<Login>) -> Box<dyn MailOut> {
    match &settings.out {
        None => Box::new(Sendmail::new(Path::new(SENDMAIL), PATIENCE)),
        Some(MailOutSettings::Program(program)) => Box::new(Sendmail::new(program, PATIENCE)),
        Some(MailOutSettings::Smtp(server)) => {
            let MailServer { host, port, security } = server.clone();
            let (roots, hello, patience) = (None, None, PATIENCE);
            let settings = SmtpSettings { host, port, security, login, roots, hello, patience };
            Box::new(Smtp::new(settings))
        }
    }
}

fn mailbox(settings: &MailSettings, login: Option<Login>) -> Result<Box<dyn Mailbox>> {
    match &settings.inbox {
        None => Err(Failure::usage("it is not known where mail arrives")
            .hint("`in` of [mail] in dirsync.toml, for example \"maildir:/var/mail/dirsync\"")),
        Some(MailInSettings::Maildir(folder)) => Ok(Box::new(Maildir::new(folder))),
        Some(MailInSettings::Imap(server)) => {
            let MailServer { host, port, security } = server.clone();
            let login = login.ok_or_else(|| {
                Failure::usage(format!("the user at the mail server {host} is not known"))
                    .hint("`user` and `password_file` of [mail] in dirsync.toml")
            })?;
            let (folder, taken_to, roots) = ("INBOX".to_owned(), None, None);
            let patience = PATIENCE;
            let settings =
                ImapSettings { host, port, security, login, folder, taken_to, roots, patience };
            Ok(Box::new(Imap::new(settings)))
        }
    }
}

/// The login at the mail servers. `None` if the settings name no user.
fn login(settings: &MailSettings) -> Result<Option<Login>> {
    let Some(user) = settings.user.clone() else { return Ok(None) };
    let password = match &settings.password_file {
        Some(file) => password_in(file)?,
        None => match std::env::var(PASSWORD) {
            Ok(password) => password,
            Err(_) => {
                let credential = std::env::var_os(CREDENTIALS.0)
                    .map(|folder| PathBuf::from(folder).join(CREDENTIALS.1));
                let missing = || {
                    Failure::usage(format!(
                        "the password of {user} at the mail server is not known"
                    ))
                    .hint(format!(
                        "`password_file` of [mail], or the environment variable {PASSWORD}"
                    ))
                };
                password_in(&credential.ok_or_else(missing)?)?
            }
        },
    };
    Ok(Some(Login { user, password: Secret(password) }))
}

/// The first line of a file that nobody else can read.
fn password_in(file: &Path) -> Result<String> {
    let failed = |error: io::Error| {
        Failure::usage(format!("could not read the password in \"{}\": {error}", file.display()))
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(file).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            let text = format!("others may read the password in \"{}\"", file.display());
            return Err(Failure::usage(text).hint(format!("chmod 600 {}", file.display())));
        }
    }
    let text = read_text(file).map_err(failed)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// A bounce in words.
pub(crate) fn bounce_in_words(returned: &Returned) -> String {
    let file = returned.file_name.as_deref().unwrap_or("a file");
    let to = returned.addressee.as_ref().map_or("a peer".to_owned(), ToString::to_string);
    let words = dirsync_directory::excerpt(&returned.words);
    format!("the mail with {file} for {to} came back: {words}")
}

/// A mail that nobody can use, in words.
pub(crate) fn useless_in_words(about: &About, reason: &str) -> String {
    let About { from, subject, .. } = about;
    let (from, subject) = (dirsync_directory::excerpt(from), dirsync_directory::excerpt(subject));
    format!("the mail \"{subject}\" of {from} cannot be used: {reason}")
}
