//! The commands of `docs/message-format.md` that check and open a message without dirsync.
#![cfg(unix)]

use std::fs;
use std::process::Command;

use crate::sandbox::{Sandbox, people};

/// The commands of the section "By hand".
fn commands() -> &'static str {
    let page = include_str!("../../../../docs/message-format.md");
    let section = page.split("\n### By hand\n").nth(1).expect("the page has the section");
    let block = section.split("```sh\n").nth(1).expect("the section has commands");
    block.split("```").next().expect("the block ends")
}

/// A folder with a request of SALES to HQ, the sender's public key, and the addressee's private one.
fn received() -> Sandbox {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..30));
    sandbox.run("-C sales import people.csv").expect(0);
    sandbox.run("-C sales send").expect(0);
    fs::create_dir(sandbox.path("desk")).unwrap();
    let inbox = fs::read_dir(sandbox.path("share/north+hq")).unwrap().flatten();
    let message = inbox.map(|file| file.path()).find(|path| path.is_file()).unwrap();
    fs::copy(message, sandbox.path("desk/message.dirsync")).unwrap();
    fs::copy(sandbox.path("sales/keys/id_ed25519.pub"), sandbox.path("desk/sender.pub")).unwrap();
    fs::copy(sandbox.path("hq/keys/id_ed25519"), sandbox.path("desk/id_ed25519")).unwrap();
    sandbox
}

fn pasted(sandbox: &Sandbox) -> (bool, String) {
    let ran = Command::new("sh")
        .args(["-e", "-c", commands()])
        .current_dir(sandbox.path("desk"))
        .output()
        .unwrap();
    let text = [ran.stdout, ran.stderr].concat();
    (ran.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_message_is_checked_and_opened_with_common_programs() {
    let sandbox = received();
    let (done, said) = pasted(&sandbox);
    for says in [
        "Good \"dirsync-message\" signature for sender",
        "head.age: OK",
        "body.age: OK",
        "message=request",
        "[DIRSYNC-TRANSACTIONS]",
        "Person 29",
        "[END] 30",
    ] {
        assert!(done && said.contains(says), "{says}: {said}");
    }
}

#[test]
fn common_programs_notice_what_was_altered() {
    let sandbox = received();
    let path = sandbox.path("desk/message.dirsync");
    let whole = fs::read(&path).unwrap();
    let mut altered = whole.clone();
    *altered.last_mut().unwrap() ^= 1;
    fs::write(&path, &altered).unwrap();
    let (done, said) = pasted(&sandbox);
    assert!(!done && said.contains("body.age: FAILED"), "{said}");

    let lines = String::from_utf8_lossy(&whole).replacen("SOUTH/SALES", "SOUTH/OTHER", 1);
    fs::write(&path, lines.as_bytes()).unwrap();
    let (done, said) = pasted(&sandbox);
    assert!(!done && said.contains("incorrect signature"), "{said}");
}
