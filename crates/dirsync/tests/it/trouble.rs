//! Bad input and bad circumstances: a clear error, and nothing lost.

use crate::sandbox::{Sandbox, people};

/// `docs/failure-stories.md` §1.
#[test]
fn unreadable_source_deletes_nobody() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write(
        "hq/dirsync.toml",
        "[[source]]\nname = \"hr\"\nfile = \"../hr.csv\"\nwhole = true\n",
    );
    sandbox.write("hr.csv", &people(0..30));
    sandbox.run("-C hq cycle").expect(0);
    sandbox.run("-C hq cycle").expect(0);
    assert_eq!(sandbox.status("hq")["entries"], 30);
    std::fs::remove_file(sandbox.path("hr.csv")).unwrap();
    let cycle = sandbox.run("-C hq cycle").expect(3);
    assert!(cycle.err.contains("was not read; nobody is deleted"), "{}", cycle.err);
    assert!(!cycle.err.contains("--force"), "no step that overrides the guard is offered");
    assert_eq!(sandbox.status("hq")["entries"], 30);
    let alarm = sandbox.status("hq")["alarms"][0].clone();
    assert_eq!((&alarm["kind"], &alarm["name"]), (&"source".into(), &"hr".into()));
    sandbox.write("hr.csv", &people(0..30));
    sandbox.run("-C hq cycle").expect(0);
}

#[test]
fn each_bad_file_has_its_error() {
    let sandbox = Sandbox::two_postoffices();
    for (name, content, code, says) in [
        ("none.csv", None, 1, "could not open"),
        ("empty.csv", Some(""), 1, "is empty"),
        (
            "odd.csv",
            Some("colour\nred\n"),
            2,
            "use a map; `dirsync -C hq import FILE --suggest-map`",
        ),
        ("list.pdf", Some("x"), 2, "--format"),
        ("cut.vcf", Some("BEGIN:VCARD\nVERSION:3.0\nUID:1\n"), 1, "cut off"),
    ] {
        if let Some(content) = content {
            sandbox.write(name, content);
        }
        let ran = sandbox.run(&format!("-C hq import {name} --whole"));
        assert_eq!(ran.code, code, "{name}: {}", ran.err);
        assert!(ran.err.contains(says), "{name}: {}", ran.err);
        assert!(!ran.err.contains("postoffice.db"), "{name} is wrong: {}", ran.err);
    }
    sandbox.write("map.toml", "key = \"{no}\"\nname = \"{cn\"\naddres = [\"SMTP:{mail}\"]\n");
    sandbox.write("people.csv", &people(0..2));
    let map = sandbox.run("-C hq import people.csv --map map.toml").expect(2);
    assert!(
        map.err.contains("map.toml:2:9") && map.err.contains("did you mean \"address\""),
        "{}",
        map.err
    );
    sandbox.write("map.toml", "key = \"{numbr}\"\nname = \"{cn}\"\naddress = [\"SMTP:{mail}\"]\n");
    let map = sandbox.run("-C hq import people.csv --map map.toml").expect(2);
    assert!(map.err.contains("no column \"numbr\""), "{}", map.err);
}

/// `docs/failure-stories.md` §5 and §10.
#[test]
fn one_bad_row_stops_nothing() {
    let sandbox = Sandbox::two_postoffices();
    let mut rows = people(0..10).into_bytes();
    rows.extend_from_slice(b"bad,Jos\xe9,jose@x.example,1\n");
    rows.extend_from_slice(b"twice,A,t1@x.example,1\ntwice,B,t2@x.example,1\nbare,Bare,,1\n");
    rows.extend_from_slice(b"last,Last,last@x.example,1\n");
    std::fs::write(sandbox.path("people.csv"), rows).unwrap();
    let report = sandbox.run("-C hq import people.csv --whole --json").expect(3).json();
    let counts = ["added", "quarantined", "without_address"].map(|count| report[count].as_u64());
    assert_eq!(counts, [Some(11), Some(3), Some(1)]);
    let cases = sandbox.run("-C hq quarantine list").expect(3).out;
    assert!(cases.contains("line 12: column 2 is not UTF-8"), "{cases}");
    assert!(cases.contains("--encoding windows-1252"), "{cases}");
    for lines in [(13, 14), (14, 13)] {
        let (line, other) = lines;
        let says = format!(
            "line {line}: the key \"twice\" stands in more than one row, also on line {other}"
        );
        assert!(cases.contains(&says), "{cases}");
    }
    sandbox.write("people.csv", &people(0..11));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    assert_eq!(sandbox.status("hq")["quarantined"], 0, "a case leaves by itself");
}

