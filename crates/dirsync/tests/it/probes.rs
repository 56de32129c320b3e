//! `carrier test` and `requestor test`: a signed probe over each place, and its answer.

use std::fs;

use serde_json::Value;

use crate::agent::{Agent, eventually};
use crate::sandbox::Sandbox;

/// A server and two requestors: one with two shares, and one that was invited and has not been heard.
fn sites() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    let add = "-C hq requestor add";
    sandbox.run(&format!("{add} SOUTH/SALES --folder a --folder b --out s.invitation")).expect(0);
    sandbox.run(&format!("{add} EAST/FLEET --folder e --out e.invitation")).expect(0);
    sandbox.run("-C sales init --invitation s.invitation").expect(0);
    for name in ["sales", "hq", "sales"] {
        sandbox.run(&format!("-C {name} cycle")).expect(0);
    }
    sandbox
}

fn answers(tested: &Value) -> Vec<bool> {
    let places = tested["places"].as_array().unwrap();
    places.iter().map(|place| !place["answer"].is_null()).collect()
}

#[test]
fn a_probe_over_each_place_is_answered_by_an_agent() {
    let sandbox = sites();
    let agent = Agent::start(&sandbox, &["hq", "sales"]);
    for (command, other) in
        [("-C sales carrier test", "NORTH/HQ"), ("-C hq requestor test SOUTH/SALES", "SOUTH/SALES")]
    {
        let said = sandbox.run(command).expect(0).out;
        assert_eq!(said.matches("there and back in ").count(), 2, "{command}: {said}");
        let tested = sandbox.run(&format!("{command} --json")).expect(0).json();
        assert_eq!(tested["postoffice"], other);
        assert_eq!(answers(&tested), [true, true], "{tested}");
        for place in tested["places"].as_array().unwrap() {
            let times = &place["answer"];
            let both = times["there"].as_i64().unwrap() + times["back"].as_i64().unwrap();
            assert_eq!(times["there_and_back"].as_i64().unwrap(), both, "{tested}");
        }
    }
    // One place is away. The other is tried all the same.
    fs::rename(sandbox.path("a"), sandbox.path("away")).unwrap();
    let tested = sandbox.run("-C sales carrier test --json").expect(4).json();
    assert_eq!(answers(&tested), [false, true], "{tested}");
    assert!(tested["places"][0]["error"].as_str().unwrap().contains("cannot reach"), "{tested}");
    assert_eq!(agent.terminate(), 0);
    let log = sandbox.run("-C hq log").expect(0).out;
    assert!(!log.contains("refused"), "{log}");
}

/// Nobody runs: the probe waits at the place until somebody looks there, and the list says the answer.
#[test]
fn a_probe_that_nobody_answers_yet_is_answered_later() {
    let sandbox = sites();
    let said = sandbox.run("-C sales carrier test --wait 0").expect(3).out;
    assert_eq!(said.matches("no answer yet: NORTH/HQ answers when").count(), 2, "{said}");
    let listed = sandbox.run("-C sales carrier list").expect(0).out;
    assert_eq!(listed.matches("is not answered yet").count(), 2, "{listed}");
    for name in ["hq", "sales"] {
        sandbox.run(&format!("-C {name} cycle")).expect(0);
    }
    let listed = sandbox.run("-C sales carrier list").expect(0).out;
    assert_eq!(listed.matches("there and back in ").count(), 2, "{listed}");
    sandbox.run("-C hq requestor test SOUTH/SALES --wait 0").expect(3);
    sandbox.run("-C sales cycle").expect(0);
    sandbox.run("-C hq cycle").expect(0);
    let status = sandbox.run("-C hq status --verbose").out;
    assert_eq!(status.matches("there and back in ").count(), 2, "{status}");
}

