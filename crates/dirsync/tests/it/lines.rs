//! Places that are used in windows or at a rate: bodies travel apart, in pieces, and nobody else waits for them.

use std::fs;

use serde_json::Value;

use crate::agent::{Agent, eventually};
use crate::sandbox::Sandbox;

/// So many people with texts that do not compress much.
pub fn directory(people: u64) -> String {
    noisy_directory(people, 300)
}

pub fn noisy_directory(people: u64, letters: u64) -> String {
    let mut text = "key,name,mail,description\n".to_owned();
    let mut state = 1_u64;
    for number in 0..people {
        let noise: String = (0..letters)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'a' + (state >> 33) as u8 % 26)
            })
            .collect();
        text += &format!("k{number},Person {number},p{number}@north.example,{noise}\n");
    }
    text
}

/// The settings of a share as a slow place, and other settings.
fn slow(sandbox: &Sandbox, share: &str, settings: &str) -> String {
    let share = fs::canonicalize(sandbox.path(share)).unwrap();
    format!(
        "[schedule]\npoll = \"1 s\"\nzone = \"UTC\"\n[[place]]\nplace = \"folder:{}\"\n{settings}\n",
        share.display()
    )
}

/// A server with a requestor at each of these shares.
fn sites(names: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    for name in names {
        let upper = name.to_uppercase();
        sandbox
            .run(&format!(
                "-C hq requestor add SOUTH/{upper} --folder share-{name} --out {name}.invitation"
            ))
            .expect(0);
        sandbox.run(&format!("-C {name} init --invitation {name}.invitation")).expect(0);
    }
    sandbox
}

/// The names of all files that lie in a share.
fn files(sandbox: &Sandbox, share: &str) -> Vec<String> {
    let folders = fs::read_dir(sandbox.path(share)).unwrap().flatten();
    let of = |folder: fs::DirEntry| fs::read_dir(folder.path()).into_iter().flatten().flatten();
    let name = |file: fs::DirEntry| file.file_name().into_string().unwrap();
    folders.flat_map(of).map(name).collect()
}

fn line(sandbox: &Sandbox, postoffice: &str) -> Value {
    sandbox.run(&format!("-C {postoffice} status --json")).expect(0).json()["requestors"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|one| one["places"].as_array().unwrap().clone())
        .find(|place| !place["line"].is_null())
        .unwrap()["line"]
        .clone()
}

#[test]
fn bodies_travel_in_pieces_where_a_rate_is_set() {
    let sandbox = sites(&["sales"]);
    for name in ["hq", "sales"] {
        let settings = slow(&sandbox, "share-sales", "kib_per_second = 100000");
        sandbox.write(&format!("{name}/dirsync.toml"), &settings);
    }
    sandbox.write("people.csv", &directory(500));
    sandbox.run("-C hq import people.csv").expect(0);
    sandbox.run("-C sales cycle").expect(0);
    sandbox.run("-C hq cycle").expect(0);
    let left = files(&sandbox, "share-sales");
    assert!(left.iter().any(|name| name.ends_with(".piece")), "{left:?}");
    let status = line(&sandbox, "hq");
    assert_eq!(status["body_bytes"], status["body_bytes_sent"], "{status}");
    assert!(status["body_bytes"].as_u64().unwrap() > 50_000, "{status}");
    sandbox.run("-C sales cycle").expect(0);
    assert_eq!(sandbox.status("sales")["entries"], 500);
    let log = sandbox.run("-C sales log").expect(0).out;
    assert!(log.contains("1 body is whole now"), "{log}");

    // Upwards as well, and nothing is left in the share.
    sandbox.write("own.csv", &directory(600).replace("k", "s").replace("north", "south"));
    sandbox.run("-C sales import own.csv").expect(0);
    for name in ["sales", "hq", "sales", "hq"] {
        sandbox.run(&format!("-C {name} cycle")).expect(0);
    }
    assert_eq!(sandbox.status("hq")["entries"], 1100);
    assert_eq!(sandbox.status("sales")["entries"], 1100);
    assert!(!files(&sandbox, "share-sales").iter().any(|name| name.ends_with(".piece")));
}

/// The other side need not know that a place is slow.
#[test]
fn one_side_may_use_a_place_slowly() {
    let sandbox = sites(&["sales"]);
    let settings = slow(&sandbox, "share-sales", "kib_per_second = 100000");
    sandbox.write("hq/dirsync.toml", &settings);
    sandbox.write("people.csv", &directory(500));
    sandbox.run("-C hq import people.csv").expect(0);
    for name in ["sales", "hq", "sales"] {
        sandbox.run(&format!("-C {name} cycle")).expect(0);
    }
    assert_eq!(sandbox.status("sales")["entries"], 500);
}