/// A contact without any address is no entry; a row that is broken may stand for anybody.
#[test]
fn a_row_without_an_address_needs_nobody() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..10));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    sandbox.run("-C hq cycle").expect(0);
    let without = format!("{}x,Xaver,,+1\n,Yves, ,+1\n", people(0..9));
    sandbox.write("people.csv", &without);
    let dry = sandbox.run("-C hq import people.csv --whole --dry-run").expect(0);
    let says = "2 would be skipped without an address\n  Xaver (x)\n  Yves\n";
    assert!(dry.out.contains(says), "{}", dry.out);
    let report = sandbox.run("-C hq import people.csv --whole").expect(0);
    assert!(report.out.contains("2 skipped without an address"), "{}", report.out);
    assert!(report.out.contains("1 removed"), "{}", report.out);
    sandbox.write("people.csv", &format!("{without}9,Broken\n"));
    let report = sandbox.run("-C hq import people.csv --whole --json").expect(3).json();
    let counts = ["without_address", "quarantined", "removed"].map(|name| report[name].as_u64());
    assert_eq!(counts, [Some(2), Some(1), Some(0)]);
    assert_eq!(report["examples"]["without_address"][1]["name"], "Yves");
    let log = sandbox.run("-C hq log").expect(0).out;
    assert!(log.contains("+ 2 without an address + 1 quarantined"), "{log}");
}

#[test]
fn private_things_of_an_address_book_stay_out_unless_asked_for() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write(
        "book.ldif",
        "dn: cn=a\ncn: Ana\nmail: a@x.example\nhomePhone: 1\ninfo: one\n two\n\n",
    );
    let omitted = sandbox.run("-C hq import book.ldif").expect(0);
    let says =
        "private things are left out: 1 home telephone, 1 note; --private keep takes them in";
    assert!(omitted.err.contains(says), "{}", omitted.err);
    let list = || sandbox.run("-C hq entry list --json").expect(0).json();
    let kept = sandbox.run("-C hq import book.ldif --private keep --json").expect(0).json();
    assert_eq!(kept["private_left_out"], serde_json::json!({}));
    sandbox.run("-C hq cycle").expect(0);
    assert_eq!(list()[0]["details"]["homePhone"][0], "1");
    let source = "[[source]]\nname = \"book\"\nfile = \"../book.ldif\"\nprivate = \"";
    sandbox.write("hq/dirsync.toml", &format!("{source}kept\"\n"));
    let check = sandbox.run("-C hq config check").expect(2);
    assert!(check.err.contains("did you mean \"keep\""), "{}", check.err);
    sandbox.write("hq/dirsync.toml", &format!("{source}keep\"\n"));
    sandbox.run("-C hq config check").expect(0);
}

