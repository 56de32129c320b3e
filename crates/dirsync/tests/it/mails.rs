//! Mail: sites that exchange nothing but e-mail. Here a program delivers it as a mail server would.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::agent::{Agent, add, eventually};
use crate::lines::directory;
use crate::sandbox::Sandbox;

/// Delivers into the Maildir of each addressee, as the last step of a mail server does.
const DELIVERY: &str = r#"#!/bin/sh
for to; do :; done
name="$(date +%s%N).$$.here"
mkdir -p "BOXES/$to/tmp" "BOXES/$to/new" "BOXES/$to/cur"
cat > "BOXES/$to/tmp/$name"
mv "BOXES/$to/tmp/$name" "BOXES/$to/new/$name"
"#;

/// A server and requestors, each with a mailbox, between which mail travels by `DELIVERY`.
fn sites(requestors: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let boxes = sandbox.path("boxes");
    sandbox.write("deliver", &DELIVERY.replace("BOXES", &boxes.display().to_string()));
    fs::set_permissions(sandbox.path("deliver"), fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    settings(&sandbox, "hq", "address = \"hub@north.example\"\n", "hub@north.example");
    for name in requestors {
        let (upper, address) = (name.to_uppercase(), format!("{name}@south.example"));
        let add =
            format!("-C hq requestor add SOUTH/{upper} --mail {address} --out {name}.invitation");
        sandbox.run(&add).expect(0);
        sandbox.run(&format!("-C {name} init --invitation {name}.invitation")).expect(0);
        settings(&sandbox, name, "", &address);
    }
    sandbox
}

fn settings(sandbox: &Sandbox, name: &str, address: &str, own: &str) {
    let (program, maildir) = (sandbox.path("deliver"), sandbox.path("boxes").join(own));
    fs::create_dir_all(maildir.join("new")).unwrap();
    fs::create_dir_all(maildir.join("cur")).unwrap();
    let text = format!(
        "[schedule]\npoll = \"1 s\"\n[mail]\n{address}out = \"sendmail:{}\"\nin = \"maildir:{}\"\n",
        program.display(),
        maildir.display()
    );
    sandbox.write(&format!("{name}/dirsync.toml"), &text);
}

fn entries(sandbox: &Sandbox, name: &str) -> u64 {
    sandbox.status(name)["entries"].as_u64().unwrap()
}

/// Two sites by mail, and commands alone.
#[test]
fn a_change_travels_by_mail() {
    let sandbox = sites(&["sales", "fleet"]);
    add(&sandbox, "sales", "ann");
    add(&sandbox, "hq", "bob");
    for name in ["sales", "fleet", "hq", "sales", "fleet"] {
        sandbox.run(&format!("-C {name} cycle")).expect(0);
    }
    assert_eq!((entries(&sandbox, "sales"), entries(&sandbox, "fleet")), (2, 2));
    let listed = sandbox.run("-C sales carrier list").expect(0).out;
    assert!(listed.contains("mail:hub@north.example, in use"), "{listed}");
    let shown = sandbox.run("-C hq requestor show SOUTH/SALES --json").expect(0).json();
    assert_eq!(shown["places"][0], "mail:sales@south.example");
}

/// Agents, a directory that is longer than a mail, and other people's mail in the same mailboxes.
#[test]
fn agents_exchange_long_bodies_by_mail() {
    let sandbox = sites(&["sales", "fleet"]);
    let small = sandbox.read("hq/dirsync.toml") + "mail_kib = 64\n";
    sandbox.write("hq/dirsync.toml", &small);
    sandbox.write("people.csv", &directory(1000));
    sandbox.run("-C hq import people.csv --format csv").expect(0);
    let others = sandbox.path("boxes/sales@south.example/new/1.private");
    fs::write(&others, "From: boss@south.example\r\nSubject: lunch\r\n\r\nAt noon?\r\n").unwrap();
    let agents = [Agent::start(&sandbox, &["hq"]), Agent::start(&sandbox, &["sales", "fleet"])];
    eventually("all have the directory", || {
        ["sales", "fleet"].iter().all(|name| entries(&sandbox, name) == 1000)
    });
    add(&sandbox, "fleet", "carla");
    eventually("a change is everywhere", || {
        ["hq", "sales", "fleet"].iter().all(|name| entries(&sandbox, name) == 1001)
    });
    for agent in agents {
        assert_eq!(agent.terminate(), 0);
    }
    assert!(others.exists(), "other people's mail is left unread");
    let mails = fs::read_dir(sandbox.path("boxes/sales@south.example/cur")).unwrap();
    let sizes: Vec<u64> = mails.map(|mail| mail.unwrap().metadata().unwrap().len()).collect();
    assert!(sizes.len() > 3 && sizes.iter().all(|size| *size <= 64 * 1024), "{sizes:?}");
}

/// A requestor that was never told how mail leaves, or arrives, says what to do.
#[test]
fn missing_settings_of_mail_are_named() {
    let sandbox = sites(&["sales"]);
    sandbox.write("sales/dirsync.toml", "");
    let ran = sandbox.run("-C sales cycle");
    assert!(ran.err.contains("`in` of [mail]"), "{}{}", ran.out, ran.err);
    let other = Sandbox::new();
    other.run("-C hq init NORTH/HQ --server").expect(0);
    let ran = other.run("-C hq requestor add SOUTH/SALES --mail sales@south.example").expect(2);
    assert!(ran.err.contains("`address` of [mail]"), "{}", ran.err);
    let ran = other.run("-C hq requestor add SOUTH/SALES --mail sales").expect(2);
    assert!(ran.err.contains("is not the address of a mailbox"), "{}", ran.err);
}
