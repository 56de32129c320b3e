//! What lies in an inbox and is no request that can be taken.

use crate::site::{Place, people};

/// The server's inbox in a shared folder.
fn inbox_of_the_server(place: &Place, share: &str) -> std::path::PathBuf {
    let mut inboxes = std::fs::read_dir(place.path(share)).unwrap().flatten();
    inboxes.next().expect("a request was sent").path()
}

/// A suspended site waits on a folder of its own and on one that it shares with another alike; nobody
/// else does, and when it is resumed its request is taken as it is.
#[test]
fn a_suspended_site_s_request_waits_wherever_it_is_left() {
    let place = Place::two_sites();
    for (site, name, share) in [("alps", "ALPS/DEPOT", "share"), ("west", "WEST/DOCK", "alone")] {
        place
            .run(&format!("-C hq requestor add {name} --folder {share} --out {site}.inv"))
            .expect(0);
        place.run(&format!("-C {site} init --invitation {site}.inv")).expect(0);
        place.run(&format!("-C {site} send")).expect(0);
    }
    place.cycle();
    place.write("people.csv", &people(0..5));
    for (site, name) in [("alps", "ALPS/DEPOT"), ("west", "WEST/DOCK")] {
        place.run(&format!("-C hq requestor suspend {name}")).expect(0);
        place
            .run(&format!("-C {site} entry add --name {site} --address SMTP:{site}@x.example"))
            .expect(0);
        place.run(&format!("-C {site} send")).expect(0);
    }
    place.run("-C sales import people.csv --whole").expect(0);
    place.cycle();
    assert_eq!(place.status("hq")["entries"], 5, "others go on");
    let status = place.status("hq");
    let waiting = status["inbox"]["suspended"].as_array().unwrap();
    assert_eq!(waiting.len(), 2, "{status}");
    assert!(place.run("-C hq status").out.contains("requestor resume ALPS/DEPOT"));
    assert!(place.run("-C hq check").expect(0).out.contains("requestor resume WEST/DOCK"));
    let quiet = place.run("-C hq process").expect(0);
    assert!(!quiet.err.contains("suspended"), "it is said once: {}", quiet.err);
    for name in ["ALPS/DEPOT", "WEST/DOCK"] {
        place.run(&format!("-C hq requestor resume {name}")).expect(0);
    }
    place.run("-C hq process").expect(0);
    assert_eq!(place.status("hq")["inbox"]["suspended"].as_array().unwrap().len(), 0);
    place.cycle();
    assert_eq!(place.status("hq")["entries"], 7);
}

#[cfg(unix)]
#[test]
fn what_is_no_message_is_counted_in_status_and_check() {
    let place = Place::two_sites();
    place.cycle();
    let inbox = inbox_of_the_server(&place, "share");
    place.run("-C hq status").expect(0);
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
    let sites = ["hq", "sales"].map(|site| {
        let counts = ["status", "check"].map(|word| {
            let json = place.run(&format!("-C {site} {word} --json")).expect(0).json();
            json["inbox"]["no_messages"].as_array().unwrap().len()
        });
        assert_eq!(counts[0], counts[1]);
        counts[0]
    });
    assert_eq!(sites.iter().sum::<usize>(), 5, "at whom they lie: {sites:?}");
    let (word, other) = if sites[0] == 5 { ("hq", "sales") } else { ("sales", "hq") };
    for command in ["status", "check"] {
        let said = place.run(&format!("-C {word} {command}")).expect(0).out;
        assert!(said.contains("5 that are no messages") && said.contains("notes.txt"), "{said}");
        let said = place.run(&format!("-C {other} {command}")).expect(0).out;
        assert!(!said.contains("no messages"), "{said}");
    }
    place.cycle();
    assert!(inbox.join("notes.txt").exists(), "they are never touched");
    let left = (1001..1004).filter(|number| like_a_message(*number).symlink_metadata().is_ok());
    assert_eq!(left.count(), 3, "none of them");
}