/// A line feed in a value is one in JSON, and not an escape of this program.
#[test]
fn a_value_with_a_line_feed_has_one_in_json() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write(
        "cards.vcf",
        "BEGIN:VCARD\nVERSION:3.0\nUID:1\nFN:Ana\nEMAIL:a@x.example\nTITLE:Pilot\\nCaptain \\\\ Mate\nEND:VCARD\n",
    );
    sandbox.run("-C hq import cards.vcf").expect(0);
    sandbox.run("-C hq cycle").expect(0);
    let list = sandbox.run("-C hq entry list --json").expect(0).json();
    assert_eq!(list[0]["details"]["title"][0], "Pilot\nCaptain \\ Mate");
    let entry = sandbox.run("-C hq entry show a@x.example --json").expect(0).json();
    assert_eq!(entry["details"]["title"][0], "Pilot\nCaptain \\ Mate");
}

#[test]
fn an_address_that_no_mail_reaches_is_quarantined_with_its_reason() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write(
        "people.csv",
        "key,cn,mail\n1,Ana,ana@north.example\n2,Ben,ben north.example\n3,Carl,carl@\n4,Dora,/o=Org/cn=dora\n",
    );
    let report = sandbox.run("-C hq import people.csv --json").expect(3).json();
    assert_eq!((report["added"].as_u64(), report["quarantined"].as_u64()), (Some(2), Some(2)));
    let cases = sandbox.run("-C hq quarantine list").expect(3).out;
    for says in [
        "line 3: \"ben north.example\" is not an SMTP address: it contains a blank",
        "line 4: \"carl@\" is not an SMTP address: it has no domain",
    ] {
        assert!(cases.contains(says), "{cases}");
    }
    let list = sandbox.run("-C hq export --own").expect(0).out;
    assert!(list.contains("X500:/o=Org/cn=dora"), "{list}");
}

#[test]
fn a_configuration_with_mistakes_points_at_each() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("hq/dirsync.toml", "[schedule]\ntims = []\npoll = \"5 parsec\"\n");
    let check = sandbox.run("-C hq config check").expect(2);
    for says in ["dirsync.toml:2:1", "did you mean \"times\"", "dirsync.toml:3:8", "^^^^"] {
        assert!(check.err.contains(says), "{says}: {}", check.err);
    }
    let mistakes = sandbox.run("-C hq config check --json").expect(2).json();
    assert_eq!(mistakes["mistakes"].as_array().unwrap().len(), 2);
    let status = sandbox.run("-C hq status").expect(2);
    assert!(status.err.contains("tims"), "nothing runs on half a configuration");
}

#[test]
fn altered_foreign_and_cut_messages_are_set_aside() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..3));
    sandbox.run("-C hq import people.csv").expect(0);
    sandbox.run("-C sales send").expect(0);
    sandbox.run("-C hq cycle").expect(0);
    let inbox = std::fs::read_dir(sandbox.path("share"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| std::fs::read_dir(path).unwrap().flatten().any(|file| file.path().is_file()))
        .expect("the answer waits");
    let answer = std::fs::read_dir(&inbox)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.is_file())
        .unwrap();
    let show = |at: &str| {
        let answer = answer.to_str().unwrap();
        sandbox.run_words(&["-C", at, "message", "show", answer]).expect(0).out
    };
    let shown = show("sales");
    assert!(shown.contains("[DIRSYNC-TRANSACTIONS]") && shown.contains("Person 1"), "{shown}");
    for (at, why) in [("hq", "only SOUTH/SALES can"), ("nowhere", "is no postoffice")] {
        let shown = show(at);
        assert!(shown.contains("from NORTH/HQ, signed by the key SHA256:"), "{shown}");
        assert!(shown.contains(why) && !shown.contains("Person 1"), "{shown}");
    }
    let whole = std::fs::read(&answer).unwrap();
    let mut altered = whole.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    std::fs::write(&answer, &altered).unwrap();
    let apply = sandbox.run("-C sales apply").expect(3);
    assert!(apply.err.contains("was altered on its way"), "{}", apply.err);
    assert!(inbox.join("refused").read_dir().unwrap().count() == 2, "the file and its reason");
    assert_eq!(sandbox.status("sales")["entries"], 0);
    sandbox.cycle();
    assert_eq!(sandbox.status("sales")["entries"], 3, "the next message heals it");
}

