use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use dirsync_carrier::access::Access;
use dirsync_carrier::durable;
use dirsync_testing::conformance::carrier::{
    FIRST, FailingPlace, Points, addressee, all_fail, run, run_failing,
};
use tempfile::TempDir;

use super::*;
use crate::Maildir;

static DELIVERED: AtomicU64 = AtomicU64::new(1000);

/// Delivers into a Maildir, as a mail server of the same machine does.
struct Delivery(PathBuf);

impl MailOut for Delivery {
    fn place(&self) -> String {
        "delivery".into()
    }

    fn send(&self, _: &MailAddress, _: &MailAddress, mail: &[u8]) -> Result<(), CarrierError> {
        let name = format!("new/{}.test", DELIVERED.fetch_add(1, Ordering::Relaxed));
        let delivered =
            durable::replace_file(&self.0.join(name), Access::Own, |out| out.write_all(mail));
        delivered.map(drop).map_err(|error| CarrierError {
            kind: CarrierErrorKind::Unreachable,
            place: self.place(),
            said: error.to_string(),
        })
    }
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.0.path().join("new")).unwrap();
        fs::create_dir(folder.0.path().join("cur")).unwrap();
        folder
    }

    fn carrier(&self, me: &PostofficeName) -> MailCarrier {
        carrier(self.0.path(), me)
    }

    fn deliver(&self, mail: &[u8]) -> String {
        let id = format!("{}.test", DELIVERED.fetch_add(1, Ordering::Relaxed));
        fs::write(self.0.path().join("new").join(&id), mail).unwrap();
        id
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.path().join(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn name(text: &str) -> PostofficeName {
    text.parse().unwrap()
}

fn address(name: &PostofficeName) -> MailAddress {
    format!("{}@example", blake3::hash(name.folded().as_bytes()).to_hex().split_at(20).0)
        .parse()
        .unwrap()
}

fn carrier(folder: &Path, me: &PostofficeName) -> MailCarrier {
    let all = [addressee(), name("NORTH/HQ"), name("SOUTH/HQ"), name("South/..b"), name("South/x")];
    let peers = all.into_iter().map(|name| (name.clone(), address(&name))).collect();
    let parties = Parties { me: me.clone(), address: address(me), peers };
    let out = Box::new(Delivery(folder.to_owned()));
    MailCarrier::new(parties, out, Box::new(Maildir::new(folder)), 100_000)
}

struct Full(Folder);

impl FailingPlace for Full {
    fn connect(&self, me: &PostofficeName) -> Box<dyn Carrier> {
        Box::new(self.0.carrier(me))
    }

    fn failing(&self, me: &PostofficeName, nth: u64, work: &mut dyn FnMut(&dyn Carrier)) {
        durable::fail_at(Some(nth + 1));
        work(&self.0.carrier(me));
        durable::fail_at(None);
    }
}

#[test]
fn it_keeps_its_promises_over_a_maildir() {
    let folder = Folder::new();
    run(&|me| Box::new(folder.carrier(me)));
    assert_eq!(folder.names("new"), [""; 0]);
}

#[test]
fn each_file_operation_fails() {
    let points = run_failing(&|| Box::new(Full(Folder::new())));
    assert_eq!(points, Points { put: 6, list: 0, fetch: 0, taken: 3 });
}

#[test]
fn a_maildir_that_is_away_is_not_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    all_fail(&carrier(&folder.path().join("away"), &addressee()), CarrierErrorKind::Unreachable);
}

#[test]
fn a_folder_that_is_a_link_is_refused() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let letter = carrier(elsewhere.0.path(), &name("NORTH/HQ"));
    letter.put(&addressee(), FIRST, b"bytes").unwrap();
    for sub in ["new", "cur"] {
        let path = folder.0.path().join(sub);
        fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink(elsewhere.0.path().join(sub), &path).unwrap();
        let error = folder.carrier(&addressee()).list().unwrap_err();
        assert!(error.kind == CarrierErrorKind::Refused && error.said.contains("link"), "{error}");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
    }
}

