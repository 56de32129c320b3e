//! Real mail servers on loopback, each with folders and ports of its own.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
/// The user to whom all mail belongs.
const NOBODY: u32 = 65534;
pub const PASSWORD: &str = "se\"cret";

/// Ports that were free a moment ago, all different.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn program(path: &str, package: &str) {
    assert!(Path::new(path).exists(), "{path} is missing; install the package {package}");
}

fn wait_for(port: u16, child: &mut Child, log: &Path) {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = child.try_wait().unwrap();
        let log = || fs::read_to_string(log).unwrap_or_default();
        assert!(ended.is_none() && begun.elapsed() < PATIENCE, "no server: {}", log());
        thread::sleep(Duration::from_millis(50));
    }
}

fn log_file(path: &Path) -> Stdio {
    fs::OpenOptions::new().create(true).append(true).open(path).unwrap().into()
}

/// A root certificate, and a key and a certificate for `localhost`.
pub struct Certificates {
    pub root: Vec<u8>,
    chain: PathBuf,
    key: PathBuf,
}

impl Certificates {
    fn new(folder: &Path) -> Self {
        let mut authority = rcgen::CertificateParams::new(vec![]).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let root = authority.self_signed(&authority_key).unwrap().pem().into_bytes();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        let at = |name: &str| folder.join(name);
        fs::write(at("chain.pem"), leaf.pem()).unwrap();
        fs::write(at("key.pem"), key.serialize_pem()).unwrap();
        fs::set_permissions(at("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
        Self { root, chain: at("chain.pem"), key: at("key.pem") }
    }
}

/// A folder that the users of mail servers may enter.
pub struct MailHost {
    folder: TempDir,
    pub certificates: Certificates,
}

impl MailHost {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let certificates = Certificates::new(folder.path());
        let host = Self { folder, certificates };
        for path in ["mail", "mail/hq", "mail/hq/new", "mail/hq/cur", "mail/hq/tmp"] {
            fs::create_dir(host.at(path)).unwrap();
            chown(host.at(path), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        host
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The mailbox of everybody at `hq.example`.
    pub fn maildir(&self) -> PathBuf {
        self.at("mail/hq")
    }

    /// The number of mails in it, read or not.
    pub fn mails(&self) -> usize {
        ["new", "cur"]
            .iter()
            .map(|sub| fs::read_dir(self.maildir().join(sub)).unwrap().count())
            .sum()
    }

    /// Waits until there are so many.
    pub fn wait_for_mails(&self, count: usize) {
        let begun = Instant::now();
        while self.mails() < count {
            assert!(
                begun.elapsed() < PATIENCE,
                "{} of {count} mails:\n{}",
                self.mails(),
                self.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn log(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.at(name)).unwrap_or_default();
        read("postfix.log") + &read("dovecot.log")
    }
}

/// A Postfix that delivers into Maildirs.
pub struct Postfix {
    child: Child,
    settings: PathBuf,
    /// Takes mail of at most 200,000 bytes, and says so; offers STARTTLS.
    pub port: u16,
    /// The same without saying so.
    pub silent_port: u16,
    /// TLS from the first byte, for those who log in.
    pub tls_port: u16,
}

impl Postfix {
    pub fn start(host: &MailHost) -> Self {
        program("/usr/sbin/postfix", "postfix");
        let settings = host.at("etc");
        let ports @ [port, silent_port, tls_port, small_port] = free_ports();
        let _ = ports;
        for folder in ["etc", "queue", "data"] {
            fs::create_dir(host.at(folder)).unwrap();
        }
        let postfix = fs::read_to_string("/etc/passwd").unwrap();
        let postfix = postfix.lines().find(|line| line.starts_with("postfix:")).unwrap();
        let user: u32 = postfix.split(':').nth(2).unwrap().parse().unwrap();
        chown(host.at("data"), Some(user), None).unwrap();
        let folder = host.folder.path().display();
        let Certificates { chain, key, .. } = &host.certificates;
        let main = format!(
            "compatibility_level=3.6\nqueue_directory={folder}/queue\ndata_directory={folder}/data\n\
             mail_owner=postfix\nsetgid_group=postdrop\ninet_interfaces=127.0.0.1\ninet_protocols=ipv4\n\
             myhostname=localhost\nmydestination=\nmynetworks=127.0.0.0/8\nalias_maps=\nlocal_recipient_maps=\n\
             virtual_mailbox_domains=hq.example,unknown.example\nvirtual_mailbox_base={folder}/mail\n\
             virtual_mailbox_maps=inline:{{ {{@hq.example=hq/}} }}\nsmtpd_reject_unlisted_recipient=no\n\
             virtual_uid_maps=static:{NOBODY}\nvirtual_gid_maps=static:{NOBODY}\nvirtual_minimum_uid=100\n\
             transport_maps=inline:{{ {{small.example=smtp:[127.0.0.1]:{small_port}}} }}\n\
             message_size_limit=200000\nmaillog_file=/dev/stdout\nsmtpd_peername_lookup=no\n\
             smtpd_tls_cert_file={chain}\nsmtpd_tls_key_file={key}\nsmtpd_tls_security_level=may\n\
             smtpd_sasl_type=dovecot\nsmtpd_sasl_path={folder}/auth\nbiff=no\n\
             smtpd_relay_restrictions=permit_mynetworks,reject\nsmtpd_client_connection_count_limit=0\n",
            chain = chain.display(),
            key = key.display(),
        );
        let service = |name: &str, kind: &str, rest: &str| {
            format!("{name} {kind} {} - n - - {rest}\n", if kind == "inet" { "n" } else { "-" })
        };
        let listen = |port: u16, rest: &str| service(&format!("127.0.0.1:{port}"), "inet", rest);
        let mut master = listen(port, "smtpd")
            + &listen(silent_port, "smtpd -o smtpd_discard_ehlo_keywords=size")
            + &listen(small_port, "smtpd -o message_size_limit=20000")
            + &listen(
                tls_port,
                "smtpd -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes \
                 -o smtpd_relay_restrictions=permit_sasl_authenticated,reject",
            );
        for (name, program) in [
            ("rewrite", "trivial-rewrite"),
            ("proxymap", "proxymap"),
            ("smtp", "smtp"),
            ("error", "error"),
            ("retry", "error"),
            ("anvil", "anvil"),
        ] {
            master += &service(name, "unix", program);
        }
        for name in ["bounce", "defer", "trace"] {
            master += &format!("{name} unix - - n - 0 bounce\n");
        }
        master += "virtual unix - n n - - virtual\n";
        master += "cleanup unix n - n - 0 cleanup\nshowq unix n - n - - showq\n";
        master += "pickup unix n - n 1 1 pickup\nqmgr unix n - n 300 1 qmgr\n";
        master += "tlsmgr unix - - n 1000? 1 tlsmgr\npostlog unix-dgram n - n - 1 postlogd\n";
        fs::write(settings.join("main.cf"), main).unwrap();
        fs::write(settings.join("master.cf"), master).unwrap();
        let log = host.at("postfix.log");
        let mut command = Command::new("/usr/sbin/postfix");
        command.arg("-c").arg(&settings).arg("start-fg");
        command.stdout(log_file(&log)).stderr(log_file(&log)).stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        wait_for(port, &mut child, &log);
        Self { child, settings, port, silent_port, tls_port }
    }

    /// The folder of its settings, for its `sendmail`.
    pub fn settings(&self) -> &Path {
        &self.settings
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let stop =
            Command::new("/usr/sbin/postfix").arg("-c").arg(&self.settings).arg("stop").output();
        if stop.is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// A Dovecot that serves the same Maildirs.
pub struct Dovecot {
    child: Child,
    /// IMAP, with STARTTLS.
    pub port: u16,
    /// IMAP with TLS from the first byte.
    pub tls_port: u16,
}

impl Dovecot {
    pub fn start(host: &MailHost) -> Self {
        program("/usr/sbin/dovecot", "dovecot-imapd");
        let [port, tls_port] = free_ports();
        let folder = host.folder.path().display();
        let Certificates { chain, key, .. } = &host.certificates;
        let text = format!(
            "protocols = imap\nbase_dir = {folder}/dovecot\nlog_path = {folder}/dovecot.log\n\
             state_dir = {folder}/dovecot-state\n\
             ssl = yes\nssl_cert = <{chain}\nssl_key = <{key}\ndisable_plaintext_auth = no\nlisten = 127.0.0.1\n\
             mail_location = maildir:{folder}/mail/%n\nfirst_valid_uid = 100\nmail_fsync = never\n\
             passdb {{\n  driver = static\n  args = password={PASSWORD}\n}}\n\
             userdb {{\n  driver = static\n  args = uid={NOBODY} gid={NOBODY} home={folder}/mail/%n\n}}\n\
             service imap-login {{\n  inet_listener imap {{\n    port = {port}\n  }}\n  inet_listener imaps {{\n    port = {tls_port}\n  }}\n}}\n\
             service auth {{\n  unix_listener {folder}/auth {{\n    mode = 0666\n  }}\n}}\n",
            chain = chain.display(),
            key = key.display(),
        );
        let settings = host.at("dovecot.conf");
        fs::write(&settings, text).unwrap();
        let log = host.at("dovecot.log");
        let mut command = Command::new("/usr/sbin/dovecot");
        command.arg("-F").arg("-c").arg(&settings).stdin(Stdio::null());
        command.stdout(log_file(&log)).stderr(log_file(&log));
        let mut child = command.spawn().unwrap();
        wait_for(port, &mut child, &log);
        Self { child, port, tls_port }
    }
}

impl Dovecot {
    /// Ends the sessions that are open, as a server does that restarts.
    pub fn end_sessions(&self) {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let is_session = |child: &&str| {
            let name = fs::read_to_string(format!("/proc/{child}/comm"));
            name.is_ok_and(|name| name.trim() == "imap")
        };
        let sessions: Vec<&str> = children.split_whitespace().filter(is_session).collect();
        assert!(!sessions.is_empty(), "there are sessions");
        for session in sessions {
            assert!(Command::new("kill").args(["-KILL", session]).status().unwrap().success());
        }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
    }
}

/// A server that says these bytes to everybody who connects, at once or one each `pause`, and then is silent.
pub fn mute_server(says: &'static [u8], pause: Duration) -> u16 {
    use std::io::Write as _;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                for byte in says {
                    if stream.write_all(&[*byte]).is_err() {
                        return;
                    }
                    thread::sleep(pause);
                }
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest);
            });
        }
    });
    port
}

/// An SMTP server that answers each command by its first word, and the end of a mail.
pub fn smtp_server(answers: &'static [(&'static str, &'static str)]) -> u16 {
    use std::io::Write as _;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let answer_to = |word: &str| {
                let known = answers.iter().find(|(command, _)| *command == word);
                known.map_or("250 fine", |(_, answer)| answer)
            };
            let _ = write!(stream, "{}\r\n", answer_to("greeting"));
            let mut in_data = false;
            while let Some(Ok(line)) = lines.next() {
                let word = line.split([' ', ':']).next().unwrap_or_default().to_owned();
                let answer = match (in_data, line.as_str()) {
                    (true, ".") => answer_to("end"),
                    (true, _) => continue,
                    (false, "DATA") => "354 go on",
                    (false, _) => answer_to(&word),
                };
                in_data = !in_data && line == "DATA" && answer.starts_with("354");
                if write!(stream, "{answer}\r\n").is_err() {
                    break;
                }
            }
        }
    });
    port
}