#[test]
fn a_share_that_disappears_is_exit_4() {
    let sandbox = Sandbox::two_postoffices();
    std::fs::rename(sandbox.path("share"), sandbox.path("away")).unwrap();
    let send = sandbox.run("-C sales send").expect(4);
    assert!(send.err.contains("cannot reach the shared folder"), "{}", send.err);
    std::fs::rename(sandbox.path("away"), sandbox.path("share")).unwrap();
    sandbox.run("-C sales send").expect(0);
}

#[test]
fn a_postoffice_that_cannot_be_reached_keeps_nobody_else_waiting() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq requestor add ALPS/DEPOT --folder share --out depot.invitation").expect(0);
    sandbox.run("-C depot init --invitation depot.invitation").expect(0);
    let inboxes = || -> std::collections::BTreeSet<_> {
        let entries = std::fs::read_dir(sandbox.path("share")).unwrap().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    sandbox.cycle();
    let before = inboxes();
    sandbox.run("-C depot send").expect(0);
    sandbox.run("-C hq process").expect(0);
    let depot = inboxes().difference(&before).next().unwrap().clone();
    std::fs::remove_dir_all(&depot).unwrap();
    std::fs::write(&depot, "in the way").unwrap();
    sandbox.write("people.csv", &people(0..3));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    sandbox.run("-C depot send").expect(0);
    sandbox.run("-C sales send").expect(0);
    sandbox.run("-C hq send").expect(0);
    let process = sandbox.run("-C hq process").expect(4);
    assert!(process.err.contains(depot.to_str().unwrap()), "which it is: {}", process.err);
    sandbox.run("-C sales apply").expect(0);
    assert_eq!(
        sandbox.status("sales")["entries"],
        3,
        "who comes later in the alphabet has its answer"
    );
    std::fs::remove_file(&depot).unwrap();
    for step in ["depot send", "hq process", "depot apply"] {
        sandbox.run(&format!("-C {step}")).expect(0);
    }
    assert_eq!(sandbox.status("depot")["entries"], 3);
}

