use std::os::unix::fs::symlink;
use std::process::Command;

use super::*;

#[test]
fn a_name_keeps_its_flags_and_gets_the_one_of_read_mail() {
    for (name, read) in [
        ("1.a", "1.a:2,S"),
        ("1.a:2,", "1.a:2,S"),
        ("1.a:2,FT", "1.a:2,FST"),
        ("1.a:2,S", "1.a:2,S"),
    ] {
        assert_eq!(read_name(name), read);
        assert_eq!(unique(read), "1.a");
        assert!(!is_unread(read));
    }
    assert!(is_unread("1.a") && is_unread("1.a:2,FR") && !is_unread("1.a:2,T"));
}

#[test]
fn nothing_but_regular_files_inside_is_read_or_moved() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    for sub in ["mail", "mail/new", "mail/cur", "mail/new/folder"] {
        fs::create_dir(at(sub)).unwrap();
    }
    fs::write(at("outside"), "outside").unwrap();
    symlink(at("outside"), at("mail/new/1.link")).unwrap();
    symlink(at("outside"), at("mail/cur/2.link:2,")).unwrap();
    assert!(Command::new("mkfifo").arg(at("mail/new/3.pipe")).status().unwrap().success());
    fs::write(at("mail/new/.hidden"), "x").unwrap();
    fs::write(at("mail/new/9.mail"), "mail").unwrap();
    let mailbox = Maildir::new(&at("mail"));
    let unread = mailbox.unread().unwrap();
    assert_eq!(unread, [MailRef { id: "9.mail".into(), bytes: 4 }]);
    for id in [
        "1.link",
        "2.link",
        "3.pipe",
        "folder",
        "../../outside",
        "/etc/passwd",
        "",
        ".",
        "..",
        ".hidden",
    ] {
        assert_eq!(mailbox.read(id, 100).unwrap(), None, "{id}");
        mailbox.file(id).unwrap();
    }
    assert!(at("outside").exists() && at("mail/new/1.link").is_symlink());
    assert_eq!(mailbox.read("9.mail", 4).unwrap().unwrap(), b"mail");
    assert_eq!(mailbox.read("9.mail", 3).unwrap_err().kind, CarrierErrorKind::TooLarge);
}

#[test]
fn mail_is_listed_by_its_time_from_both_folders_once() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["new", "cur"] {
        fs::create_dir(folder.path().join(path)).unwrap();
    }
    for path in ["new/30.c", "new/10.a", "cur/20.b:2,F", "cur/10.a:2,", "cur/05.z:2,S"] {
        fs::write(folder.path().join(path), "x").unwrap();
    }
    let mailbox = Maildir::new(folder.path());
    let ids: Vec<String> = mailbox.unread().unwrap().into_iter().map(|mail| mail.id).collect();
    assert_eq!(ids, ["10.a", "20.b", "30.c"]);
    mailbox.file("20.b").unwrap();
    mailbox.file("20.b").unwrap();
    assert!(folder.path().join("cur/20.b:2,FS").exists());
    assert!(!mailbox.is_unread("20.b").unwrap() && mailbox.is_unread("30.c").unwrap());
}