/// A stranger knows the name of a file that is expected, and sends one of his own under it.
#[test]
fn a_file_of_the_same_name_hides_no_genuine_one() {
    let folder = Folder::new();
    let (from, to) = (folder.carrier(&name("NORTH/HQ")), folder.carrier(&addressee()));
    let message = "north+hq-1f-12-1.dirsync";
    for bytes in [&b"forged"[..], b"genuine", b"forged again", b"genuine"] {
        from.put(&addressee(), message, bytes).unwrap();
    }
    let listed = to.list().unwrap();
    assert_eq!(listed.len(), 3, "{listed:?}");
    let bytes = |file: &CarrierFile| to.fetch(file, 100).unwrap();
    let forged = listed.iter().find(|file| file.name == message).unwrap();
    assert_eq!(bytes(forged).unwrap(), b"forged", "the oldest has the name");
    to.taken(forged).unwrap();
    to.taken(forged).unwrap();
    assert_eq!(bytes(forged), None, "the name means no other file");
    let left: Vec<_> = folder.carrier(&addressee()).list().unwrap();
    assert_eq!(left.len(), 2);
    for file in &listed {
        assert!(dirsync_carrier::is_of_message(&file.name), "{file:?}");
        if file != forged {
            assert!(bytes(file).is_some());
            to.taken(file).unwrap();
        }
    }
    assert_eq!(to.list().unwrap(), []);
    assert_eq!((folder.names("new").len(), folder.names("cur").len()), (0, 4));
}

/// The content that was fetched is the one that is taken, whatever comes meanwhile.
#[test]
fn what_was_not_fetched_is_not_taken() {
    let folder = Folder::new();
    let (from, to) = (folder.carrier(&name("NORTH/HQ")), folder.carrier(&addressee()));
    from.put(&addressee(), FIRST, b"one").unwrap();
    let file = to.list().unwrap().remove(0);
    assert_eq!(to.fetch(&file, 9).unwrap().unwrap(), b"one");
    folder.carrier(&addressee()).taken(&file).unwrap();
    from.put(&addressee(), FIRST, b"two").unwrap();
    to.taken(&file).unwrap();
    to.taken(&file).unwrap();
    let file = to.list().unwrap().remove(0);
    assert_eq!(to.fetch(&file, 9).unwrap().unwrap(), b"two");
}

/// `docs/failure-stories.md` §9: a reader is stopped between any two steps, and the mailbox renumbers its mail.
#[test]
fn duplicate_mail_is_applied_once() {
    let folder = Folder::new();
    let from = folder.carrier(&name("NORTH/HQ"));
    for _ in 0..3 {
        from.put(&addressee(), FIRST, b"bytes").unwrap();
    }
    let mut fetched = 0;
    for step in 0..3 {
        // Each run is stopped before it has taken anything, and finds the mail under other handles.
        let run = folder.carrier(&addressee());
        for file in run.list().unwrap() {
            fetched += u32::from(run.fetch(&file, 100).unwrap().is_some());
        }
        for id in folder.names("new") {
            let new = folder.0.path().join("new");
            fs::rename(new.join(&id), new.join(format!("{step}{id}"))).unwrap();
        }
    }
    assert_eq!(fetched, 3, "nothing was skipped, and three copies are one file");
    let run = folder.carrier(&addressee());
    run.taken(&run.list().unwrap()[0]).unwrap();
    assert_eq!(folder.carrier(&addressee()).list().unwrap(), []);
}