/// `docs/failure-stories.md` §14.
#[test]
fn a_newer_database_is_refused_untouched() {
    let sandbox = Sandbox::two_postoffices();
    let path = sandbox.path("sales/postoffice.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // The user version of a SQLite file: bytes 60 to 63, big-endian.
    bytes[60..64].copy_from_slice(&999u32.to_be_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let status = sandbox.run("-C sales status").expect(1);
    assert!(status.err.contains("999"), "{}", status.err);
    assert!(std::fs::read(&path).unwrap() == bytes, "untouched");
}

#[test]
fn a_damaged_database_is_named_with_its_path() {
    let sandbox = Sandbox::two_postoffices();
    std::fs::write(sandbox.path("sales/postoffice.db"), "x".repeat(8192)).unwrap();
    for line in ["-C sales status", "-C sales send", "-C sales run --once"] {
        let ran = sandbox.run(line).expect(1);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains("sales/postoffice.db"), "{line}: {said}");
        assert!(said.contains("`dirsync -C sales restore FILE`"), "{line}: {said}");
    }
    sandbox.run("-C hq status").expect(0);
}

#[test]
fn what_is_no_postoffice_is_said() {
    let sandbox = Sandbox::new();
    let status = sandbox.run("-C nowhere status").expect(2);
    assert!(
        status.err.contains("is not a postoffice folder") && status.err.contains("hint"),
        "{}",
        status.err
    );
    assert!(!sandbox.exists("nowhere"));
    sandbox.run("-C hq init NORTH --server").expect(2);
    sandbox.run("-C hq init NORTH/HQ").expect(2);
}

/// `docs/failure-stories.md` §13: what an invitation keeps secret appears nowhere else.
#[test]
fn secrets_stay_out_of_logs() {
    let sandbox = Sandbox::two_postoffices();
    let invitation = sandbox.read("sales.invitation");
    let secret = invitation.lines().find(|line| line.starts_with("secret")).unwrap();
    let secret = secret.split('"').nth(1).unwrap();
    let mut said = String::new();
    for line in ["-C sales send", "-C hq process", "-C sales apply", "-C hq cycle --json"] {
        let ran = sandbox.run(line).expect(0);
        said.push_str(&ran.out);
        said.push_str(&ran.err);
    }
    for postoffice in ["hq", "sales"] {
        for line in ["log", "status --json", "quarantine list", "check", "config check"] {
            let ran = sandbox.run(&format!("-C {postoffice} {line}"));
            said.push_str(&ran.out);
            said.push_str(&ran.err);
        }
    }
    for folder in std::fs::read_dir(sandbox.path("share")).unwrap().flatten() {
        let Ok(done) = std::fs::read_dir(folder.path().join("done")) else { continue };
        for file in done.flatten() {
            for postoffice in ["hq", "sales"] {
                let file = file.path();
                let words = ["-C", postoffice, "message", "show", file.to_str().unwrap()];
                let ran = sandbox.run_words(&words);
                said.push_str(&ran.out);
                said.push_str(&ran.err);
            }
        }
    }
    assert!(said.contains("message=request"), "the request was looked at");
    assert!(!said.contains(secret), "the secret was said");
    assert!(!std::fs::read_to_string(sandbox.path("hq/decisions.log")).unwrap().contains(secret));
    assert!(!said.contains("AGE-SECRET-KEY"), "the key of a body was said");
    sandbox.run("-C hq backup hq.backup").expect(0);
    let backup = std::fs::read(sandbox.path("hq.backup")).unwrap();
    said.push_str(&String::from_utf8_lossy(&backup));
    for postoffice in ["hq", "sales"] {
        let private = sandbox.read(&format!("{postoffice}/keys/id_ed25519"));
        // The first lines of all private keys are alike.
        let secret = private.lines().rev().nth(2).unwrap();
        assert!(secret.len() > 20 && !said.contains(secret), "{postoffice}: {secret}");
    }
}

/// `docs/failure-stories.md` §3: three scheduled cycles without an answer are said at both sides, and the
/// first answer ends it.
#[test]
fn silent_peer_raises_an_alarm() {
    use dirsync_store::Store;
    use dirsync_store::sqlite::SqliteStore;

    let sandbox = Sandbox::two_postoffices();
    sandbox.cycle();
    for postoffice in ["hq", "sales"] {
        let step = if postoffice == "hq" { "\"T2 every 1 min\", " } else { "" };
        let times = format!("{step}\"T1 every 1 min\", \"T3 every 1 min\"");
        sandbox.write(
            &format!("{postoffice}/dirsync.toml"),
            &format!("[schedule]\ntimes = [{times}]\n"),
        );
    }
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let silent_for = |minutes: u64| {
        let since = now - minutes * 60 * 1000;
        let mut store = SqliteStore::open(sandbox.path("sales/postoffice.db")).unwrap();
        let mut tables = store.begin().unwrap();
        tables.put_note("agent", Some("runs")).unwrap();
        tables.put_note("first_unanswered", Some(&since.to_string())).unwrap();
        tables.commit().unwrap();
        let mut store = SqliteStore::open(sandbox.path("hq/postoffice.db")).unwrap();
        let mut tables = store.begin().unwrap();
        tables.put_note("agent", Some("runs")).unwrap();
        for mut registration in tables.registrations().unwrap() {
            registration.last_contact = since;
            tables.put_registration(&registration).unwrap();
        }
        tables.commit().unwrap();
    };
    silent_for(1);
    sandbox.run("-C sales status").expect(0);
    sandbox.run("-C hq status").expect(0);
    silent_for(5);
    assert!(sandbox.run("-C sales status").expect(3).out.contains("NORTH/HQ is silent since"));
    assert!(sandbox.run("-C hq status").expect(3).out.contains("SOUTH/SALES is silent since"));
    assert_eq!(sandbox.status("hq")["overdue"], 1);
    // By hand nothing is expected; the agent's next answered request ends it.
    sandbox.write("sales/dirsync.toml", "");
    sandbox.write("hq/dirsync.toml", "");
    for _ in 0..3 {
        sandbox.run("run sales hq --once");
    }
    sandbox.run("-C sales status").expect(0);
    sandbox.run("-C hq status").expect(0);
}

/// A read that breaks off deletes nobody, however few it would be.
#[test]
fn a_read_that_breaks_off_deletes_nobody() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.cycle();
    let card = |number: u32| {
        format!(
            "BEGIN:VCARD\nVERSION:3.0\nUID:{number}\nFN:Person {number}\nEMAIL:p{number}@x.example\n\
             END:VCARD\n"
        )
    };
    let whole: String = (0..20).map(card).collect();
    sandbox.write("people.vcf", &whole);
    sandbox.run("-C sales import people.vcf --whole").expect(0);
    let cut: String = (0..18).map(card).collect();
    sandbox.write("people.vcf", &format!("{cut}BEGIN:VCARD\nVERSION:3.0\n"));
    let ran = sandbox.run("-C sales import people.vcf --whole").expect(1);
    assert!(ran.err.contains("nobody was deleted"), "{}", ran.err);
    assert_eq!(sandbox.status("sales")["own_entries"], 20);
    // The same rows in a file that ends well are two deletions.
    sandbox.write("people.vcf", &cut);
    sandbox.run("-C sales import people.vcf --whole").expect(0);
    assert_eq!(sandbox.status("sales")["own_entries"], 18);
}

