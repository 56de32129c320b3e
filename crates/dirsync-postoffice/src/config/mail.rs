//! `[mail]`: the mailbox of a postoffice, and how its mail leaves.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use dirsync_mail::MailAddress;
use dirsync_mail::out::Security;

use super::problem::Problem;
use super::reader::{Placed, Reader, Table};

/// How mail leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailOutSettings {
    /// By this program, as sendmail.
    Program(PathBuf),
    /// By this SMTP server.
    Smtp(MailServer),
}

/// Where mail arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailInSettings {
    /// In this Maildir.
    Maildir(PathBuf),
    /// At this IMAP server.
    Imap(MailServer),
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailServer {
    /// Its name or IP address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the connection to it is protected.
    pub security: Security,
}

/// The settings of mail.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MailSettings {
    /// The address of this postoffice.
    pub address: Option<MailAddress>,
    /// How mail leaves.
    pub out: Option<MailOutSettings>,
    /// Where it arrives. `None` if messages are not exchanged by mail.
    pub inbox: Option<MailInSettings>,
    /// The user at the mail servers.
    pub user: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// The largest mail, in KiB as it is encoded.
    pub mail_kib: u64,
}

/// Reads the table.
pub(super) fn mail<'a>(reader: &mut Reader<'a>, table: &Table<'a>, folder: &Path) -> MailSettings {
    let address = reader.text(table, "address").and_then(|text| match text.value.parse() {
        Ok(address) => Some(address),
        Err(error) => {
            let problem = Problem::at(text.span.clone(), "\"mail.address\" is not an address")
                .because(format!("{error}"));
            reader.report(problem);
            None
        }
    });
    let out = reader.text(table, "out").and_then(|text| out(reader, &text, folder));
    let inbox = reader.text(table, "in").and_then(|text| inbox(reader, &text, folder));
    MailSettings {
        address,
        out,
        inbox,
        user: reader.text(table, "user").map(|text| text.value.to_owned()),
        password_file: reader.text(table, "password_file").map(|text| folder.join(text.value)),
        mail_kib: reader.number(table, "mail_kib").unwrap_or_default(),
    }
}

fn out(reader: &mut Reader<'_>, text: &Placed<&str>, folder: &Path) -> Option<MailOutSettings> {
    if let Some(program) = text.value.strip_prefix("sendmail:") {
        return Some(MailOutSettings::Program(folder.join(program)));
    }
    match server(text.value, ("smtp", 587), ("smtps", 465)) {
        Ok(server) => Some(MailOutSettings::Smtp(server)),
        Err(why) => {
            let problem = Problem::at(
                text.span.clone(),
                "\"mail.out\" is no way for mail to leave",
            )
            .because(why)
            .help("for example: out = \"smtp://mail.example\", or \"sendmail:/usr/sbin/sendmail\"");
            reader.report(problem);
            None
        }
    }
}

fn inbox(reader: &mut Reader<'_>, text: &Placed<&str>, folder: &Path) -> Option<MailInSettings> {
    if let Some(path) = text.value.strip_prefix("maildir:") {
        return Some(MailInSettings::Maildir(folder.join(path)));
    }
    match server(text.value, ("imap", 143), ("imaps", 993)) {
        Ok(server) => Some(MailInSettings::Imap(server)),
        Err(why) => {
            let problem =
                Problem::at(text.span.clone(), "\"mail.in\" is no mailbox").because(why).help(
                    "for example: in = \"maildir:/var/mail/dirsync\", or \"imaps://mail.example\"",
                );
            reader.report(problem);
            None
        }
    }
}

/// `SCHEME://HOST:PORT`, where the port may be left out. The first scheme means STARTTLS, but not to this machine.
fn server(url: &str, plain: (&str, u16), tls: (&str, u16)) -> Result<MailServer, String> {
    let (scheme, authority) = url.split_once("://").ok_or("a URL is expected")?;
    if authority.contains('@') {
        return Err(
            "users and passwords do not belong into it: see \"user\" and \"password_file\"".into(),
        );
    }
    let (default, is_tls) = match scheme {
        _ if scheme == plain.0 => (plain.1, false),
        _ if scheme == tls.0 => (tls.1, true),
        _ => return Err(format!("{}:// or {}:// is expected", plain.0, tls.0)),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, port.parse().map_err(|_| "the port is no number from 1 to 65535")?)
        }
        _ => (authority, default),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() || port == 0 || host.contains(['/', ' ', '?']) {
        return Err("a host, and a port if there is one, are expected".into());
    }
    let stays_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|at| at.is_loopback());
    let security = match is_tls {
        true => Security::Tls,
        false if stays_here => Security::None,
        false => Security::StartTls,
    };
    Ok(MailServer { host, port, security })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn parsed(text: &str) -> Result<MailSettings, Vec<(usize, usize, String)>> {
        let config = Config::parse(Path::new("/srv/hq/dirsync.toml"), &format!("[mail]\n{text}"));
        config.map(|config| config.mail).map_err(|errors| errors.positions())
    }

    #[test]
    fn the_settings_of_mail_are_read() {
        let mail = parsed(
            "address = \"dirsync@north.example\"\nout = \"smtp://mail.example\"\nin = \"imaps://mail.example:1993\"\n\
             user = \"dirsync\"\npassword_file = \"mail.password\"\n",
        );
        let mail = mail.unwrap();
        let server = |port, security| MailServer { host: "mail.example".into(), port, security };
        assert_eq!(mail.out, Some(MailOutSettings::Smtp(server(587, Security::StartTls))));
        assert_eq!(mail.inbox, Some(MailInSettings::Imap(server(1993, Security::Tls))));
        assert_eq!(mail.password_file, Some("/srv/hq/mail.password".into()));
        assert_eq!(mail.mail_kib, 9765);
        let mail =
            parsed("out = \"sendmail:/usr/sbin/sendmail\"\nin = \"maildir:Mail\"\n").unwrap();
        assert_eq!(mail.out, Some(MailOutSettings::Program("/usr/sbin/sendmail".into())));
        assert_eq!(mail.inbox, Some(MailInSettings::Maildir("/srv/hq/Mail".into())));
        let mail = parsed("out = \"smtp://[::1]:25\"\n").unwrap();
        let Some(MailOutSettings::Smtp(server)) = mail.out else { panic!("{mail:?}") };
        assert_eq!(
            (server.port, server.security),
            (25, Security::None),
            "it stays on this machine"
        );
    }

    #[test]
    fn mistakes_are_found_at_their_place() {
        for (text, column, says) in [
            ("address = \"nobody\"\n", 11, "not an address"),
            ("out = \"mail.example\"\n", 7, "a URL is expected"),
            ("out = \"imap://mail.example\"\n", 7, "smtp:// or smtps:// is expected"),
            ("out = \"smtp://me:secret@mail.example\"\n", 7, "do not belong into it"),
            ("in = \"imaps://mail.example:x\"\n", 6, "the port"),
            ("in = \"Mail\"\n", 6, "a URL is expected"),
        ] {
            let mistakes = parsed(text).unwrap_err();
            let [(line, column_at, reason)] = mistakes.as_slice() else { panic!("{mistakes:?}") };
            assert_eq!((*line, *column_at), (2, column), "{text}: {reason}");
            assert!(reason.contains(says), "{text}: {reason}");
        }
    }
}