#[test]
fn nothing_leaves_while_a_window_is_closed() {
    let sandbox = sites(&["sales"]);
    // A minute of a day that is not today.
    let day = |days: i64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        // The first day of 1970 was a Thursday.
        let days = now.as_secs() as i64 / 86_400 + days;
        ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][days.rem_euclid(7) as usize]
    };
    let closed = format!("windows = [\"{} 12:00-12:01\"]", day(3));
    sandbox.write("sales/dirsync.toml", &slow(&sandbox, "share-sales", &closed));
    for _ in 0..2 {
        sandbox.run("-C sales cycle").expect(0);
    }
    assert!(files(&sandbox, "share-sales").is_empty(), "nothing was sent");
    let status = line(&sandbox, "sales");
    assert_eq!(status["messages"], 1, "the newest request: {status}");
    assert!(status["opens"].is_string(), "{status}");
    let listed = sandbox.run("-C sales carrier list").expect(0).out;
    assert!(listed.contains("opens in ") && listed.contains("1 message of "), "{listed}");

    let open = "windows = [\"Mon-Sun 00:00-24:00\"]";
    sandbox.write("sales/dirsync.toml", &slow(&sandbox, "share-sales", open));
    sandbox.run("-C sales cycle").expect(0);
    let sent = files(&sandbox, "share-sales").len();
    assert_eq!(sent, 2, "the one that waited, and that of this cycle");
    for name in ["hq", "sales", "hq"] {
        sandbox.run(&format!("-C {name} cycle")).expect(0);
    }
    let status = sandbox.run("-C hq status").out;
    assert!(status.contains("equal since"), "{status}");
}

/// A line that needs minutes for a first fill holds up no other site, and ends when the agent is told to.
#[test]
fn a_slow_line_holds_up_no_other_site() {
    let sandbox = sites(&["sales", "fleet"]);
    let settings = slow(&sandbox, "share-sales", "kib_per_second = 1");
    sandbox.write("hq/dirsync.toml", &settings);
    for name in ["sales", "fleet"] {
        sandbox.write(&format!("{name}/dirsync.toml"), "[schedule]\npoll = \"1 s\"\n");
    }
    sandbox.write("people.csv", &directory(2000));
    sandbox.run("-C hq import people.csv").expect(0);
    let agent = Agent::start(&sandbox, &["hq", "sales", "fleet"]);
    eventually("the fill of the fast site", || sandbox.status("fleet")["entries"] == 2000);
    eventually("bytes on the slow line", || line(&sandbox, "hq")["body_bytes"] != 0);
    for number in 0..3 {
        let add =
            format!("-C hq entry add --name Greta{number} --address SMTP:g{number}@n.example");
        sandbox.run(&add).expect(0);
        let expected = 2001 + number;
        eventually("a change", || sandbox.status("fleet")["entries"] == expected);
    }
    assert_eq!(sandbox.status("sales")["entries"], 0, "its body is still on its way");
    assert_eq!(agent.terminate(), 0);
}

/// The inbox of a postoffice in a share.
fn inbox(sandbox: &Sandbox, share: &str, of: &str) -> std::path::PathBuf {
    let folders = fs::read_dir(sandbox.path(share)).unwrap().flatten();
    let mut paths = folders.map(|folder| folder.path());
    paths.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(of)).unwrap()
}

/// A side that uses the place at any rate leaves messages that are longer than any piece. Files of that size that are
/// nothing of ours are removed, and hold up nothing.
#[test]
fn large_files_hold_up_no_line() {
    let sandbox = sites(&["sales"]);
    let settings = slow(&sandbox, "share-sales", "kib_per_second = 1000000");
    sandbox.write("sales/dirsync.toml", &settings);
    sandbox.write("hq/dirsync.toml", "[carrier]\npart_mib = 64\n");
    sandbox.write("people.csv", &noisy_directory(4500, 4000));
    sandbox.run("-C hq import people.csv").expect(0);
    for name in ["sales", "hq"] {
        sandbox.run(&format!("-C {name} cycle")).expect(0);
    }
    let inbox = inbox(&sandbox, "share-sales", "south");
    let message = fs::read_dir(&inbox).unwrap().flatten().next().unwrap().path();
    assert!(fs::metadata(&message).unwrap().len() > 9 << 20, "it is longer than a piece");
    let forged = message.file_name().unwrap().to_str().unwrap().replace("-1-1.", "-2-1.");
    for name in ["0000-0.piece", "0000-zzz.piece", &forged] {
        fs::File::create(inbox.join(name)).unwrap().set_len(9 << 20).unwrap();
    }
    fs::write(inbox.join("0001-1.piece"), "junk").unwrap();
    sandbox.run("-C sales cycle").expect(0);
    assert_eq!(sandbox.status("sales")["entries"], 4500);
    let log = sandbox.run("-C sales log").expect(0).out;
    assert_eq!(log.matches("was refused and removed").count(), 4, "{log}");
    assert!(log.contains(": 1 message fetched"), "{log}");
    assert!(!files(&sandbox, "share-sales").iter().any(|name| name.ends_with(".piece")));
}