/// A wrong secret admits nobody, and the right one still does afterwards.
#[test]
fn a_forged_invitation_admits_nobody() {
    let sandbox = Sandbox::two_postoffices();
    let invitation = sandbox.read("sales.invitation").split("used = ").next().unwrap().to_owned();
    let secret = invitation.lines().find(|line| line.starts_with("secret")).unwrap();
    let forged = invitation.replace(secret, "secret = \"0123456789abcdef0123456789abcdef\"");
    sandbox.write("forged.invitation", &forged);
    sandbox.run("-C thief init --invitation forged.invitation").expect(0);
    sandbox.run("-C thief send").expect(0);
    let processed = sandbox.run("-C hq process").expect(3);
    assert!(
        processed.err.contains("its secret is not that of the invitation"),
        "{}",
        processed.err
    );
    // Nobody knows whose key it is, so nobody is answered.
    let applied = sandbox.run("-C thief apply").expect(0);
    assert!(applied.out.contains("0 updates applied"), "{}", applied.out);
    let state = || {
        let requestors = sandbox.status("hq")["requestors"].clone();
        let mut sites = requestors.as_array().unwrap().iter();
        sites.find(|site| site["name"] == "SOUTH/SALES").unwrap()["state"].clone()
    };
    assert_eq!(state(), "invited");
    sandbox.run("-C sales send").expect(0);
    sandbox.run("-C hq process").expect(0);
    assert_eq!(state(), "active");
    sandbox.run("-C hq status").expect(0);
}