#[test]
fn mail_of_others_stays_where_it_is_unread() {
    let folder = Folder::new();
    let others: [&[u8]; 4] = [
        b"From: <a@b.example>\r\nSubject: lunch\r\n\r\nAt noon?\r\n",
        b"From: <a@b.example>\r\nSubject: Status report from NET/PO\r\n\r\n[DIRSYNC]\r\nTASK=EXPORT\r\n",
        b"Subject: spam\r\nMessage-ID: <dirsync.short@x>\r\n\r\n",
        b"\xff\x00",
    ];
    others.iter().for_each(|mail| drop(folder.deliver(mail)));
    let before = folder.names("new");
    let to = folder.carrier(&addressee());
    folder.carrier(&name("NORTH/HQ")).put(&addressee(), FIRST, b"bytes").unwrap();
    let counts = to.counts().unwrap();
    assert_eq!((counts.classic, counts.others, counts.with_files), (1, 3, 1));
    for file in to.list().unwrap() {
        to.taken(&file).unwrap();
    }
    assert_eq!((to.returned().unwrap(), to.useless().unwrap()), (vec![], vec![]));
    assert_eq!(folder.names("new"), before);
    assert_eq!(folder.names("cur").len(), 1);
}

/// The user that runs the tests may read everything, so the refusal is made.
#[test]
fn a_mail_that_cannot_be_read_keeps_no_other_back() {
    struct Refusing(Maildir, String);
    impl Mailbox for Refusing {
        fn place(&self) -> String {
            self.0.place()
        }
        fn unread(&self) -> Result<Vec<crate::MailRef>, CarrierError> {
            self.0.unread()
        }
        fn is_unread(&self, id: &str) -> Result<bool, CarrierError> {
            self.0.is_unread(id)
        }
        fn read(&self, id: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, CarrierError> {
            if id != self.1 {
                return self.0.read(id, bytes_max);
            }
            let (kind, said) = (CarrierErrorKind::Refused, "permission denied".into());
            Err(CarrierError { kind, place: self.place(), said })
        }
        fn file(&self, id: &str) -> Result<(), CarrierError> {
            self.0.file(id)
        }
    }
    let folder = Folder::new();
    let id = folder.deliver(b"Subject: x\r\n\r\n");
    folder.carrier(&name("NORTH/HQ")).put(&addressee(), FIRST, b"bytes").unwrap();
    let to = folder.carrier(&addressee());
    let mailbox = Box::new(Refusing(Maildir::new(folder.0.path()), id.clone()));
    let to = MailCarrier { mailbox, ..to };
    assert_eq!(to.list().unwrap().len(), 1);
    let useless = to.useless().unwrap();
    assert_eq!(useless[0].mail, id);
    assert!(useless[0].reason.as_ref().unwrap().contains("permission denied"), "{useless:?}");
    assert_eq!(to.useless().unwrap(), []);
}

/// An IMAP server moves new mail to `cur` when somebody looks into the mailbox.
#[test]
fn mail_that_was_seen_by_a_program_but_not_read_is_found() {
    let folder = Folder::new();
    folder.carrier(&name("NORTH/HQ")).put(&addressee(), FIRST, b"bytes").unwrap();
    let id = folder.names("new").remove(0);
    let cur = folder.0.path().join("cur");
    fs::rename(folder.0.path().join("new").join(&id), cur.join(format!("{id}:2,F"))).unwrap();
    let to = folder.carrier(&addressee());
    let file = to.list().unwrap().remove(0);
    assert_eq!(to.fetch(&file, 9).unwrap().unwrap(), b"bytes");
    to.taken(&file).unwrap();
    assert_eq!(folder.names("cur"), [format!("{id}:2,FS")]);
    assert_eq!(to.list().unwrap(), []);
}

#[test]
fn a_mail_with_two_files_is_read_when_both_were_taken() {
    let folder = Folder::new();
    let mut mail = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    for (version, to) in [(1, "South/..a"), (2, "South/..a"), (3, "SOUTH/HQ")] {
        let head = format!("--b\r\nDirsync-To: {to}\r\n\r\n");
        mail.extend_from_slice(head.as_bytes());
        mail.extend_from_slice(&signal_to(to, version));
        mail.extend_from_slice(b"\r\n");
    }
    mail.extend_from_slice(b"--b--\r\n");
    folder.deliver(&mail);
    let to = folder.carrier(&addressee());
    let listed = to.list().unwrap();
    assert_eq!(listed.len(), 2, "the third is for another");
    to.taken(&listed[0]).unwrap();
    assert_eq!((to.list().unwrap().len(), folder.names("new").len()), (1, 1));
    to.taken(&listed[1]).unwrap();
    assert_eq!((to.list().unwrap().len(), folder.names("new").len()), (0, 0));
}

fn signal_to(to: &str, sent: u64) -> Vec<u8> {
    use dirsync_seal::{KeyPair, Signal};
    let pair = KeyPair::from_seed(&[1; 32], "a key").unwrap();
    let signal = Signal { sent, ..Signal::default() };
    let parties = (&name("NORTH/HQ"), &name(to));
    let file = signal.seal(parties, None, &pair, pair.public()).unwrap();
    dirsync_seal::SignalLines::read(&mut file.as_slice()).unwrap();
    file
}

#[test]
fn an_addressee_without_an_address_is_a_setting() {
    let folder = Folder::new();
    let error = folder.carrier(&name("NORTH/HQ")).put(&name("EAST/HQ"), FIRST, b"").unwrap_err();
    assert_eq!(error.kind, CarrierErrorKind::Settings);
    assert!(error.to_string().contains("EAST/HQ"), "{error}");
}

/// A bounce of a file of this postoffice is told once in a run, and again until it is filed.
#[test]
fn a_bounce_is_told_until_it_is_filed() {
    let folder = Folder::new();
    let north = folder.carrier(&name("NORTH/HQ"));
    north.put(&addressee(), FIRST, b"bytes").unwrap();
    let sent =
        fs::read_to_string(folder.0.path().join("new").join(&folder.names("new")[0])).unwrap();
    let (header, _) = sent.split_once("\r\n\r\n").unwrap();
    let report = "Final-Recipient: rfc822; x@example\r\nAction: failed\r\nStatus: 5.3.4\r\n\
                  Diagnostic-Code: smtp; 552 5.3.4 Message size exceeds fixed limit\r\n";
    let bounce = format!(
        "Return-Path: <>\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nSorry.\r\n--b\r\n\
         Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n{report}\r\n--b\r\n\
         Content-Type: text/rfc822-headers\r\n\r\n{header}\r\n--b--\r\n"
    );
    let id = folder.deliver(bounce.as_bytes());
    let expected = Returned {
        mail: id.clone(),
        file_name: Some(FIRST.into()),
        addressee: Some(addressee()),
        class: BounceClass::TooLarge,
        words: "552 5.3.4 Message size exceeds fixed limit".into(),
    };
    assert_eq!(north.returned().unwrap(), [expected]);
    assert_eq!(north.returned().unwrap(), []);
    assert_eq!(
        folder.carrier(&addressee()).returned().unwrap(),
        [],
        "it is not of this postoffice"
    );
    let again = folder.carrier(&name("NORTH/HQ"));
    assert_eq!(again.returned().unwrap().len(), 1, "it was not filed");
    again.file(&id).unwrap();
    assert_eq!(folder.carrier(&name("NORTH/HQ")).returned().unwrap(), []);
    assert_eq!(folder.names("cur"), [format!("{id}:2,S")]);

    // A bounce that names the id alone is matched by the program that sent the mail.
    let id = hint::id_of(&name("NORTH/HQ"), &addressee(), FIRST);
    let text = format!(
        "From: MAILER-DAEMON\r\n\r\nYour mail <{id}@x> was not delivered: no such user\r\n"
    );
    folder.deliver(text.as_bytes());
    let known = north.returned().unwrap();
    assert_eq!((known[0].file_name.as_deref(), known[0].class), (Some(FIRST), BounceClass::Failed));
    let unknown = folder.carrier(&name("NORTH/HQ")).returned().unwrap();
    assert_eq!((&unknown[0].file_name, &unknown[0].addressee), (&None, &None));
}
