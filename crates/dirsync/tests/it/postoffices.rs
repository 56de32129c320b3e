//! Two postoffices from the README, and what an administrator does with them.

use crate::sandbox::{Sandbox, people};

#[test]
fn the_first_two_postoffices_of_the_readme_work_as_pasted() {
    let readme = include_str!("../../../../README.md");
    let sandbox = Sandbox::new();
    sandbox.write("people.csv", &people(0..25));
    let block = readme.split("## Your first two postoffices").nth(1).unwrap();
    let block = block.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let lines: Vec<&str> = block.lines().collect();
    assert!(lines.len() <= 5, "at most five commands");
    for line in &lines {
        let line = line.strip_prefix("dirsync ").unwrap().replace("/srv/share", "share");
        // The agent runs until it is stopped; here it does what is due and ends.
        let line = if line.starts_with("run") { format!("{line} --once") } else { line };
        let code = sandbox.run(&line).code;
        assert_eq!(code, 0, "{line}");
    }
    // A second look brings the answer to the postoffice that was served first.
    sandbox.run("run hq sales --once").expect(0);
    sandbox.run("run hq sales --once").expect(0);
    assert_eq!(sandbox.status("sales")["entries"], 25);
    assert_eq!(sandbox.status("sales")["digest"], sandbox.status("hq")["digest"]);
}

#[test]
fn exports_are_the_same_bytes_everywhere_and_import_reads_them() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..30));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    sandbox
        .run("-C sales entry add --name Greta --address SMTP:greta@s.example --detail title=Lead")
        .expect(0);
    sandbox.cycle();
    sandbox.cycle();
    for format in ["csv", "ldif", "vcard"] {
        let here = sandbox.run(&format!("-C hq export --format {format}")).expect(0).out;
        let there = sandbox.run(&format!("-C sales export --format {format}")).expect(0).out;
        assert_eq!(here, there);
        assert!(here.contains("Greta"));
    }
    sandbox.run("-C hq export -o all.csv").expect(0);
    let report = sandbox.run("-C hq import all.csv --dry-run --json").expect(0).json();
    // Rows of this origin belong to its source "import" and say what is held already.
    assert_eq!((report["unchanged"].as_u64(), report["foreign"].as_u64()), (Some(30), Some(1)));
}

#[test]
fn a_dry_run_lists_the_addresses_that_others_hold() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..3));
    sandbox.run("-C hq import people.csv").expect(0);
    sandbox.cycle();
    sandbox.write("rivals.csv", "key,cn,mail\na,Rival,P1@x.example\nb,Free,free@x.example\n");
    let report = sandbox.run("-C sales import rivals.csv --dry-run --json").expect(0).json();
    assert_eq!(report["taken"][0]["holder"], "NORTH/HQ");
    assert_eq!(report["added"], 2);
    assert_eq!(sandbox.status("sales")["own_entries"], 0, "a dry run changes nothing");
}

/// `docs/failure-stories.md` §5: who was first keeps the address, both are told, and the wait ends by itself.
#[test]
fn collision_is_shown_at_both_postoffices() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq entry add --key a --name Ana --address SMTP:ana@x.example").expect(0);
    sandbox.cycle();
    sandbox.run("-C sales entry add --key b --name Anna --address SMTP:ANA@x.example").expect(0);
    sandbox.cycle();
    sandbox.cycle();
    let waiting = sandbox.run("-C sales why ana@x.example").expect(0).out;
    assert!(waiting.contains("which NORTH/HQ has"), "{waiting}");
    let holder = sandbox.run("-C hq why ana@x.example").expect(0).out;
    assert!(holder.contains("SOUTH/SALES waits"), "{holder}");
    sandbox.run("-C hq entry delete a").expect(0);
    sandbox.cycle();
    sandbox.cycle();
    let listed = sandbox.run("-C hq entry list --json").expect(0).json();
    assert_eq!(listed[0]["origin"], "SOUTH/SALES");
}