/// What an invitation shows to be of no use is said before a folder is made with it.
#[test]
fn an_invitation_that_admits_nobody_makes_no_folder() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq requestor add ALPS/DEPOT --folder share --out depot.invitation").expect(0);
    let good = sandbox.read("depot.invitation");
    let with = |key: &str, value: &str| {
        let line = |line: &str| match line.starts_with(key) {
            true if key.starts_with(' ') => format!("{value}\n"),
            true => format!("{key} = {value}\n"),
            false => format!("{line}\n"),
        };
        good.lines().map(line).collect::<String>()
    };
    for (text, says) in [
        (with("expires", "\"2020-01-01T00:00:00Z\""), "expired on 2020-01-01"),
        (
            with("    \"folder:", "\"pigeon:north\""),
            "its carrier \"pigeon:north\" is not a known kind",
        ),
        (with("    \"folder:", "\"folder:\""), "an absolute path is expected"),
        (with("    \"folder:", "\"local:\""), "is for the server alone"),
        (with("    \"folder:", ""), "a list of places, is missing"),
        (with("secret", "\"\""), "has no secret"),
        (with("postoffice", "\"NORTH/HQ\""), "invites the server itself"),
        ("server = ".into(), "bad.invitation"),
        (good.replace("server_key", "key"), "server_key is missing"),
    ] {
        sandbox.write("bad.invitation", &text);
        let init = sandbox.run("-C depot init --invitation bad.invitation").expect(2);
        assert!(
            init.err.contains(says) && init.err.contains("bad.invitation"),
            "{says}: {}",
            init.err
        );
        assert!(!sandbox.exists("depot"), "{says}");
    }
    // It is marked when it was used, for whoever finds it and tries again.
    sandbox.run("-C depot init --invitation depot.invitation").expect(0);
    let again = sandbox.run("-C elsewhere init --invitation depot.invitation").expect(2);
    assert!(again.err.contains("was used"), "{}", again.err);
    assert!(again.err.contains("requestor add ALPS/DEPOT --folder DIR --again"), "{}", again.err);
    assert!(!sandbox.exists("elsewhere"));
}

/// A machine that is suspended, or knows the secret and is not admitted, is answered, and shows why until it is
/// served again. One that does not know the secret is not answered: anybody could ask.
#[test]
fn who_is_not_served_is_told_why() {
    let sandbox = Sandbox::two_postoffices();
    let invitation = sandbox.read("sales.invitation").split("used = ").next().unwrap().to_owned();
    sandbox.run("-C hq requestor add ALPS/DEPOT --folder share --out depot.invitation").expect(0);
    sandbox.run("-C depot init --invitation depot.invitation").expect(0);
    let notice = |postoffice: &str| {
        let status = sandbox.run(&format!("-C {postoffice} status"));
        let says = |line: &&str| line.contains("is not admitted") || line.contains("suspended by");
        let line = status.out.lines().skip(1).find(says);
        (status.code, line.unwrap_or_default().to_owned())
    };
    let serve = |postoffice: &str| {
        sandbox.run(&format!("-C {postoffice} send")).expect(0);
        sandbox.run("-C hq process");
        sandbox.run(&format!("-C {postoffice} apply"));
    };
    // The first machine takes the name; the second one waits no longer without a word.
    serve("sales");
    assert_eq!(notice("sales"), (0, String::new()));
    sandbox.write("twin.invitation", &invitation);
    sandbox.run("-C twin init --invitation twin.invitation").expect(0);
    serve("twin");
    let (code, line) = notice("twin");
    assert!(code == 3 && line.contains("another machine has this name"), "{code} {line}");
    serve("sales");
    assert_eq!(notice("sales"), (0, String::new()));
    // One whose secret is another, and the right one after it.
    let secret = invitation.lines().find(|line| line.starts_with("secret")).unwrap();
    let depot = sandbox.read("depot.invitation").split("used = ").next().unwrap().to_owned();
    let own = depot.lines().find(|line| line.starts_with("secret")).unwrap();
    sandbox.write("odd.invitation", &depot.replace(own, secret));
    sandbox.run("-C odd init --invitation odd.invitation").expect(0);
    serve("odd");
    assert_eq!(notice("odd"), (0, String::new()));
    let status = sandbox.run("-C hq status").expect(3).out;
    assert!(status.contains("its invitation is not the one in force"), "{status}");
    serve("depot");
    assert_eq!(notice("depot"), (0, String::new()));
    // Two that are suspended are told, once for each request, and served when they are resumed.
    for (postoffice, name) in [("sales", "SOUTH/SALES"), ("depot", "ALPS/DEPOT")] {
        sandbox.run(&format!("-C hq requestor suspend {name}")).expect(0);
        let key = format!("{postoffice}-late");
        sandbox
            .run(&format!(
                "-C {postoffice} entry add --key {key} --name Late --address SMTP:{key}@x.example"
            ))
            .expect(0);
        serve(postoffice);
        let (code, line) = notice(postoffice);
        assert!(
            code == 3 && line.contains("suspended by the server"),
            "{postoffice}: {code} {line}"
        );
        let again = sandbox.run("-C hq process --json").json();
        assert_eq!(again["T2"]["messages"], 0, "it is not told again and again");
        sandbox.run(&format!("-C hq requestor resume {name}")).expect(0);
        sandbox.run("-C hq process").expect(0);
        sandbox.run(&format!("-C {postoffice} apply")).expect(0);
        assert_eq!(notice(postoffice), (0, String::new()));
        let listed = sandbox.run(&format!("-C hq why {key}@x.example")).expect(0).out;
        assert!(
            listed.contains("at the server: published"),
            "the request that waited was taken: {listed}"
        );
    }
}