/// The log repeats a failure only now and then.
#[test]
fn a_cycle_says_each_time_why_a_line_failed() {
    let sandbox = sites(&["sales"]);
    let settings = slow(&sandbox, "share-sales", "kib_per_second = 100000");
    sandbox.write("sales/dirsync.toml", &settings);
    fs::rename(sandbox.path("share-sales"), sandbox.path("away")).unwrap();
    for _ in 0..2 {
        let said = sandbox.run("-C sales cycle").expect(4).err;
        assert!(said.contains("cannot reach the shared folder"), "{said}");
    }
}

/// Nothing works at the line of a place that is not slow any more, or not used: its failure would never be over.
#[test]
fn a_line_that_is_gone_fails_no_longer() {
    let sandbox = sites(&["sales", "fleet"]);
    let of_sales = slow(&sandbox, "share-sales", "kib_per_second = 100000");
    let of_fleet = slow(&sandbox, "share-fleet", "kib_per_second = 100000");
    let place = of_fleet.split_once("[[place]]").unwrap().1;
    sandbox.write("sales/dirsync.toml", &of_sales);
    sandbox.write("hq/dirsync.toml", &format!("{of_sales}[[place]]{place}"));
    for share in ["sales", "fleet"] {
        let (from, to) = (format!("share-{share}"), format!("away-{share}"));
        fs::rename(sandbox.path(&from), sandbox.path(&to)).unwrap();
    }
    for name in ["sales", "hq"] {
        sandbox.run(&format!("-C {name} cycle")).expect(4);
    }
    fs::rename(sandbox.path("away-sales"), sandbox.path("share-sales")).unwrap();
    fs::create_dir(sandbox.path("share-new")).unwrap();
    sandbox.run("-C hq requestor set SOUTH/FLEET --folder share-new").expect(0);
    sandbox.run("-C fleet carrier set --folder share-new").expect(0);
    sandbox.write("hq/dirsync.toml", &slow(&sandbox, "share-new", "kib_per_second = 100000"));
    sandbox.write("sales/dirsync.toml", "");
    for name in ["sales", "fleet", "hq", "sales", "fleet"] {
        sandbox.run(&format!("-C {name} cycle")).expect(0);
    }
    for name in ["hq", "sales", "fleet"] {
        let status = sandbox.run(&format!("-C {name} status --json")).out;
        assert!(!status.contains("cannot reach"), "{status}");
    }
}

/// Of several slow places, bodies travel through the one in use.
#[test]
fn pieces_go_where_their_message_goes() {
    let sandbox = Sandbox::new();
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    let add =
        "-C hq requestor add SOUTH/SALES --folder share-b --folder share-a --out s.invitation";
    sandbox.run(add).expect(0);
    sandbox.run("-C sales init --invitation s.invitation").expect(0);
    let rate = "kib_per_second = 100000";
    let both = slow(&sandbox, "share-b", rate);
    let a = fs::canonicalize(sandbox.path("share-a")).unwrap();
    let both = format!("{both}[[place]]\nplace = \"folder:{}\"\n{rate}\n", a.display());
    sandbox.write("hq/dirsync.toml", &both);
    sandbox.write("people.csv", &directory(500));
    sandbox.run("-C hq import people.csv").expect(0);
    sandbox.run("-C sales cycle").expect(0);
    sandbox.run("-C hq cycle").expect(0);
    let pieces =
        |share: &str| files(&sandbox, share).iter().filter(|name| name.ends_with(".piece")).count();
    assert_eq!((pieces("share-b") > 0, pieces("share-a")), (true, 0));
    sandbox.run("-C sales cycle").expect(0);
    assert_eq!(sandbox.status("sales")["entries"], 500);
}

/// A postoffice that is fenced or removed may be a copy of a folder that works elsewhere, and the other one waits for
/// what lies at the place.
#[test]
fn who_takes_nothing_leaves_what_lies_at_a_slow_place() {
    let sandbox = sites(&["sales"]);
    let settings = slow(&sandbox, "share-sales", "kib_per_second = 100000");
    sandbox.write("sales/dirsync.toml", &settings);
    for name in ["sales", "hq", "sales"] {
        sandbox.run(&format!("-C {name} cycle")).expect(0);
    }
    let file = inbox(&sandbox, "share-sales", "south").join("stray.piece");
    fs::write(&file, "no piece").unwrap();
    sandbox.run("-C sales cycle");
    assert!(!file.exists(), "it is fetched, and refused");
    sandbox.run("-C hq requestor remove SOUTH/SALES --yes").expect(0);
    for name in ["sales", "hq", "sales"] {
        sandbox.run(&format!("-C {name} cycle"));
    }
    fs::write(&file, "no piece").unwrap();
    sandbox.run("-C sales cycle");
    assert!(file.exists(), "a postoffice that was removed leaves it");
}