/// `docs/failure-stories.md` §1 and §3: a short file is held, shown, and let through by one command.
#[test]
fn successful_but_empty_read_is_held() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..40));
    sandbox.run("-C sales import people.csv --whole").expect(0);
    sandbox.cycle();
    sandbox.write("people.csv", "key,cn,mail\n");
    let report = sandbox.run("-C sales import people.csv --whole --json").expect(3).json();
    assert_eq!((report["removed"].as_u64(), report["held_removals"].as_u64()), (Some(0), Some(40)));
    sandbox.cycle();
    assert_eq!(sandbox.status("hq")["entries"], 40);
    assert_eq!(sandbox.status("sales")["held"], 40);
    assert_eq!(
        sandbox.run("-C sales held list --json").expect(3).json()["cases"]
            .as_array()
            .unwrap()
            .len(),
        40
    );
    sandbox.run("-C sales held approve --all").expect(0);
    sandbox.cycle();
    sandbox.cycle();
    assert_eq!(sandbox.status("hq")["entries"], 0);
    assert_eq!(sandbox.status("hq")["held"], 0, "what was approved is not held again");
}

#[test]
fn counts_reconcile() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write(
        "people.csv",
        "origin,key,kind,name,address,aliases\nNORTH/HQ,1,mailbox,A,SMTP:a@x,\n\
         EAST/X,2,mailbox,B,SMTP:b@x,\nNORTH/HQ,3,robot,C,SMTP:c@x,\nNORTH/HQ,,mailbox,D,SMTP:d@x,\n",
    );
    let report = sandbox.run("-C hq import people.csv --json").expect(3).json();
    let count = |name: &str| report[name].as_u64().unwrap();
    assert_eq!(count("rows"), 4);
    let parts = ["unchanged", "added", "changed", "foreign", "quarantined", "held"];
    assert_eq!(parts.iter().map(|part| count(part)).sum::<u64>(), 4);
    assert_eq!((count("foreign"), count("quarantined")), (1, 2));
    let cases = sandbox.run("-C hq quarantine list --json").expect(3).json();
    assert_eq!(cases.as_array().unwrap().len(), 2);
}

/// `docs/failure-stories.md` §14: one name, one machine; a second one is refused with the reason.
#[test]
fn two_servers_and_namesakes_are_refused() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.cycle();
    let again = sandbox.run("-C hq requestor add south/sales --folder share").expect(2);
    assert!(
        again.err.contains("registered already") && again.err.contains("--again"),
        "{}",
        again.err
    );
    // The invitation works once: a second machine with it has another key.
    let used = sandbox.run("-C twin init --invitation sales.invitation").expect(2);
    assert!(used.err.contains("was used") && used.err.contains("--again"), "{}", used.err);
    sandbox.write(
        "twin.invitation",
        sandbox.read("sales.invitation").split("used = ").next().unwrap(),
    );
    sandbox.run("-C twin init --invitation twin.invitation").expect(0);
    sandbox.run("-C twin send").expect(0);
    let processed = sandbox.run("-C hq process");
    assert!(processed.err.contains("another machine has this name"), "{}", processed.err);
    assert!(processed.err.contains("which machine is the right one"), "{}", processed.err);
    let own = sandbox.run("-C hq requestor remove NORTH/HQ").expect(2);
    assert!(own.err.contains("always takes part"), "{}", own.err);
}

#[test]
fn a_backup_put_back_is_merged_and_nobody_is_missing() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..5));
    sandbox.run("-C sales import people.csv --whole").expect(0);
    sandbox.cycle();
    sandbox.run("-C sales backup sales.backup").expect(0);
    sandbox.run("-C hq backup hq.backup").expect(0);
    sandbox
        .run("-C sales entry add --key late --name Late --address SMTP:late@x.example")
        .expect(0);
    sandbox.cycle();
    sandbox.run("-C sales restore sales.backup").expect(0);
    for _ in 0..3 {
        sandbox.cycle();
    }
    assert_eq!(sandbox.status("hq")["entries"], 6);
    assert_eq!(sandbox.status("sales")["own_entries"], 6);
    sandbox.run("-C hq restore hq.backup").expect(0);
    for _ in 0..4 {
        sandbox.cycle();
    }
    assert_eq!(sandbox.status("hq")["entries"], 6);
    assert_eq!(sandbox.status("sales")["digest"], sandbox.status("hq")["digest"]);
    assert_eq!(sandbox.status("hq")["recovering"], false);
    sandbox.run("-C hq check").expect(0);
    sandbox.run("-C sales check").expect(0);
}