/// Whatever ends a step, the lines of what it did before are shown and logged, with its counts.
#[test]
fn a_step_that_fails_tells_what_it_did_before() {
    use dirsync_directory::EntryId;
    use dirsync_store::Store;
    use dirsync_store::sqlite::SqliteStore;

    let sandbox = Sandbox::two_postoffices();
    let people: String = (0..30).map(|n| format!("{n},Person {n},p{n}@x.example\n")).collect();
    sandbox.write("people.csv", &format!("id,name,email\n{people}"));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    sandbox.run("-C hq cycle").expect(0);
    // An entry that no message can carry: the first answer to SOUTH/SALES cannot be written.
    let with_key = |id: Option<EntryId>, key: &str| {
        let mut store = SqliteStore::open(sandbox.path("hq/postoffice.db")).unwrap();
        let mut tables = store.begin().unwrap();
        let mut found = id;
        let mut find = |(id, _, _): (EntryId, u128, &str)| {
            found.get_or_insert(id);
            std::ops::ControlFlow::Break(())
        };
        tables.visit_own_elements(&mut find).unwrap();
        let id = found.expect("people were imported");
        let mut row = tables.rows(id).unwrap().remove(0);
        let before = std::mem::replace(&mut row.key, key.into());
        tables.put_row(&row).unwrap();
        tables.commit().unwrap();
        (row.id, before)
    };
    let (id, key) = with_key(None, "no\tkey");
    sandbox.run("-C sales send").expect(0);
    let ran = sandbox.run("-C hq process").expect(1);
    assert!(ran.out.contains("1 request processed, 0 answers written"), "{}", ran.out);
    assert!(ran.err.contains("T2 notice: the key of SOUTH/SALES is pinned"), "{}", ran.err);
    assert!(ran.err.contains("error: could not write a message"), "{}", ran.err);
    let log = sandbox.run("-C hq log").expect(0).out;
    for line in ["the key of SOUTH/SALES is pinned", "1 request processed, 0 answers written"] {
        assert!(log.contains(line), "{log}");
    }
    sandbox.run("-C sales send").expect(0);
    let done = &sandbox.run("-C hq cycle --json").expect(1).json()["done"];
    let done: Vec<_> = done.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(done.iter().any(|line| line.contains("request 2 sent")), "{done:?}");
    assert!(done.iter().any(|line| line.contains("2 requests processed")), "{done:?}");
    with_key(Some(id), &key);
    sandbox.run("-C hq process").expect(0);
    sandbox.run("-C sales apply").expect(0);
    assert_eq!(sandbox.status("sales")["entries"], 30);
}