/// While the window is closed nothing leaves; when it opens, the line takes the probe along.
#[test]
fn a_probe_waits_for_the_window_of_its_place() {
    let sandbox = sites();
    let place = fs::canonicalize(sandbox.path("a")).unwrap();
    let settings = |windows: &str| {
        let place = place.display();
        format!(
            "[schedule]\nzone = \"UTC\"\n[[place]]\nplace = \"folder:{place}\"\nwindows = [{windows}]\n"
        )
    };
    let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    // The first day of 1970 was a Thursday. In three days it is open.
    let day = days[(now.as_secs() / 86_400 + 3) as usize % 7];
    sandbox.write("sales/dirsync.toml", &settings(&format!("\"{day} 12:00-12:01\"")));
    let tested = sandbox.run("-C sales carrier test --wait 0 --json").expect(3).json();
    assert!(tested["places"][0]["opens"].is_string(), "{tested}");
    assert!(tested["places"][1]["opens"].is_null(), "{tested}");
    let said = sandbox.run("-C sales carrier test --wait 0").expect(3).out;
    assert!(said.contains("it opens in ") && said.contains("the probe leaves then"), "{said}");
    let listed = sandbox.run("-C sales carrier list").expect(0).out;
    assert!(listed.contains("a probe waits for it"), "{listed}");

    sandbox.write("sales/dirsync.toml", &settings("\"Mon-Sun 00:00-24:00\""));
    for name in ["sales", "hq", "sales"] {
        sandbox.run(&format!("-C {name} cycle")).expect(0);
    }
    let listed = sandbox.run("-C sales carrier list").expect(0).out;
    assert_eq!(listed.matches("there and back in ").count(), 2, "{listed}");
}

#[test]
fn a_test_says_why_it_cannot_be_made() {
    let sandbox = sites();
    for (command, status, why) in [
        ("-C hq carrier test", 2, "each requestor has its places"),
        ("-C hq requestor test NORTH/HQ", 2, "is this postoffice itself"),
        ("-C hq requestor test SOUTH/SALE", 1, "did you mean SOUTH/SALES?"),
        ("-C hq requestor test EAST/FLEET", 2, "has not been heard yet"),
        ("-C sales requestor test SOUTH/SALES", 2, "registrations are at the directory server"),
    ] {
        let said = sandbox.run(command).expect(status).err;
        assert!(said.contains(why), "{command}: {said}");
    }
}

/// Whoever may write to a share cannot make anybody answer, and holds up nothing.
#[test]
fn signals_of_strangers_are_not_answered() {
    let sandbox = sites();
    sandbox.run("-C sales carrier test --wait 0").expect(3);
    let inbox = sandbox.path("a").join("north+hq");
    let mut files = fs::read_dir(&inbox).unwrap().flatten().map(|file| file.path());
    let probe = files.find(|path| path.extension().is_some_and(|end| end == "signal")).unwrap();
    let text = fs::read_to_string(&probe).unwrap();
    fs::write(inbox.join("probe-1.signal"), text.replace("sent: ", "sent: 9")).unwrap();
    fs::write(inbox.join("probe-2.signal"), "junk").unwrap();
    fs::write(inbox.join("probe-3.signal"), text.replace("SOUTH/SALES", "WEST/NOBODY")).unwrap();
    let agent = Agent::start(&sandbox, &["hq"]);
    eventually("the answer", || {
        sandbox.run("-C sales cycle").expect(0);
        sandbox.run("-C sales carrier list").expect(0).out.contains("there and back in ")
    });
    assert_eq!(agent.terminate(), 0);
    let answers = fs::read_dir(sandbox.path("a").join("south+sales")).unwrap().flatten();
    let names: Vec<_> = answers.map(|file| file.file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.starts_with("answer")), "each was taken: {names:?}");
    let left = fs::read_dir(&inbox).unwrap().flatten();
    let left: Vec<_> = left.map(|file| file.file_name().into_string().unwrap()).collect();
    assert!(left.contains(&"probe-3.signal".into()), "its sender may be admitted: {left:?}");
    assert!(!left.contains(&"probe-2.signal".into()), "{left:?}");
}