#[test]
fn a_reinstalled_postoffice_gets_its_entries_back() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..20));
    sandbox.run("-C sales import people.csv --whole").expect(0);
    sandbox.cycle();
    std::fs::remove_dir_all(sandbox.path("sales")).unwrap();
    sandbox
        .run("-C hq requestor add SOUTH/SALES --folder share --again --out again.invitation")
        .expect(0);
    sandbox.run("-C sales init --invitation again.invitation").expect(0);
    // Before the first answer a read may add, but not delete.
    sandbox.write("few.csv", &people(0..2));
    sandbox.run("-C sales import few.csv --whole").expect(0);
    for _ in 0..4 {
        sandbox.cycle();
    }
    assert_eq!(sandbox.status("hq")["entries"], 20);
    assert_eq!(sandbox.status("sales")["own_entries"], 20);
}

/// `docs/failure-stories.md` §3: a byte that changed on the disk is found by the next confirmation.
#[test]
fn equal_numbers_are_not_equal_lists_on_disk() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..20));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    sandbox.cycle();
    sandbox.cycle();
    // Flipped in the file itself, as a failing disk would; the text stands there as it is read.
    let path = sandbox.path("sales/postoffice.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(9).position(|window| window == b"Person 17").unwrap();
    bytes[at] = b'Q';
    std::fs::write(&path, bytes).unwrap();
    sandbox.run("-C sales check").expect(1);
    for _ in 0..3 {
        sandbox.cycle();
    }
    sandbox.run("-C sales check").expect(0);
    assert_eq!(sandbox.status("sales")["digest"], sandbox.status("hq")["digest"]);
}

#[test]
fn the_demo_ends_equal_at_any_size() {
    let sandbox = Sandbox::new();
    let demo = sandbox.run("demo small --postoffices 2 --entries 30 --json").expect(0).json();
    assert_eq!((demo["converged"].as_bool(), demo["postoffices"].as_u64()), (Some(true), Some(2)));
    let demo = sandbox.run("demo").expect(0);
    assert!(demo.out.lines().count() <= 40, "{}", demo.out);
    sandbox.run("demo").expect(2);
}

/// The server moves: a copy is promoted, requestors go on by themselves, and the old one, when it
/// meets somebody who heard the new one, fences itself.
#[test]
fn a_promoted_copy_is_the_server_and_the_old_one_fences_itself() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..8));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    sandbox.cycle();
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .args([sandbox.path("hq"), sandbox.path("moved")])
        .status()
        .unwrap();
    assert!(copied.success());
    sandbox.run("-C moved server promote").expect(0);
    sandbox.run("-C moved entry add --name New --address SMTP:new@x.example").expect(0);
    for _ in 0..4 {
        sandbox.run("-C sales send").expect(0);
        sandbox.run("-C moved cycle");
        sandbox.run("-C sales apply").expect(0);
    }
    assert_eq!(sandbox.status("sales")["entries"], 9);
    assert_eq!(sandbox.status("sales")["digest"], sandbox.status("moved")["digest"]);
    assert_eq!(sandbox.status("moved")["recovering"], false);
    sandbox.run("-C sales send").expect(0);
    let old = sandbox.run("-C hq process").expect(3);
    assert!(old.err.contains("replaced by instance"), "{}", old.err);
    let status = sandbox.run("-C hq status").expect(3).out;
    assert!(
        status.contains("fenced") && status.contains("`dirsync -C hq server promote`"),
        "{status}"
    );
    let again = sandbox.run("-C sales apply").expect(0);
    assert!(!again.err.contains("alarm"), "{}", again.err);
}

