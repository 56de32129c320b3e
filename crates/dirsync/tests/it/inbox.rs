//! What lies in an inbox and is no request that can be taken.

use crate::sandbox::{Sandbox, people};

/// The server's inbox in a shared folder.
fn inbox_of_the_server(sandbox: &Sandbox, share: &str) -> std::path::PathBuf {
    let mut inboxes = std::fs::read_dir(sandbox.path(share)).unwrap().flatten();
    inboxes.next().expect("a request was sent").path()
}

/// A suspended postoffice waits on a folder of its own and on one that it shares with another alike; nobody
/// else does, and when it is resumed its request is taken as it is.
#[test]
fn a_suspended_postoffice_s_request_waits_wherever_it_is_left() {
    let sandbox = Sandbox::two_postoffices();
    for (postoffice, name, share) in
        [("alps", "ALPS/DEPOT", "share"), ("west", "WEST/DOCK", "alone")]
    {
        sandbox
            .run(&format!("-C hq requestor add {name} --folder {share} --out {postoffice}.inv"))
            .expect(0);
        sandbox.run(&format!("-C {postoffice} init --invitation {postoffice}.inv")).expect(0);
        sandbox.run(&format!("-C {postoffice} send")).expect(0);
    }
    sandbox.cycle();
    sandbox.write("people.csv", &people(0..5));
    for (postoffice, name) in [("alps", "ALPS/DEPOT"), ("west", "WEST/DOCK")] {
        sandbox.run(&format!("-C hq requestor suspend {name}")).expect(0);
        sandbox
            .run(&format!("-C {postoffice} entry add --name {postoffice} --address SMTP:{postoffice}@x.example"))
            .expect(0);
        sandbox.run(&format!("-C {postoffice} send")).expect(0);
    }
    sandbox.run("-C sales import people.csv --whole").expect(0);
    sandbox.cycle();
    assert_eq!(sandbox.status("hq")["entries"], 5, "others go on");
    let status = sandbox.status("hq");
    let waiting = status["inbox"]["suspended"].as_array().unwrap();
    assert_eq!(waiting.len(), 2, "{status}");
    assert!(sandbox.run("-C hq status").out.contains("requestor resume ALPS/DEPOT"));
    assert!(sandbox.run("-C hq check").expect(0).out.contains("requestor resume WEST/DOCK"));
    let quiet = sandbox.run("-C hq process").expect(0);
    assert!(!quiet.err.contains("suspended"), "it is said once: {}", quiet.err);
    for name in ["ALPS/DEPOT", "WEST/DOCK"] {
        sandbox.run(&format!("-C hq requestor resume {name}")).expect(0);
    }
    sandbox.run("-C hq process").expect(0);
    assert_eq!(sandbox.status("hq")["inbox"]["suspended"].as_array().unwrap().len(), 0);
    sandbox.cycle();
    assert_eq!(sandbox.status("hq")["entries"], 7);
}

#[cfg(unix)]
#[test]
fn what_is_no_message_is_counted_in_status_and_check() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.cycle();
    let inbox = inbox_of_the_server(&sandbox, "share");
    sandbox.run("-C hq status").expect(0);
    for name in ["notes.txt", "a-b-c-d.dirsync"] {
        std::fs::write(inbox.join(name), "no message").unwrap();
    }
    // Under names that a message has, what is no file is none all the same.
    let taken = std::fs::read_dir(inbox.join("done")).unwrap().flatten().next().unwrap();
    let taken = taken.file_name().into_string().unwrap();
    let [sender, epoch, ..] = taken.split('-').collect::<Vec<_>>()[..] else { panic!("{taken}") };
    let like_a_message = |number: u64| inbox.join(format!("{sender}-{epoch}-{number}-1.dirsync"));
    std::os::unix::fs::symlink(inbox.join("done").join(&taken), like_a_message(1001)).unwrap();
    let made = std::process::Command::new("mkfifo").arg(like_a_message(1002)).status();
    assert!(made.unwrap().success());
    std::fs::create_dir(like_a_message(1003)).unwrap();
    let postoffices = ["hq", "sales"].map(|postoffice| {
        let counts = ["status", "check"].map(|word| {
            let json = sandbox.run(&format!("-C {postoffice} {word} --json")).expect(0).json();
            json["inbox"]["no_messages"].as_array().unwrap().len()
        });
        assert_eq!(counts[0], counts[1]);
        counts[0]
    });
    assert_eq!(postoffices.iter().sum::<usize>(), 5, "at whom they lie: {postoffices:?}");
    let (word, other) = if postoffices[0] == 5 { ("hq", "sales") } else { ("sales", "hq") };
    for command in ["status", "check"] {
        let said = sandbox.run(&format!("-C {word} {command}")).expect(0).out;
        assert!(
            said.contains("5 files that are no messages") && said.contains("notes.txt"),
            "{said}"
        );
        let said = sandbox.run(&format!("-C {other} {command}")).expect(0).out;
        assert!(!said.contains("no messages"), "{said}");
    }
    sandbox.cycle();
    assert!(inbox.join("notes.txt").exists(), "they are never touched");
    let left = (1001..1004).filter(|number| like_a_message(*number).symlink_metadata().is_ok());
    assert_eq!(left.count(), 3, "none of them");
}