/// A schedule runs what is due once, and reports what it missed.
#[test]
fn a_schedule_decides_what_the_agent_does() {
    let sandbox = Sandbox::two_postoffices();
    let times = "\"T1 every 1 min\", \"T2 every 1 min\", \"T3 every 1 min\"";
    sandbox.write("hq/dirsync.toml", &format!("[schedule]\ntimes = [{times}]\n"));
    sandbox.run("run hq --once").expect(0);
    assert_eq!(sandbox.status("hq")["cycle"], 0, "what was due before is nobody's to miss");
    last_ran(&sandbox, 90);
    sandbox.run("run hq --once").expect(0);
    assert_eq!(sandbox.status("hq")["cycle"], 1, "several missed runs are one");
    sandbox.run("run hq --once").expect(0);
    assert!(sandbox.status("hq")["cycle"].as_u64().unwrap() <= 2);
}

/// `docs/failure-stories.md` §8: `status` says which step missed its window, until it has run again.
#[test]
fn a_missed_window_is_said() {
    let sandbox = Sandbox::two_postoffices();
    // One time a day, two hours ago, with a window of one hour.
    let due = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2);
    let due = jiff::tz::TimeZone::UTC.to_datetime(due).time();
    let line = format!("T1 daily {:02}:{:02}", due.hour(), due.minute());
    let times = format!("\"{line}\", \"T2 every 5 min\", \"T3 every 5 min\"");
    sandbox.write("hq/dirsync.toml", &format!("[schedule]\ntimes = [{times}]\nwindow = \"1 h\"\n"));
    sandbox.run("run hq --once").expect(0);
    last_ran(&sandbox, 30 * 60);
    sandbox.run("run hq --once").expect(0);
    let missed = sandbox.status("hq")["missed"][0].as_str().unwrap_or_default().to_owned();
    assert!(missed.contains("T1") && missed.contains("missed its run window"), "{missed}");
    assert!(sandbox.status("hq")["last_sent"].is_null(), "it did not run late");
}

/// Pretends that the server's steps last ran so many minutes ago.
fn last_ran(sandbox: &Sandbox, minutes: i64) {
    use dirsync_store::Store;
    let path = sandbox.path("hq/postoffice.db");
    let mut store = dirsync_store::sqlite::SqliteStore::open(path).unwrap();
    let mut tables = store.begin().unwrap();
    let last = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes);
    for step in ["T1", "T2"] {
        tables.put_note(&format!("last_run:{step}"), Some(&last.to_string())).unwrap();
    }
    tables.commit().unwrap();
}

/// What a requestor may see, and where its messages travel, change by one command each.
#[test]
fn a_registration_can_be_changed() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..4));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    sandbox.cycle();
    assert_eq!(sandbox.status("sales")["entries"], 4);
    sandbox.run("-C hq requestor set SOUTH/SALES --filter (name=*3)").expect(0);
    sandbox.cycle();
    assert_eq!(sandbox.status("sales")["entries"], 1, "leaving the view is a deletion there");
    sandbox.run("-C hq requestor set SOUTH/SALES --no-filter").expect(0);
    sandbox.cycle();
    assert_eq!(sandbox.status("sales")["entries"], 4);
    sandbox.run("-C hq requestor set SOUTH/SALES --folder other --types SMTP").expect(0);
    let shown = sandbox.run("-C hq requestor show SOUTH/SALES --json").expect(0).json();
    assert!(shown["places"][0].as_str().unwrap().ends_with("/other"), "{shown}");
    assert_eq!(shown["view"], "types\tSMTP\n");
    sandbox.run("-C hq requestor suspend SOUTH/SALES").expect(0);
    let shown = sandbox.run("-C hq requestor show SOUTH/SALES --json").expect(0).json();
    assert_eq!(shown["state"], "suspended");
    sandbox.run("-C hq requestor resume SOUTH/SALES").expect(0);
    sandbox.run("-C hq requestor remove SOUTH/SALES --dry-run").expect(0);
    sandbox.run("-C hq requestor remove SOUTH/SALES").expect(0);
    let shown = sandbox.run("-C hq requestor show SOUTH/SALES --json").expect(0).json();
    assert_eq!(shown["state"], "removed");
}
