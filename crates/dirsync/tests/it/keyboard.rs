//! Small things that a person at the keyboard meets.

use std::fs;

use serde_json::json;

use crate::sandbox::{Sandbox, people};

#[test]
fn a_share_that_is_mounted_elsewhere_is_named_at_init() {
    let sandbox = Sandbox::new();
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    for (name, file) in [("SOUTH/SALES", "sales"), ("WEST/LAB", "lab")] {
        sandbox
            .run(&format!("-C hq requestor add {name} --folder mnt --out {file}.invitation"))
            .expect(0);
    }
    // At the two other sites the share has other names, and is not mounted yet at one.
    fs::rename(sandbox.path("mnt"), sandbox.path("share")).unwrap();
    let refused = sandbox.run("-C sales init --invitation sales.invitation").expect(4);
    assert!(refused.err.contains("mnt") && refused.err.contains("--folder DIR"), "{}", refused.err);
    assert!(!sandbox.exists("sales/postoffice.db"), "nothing is made");
    sandbox.run("-C lab init --invitation lab.invitation --folder nowhere").expect(4);
    sandbox.run("-C sales init --invitation sales.invitation --folder share").expect(0);
    fs::create_dir(sandbox.path("lab-mounts")).unwrap();
    fs::rename(sandbox.path("share"), sandbox.path("lab-mounts/dirsync")).unwrap();
    sandbox.run("-C lab init --invitation lab.invitation --folder lab-mounts/dirsync").expect(0);
    sandbox.run("-C lab send").expect(0);
    sandbox.run("-C sales send").expect(4);
    sandbox.run("-C hq init --folder share NORTH/HQ --server").expect(2);
}

#[test]
fn people_read_whose_folder_it_is_in_a_share() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.cycle();
    let mut names: Vec<String> = fs::read_dir(sandbox.path("share"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["north+hq", "south+sales"]);
}

#[test]
fn things_that_the_settings_name_and_that_are_not_there_are_warnings() {
    let sandbox = Sandbox::new();
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    sandbox.write("hq/here.csv", &people(0..1));
    sandbox.write(
        "hq/dirsync.toml",
        "[[source]]\nname = \"a\"\nfile = \"here.csv\"\n[[source]]\nname = \"b\"\nfile = \"gone.csv\"\n\
         [[target]]\nfile = \"lists/all.csv\"\n[[target]]\nfile = \"all.csv\"\n\
         [alarm]\ncommand = [\"no-such-program\", \"{subject}\"]\n",
    );
    let check = sandbox.run("-C hq config check --json").expect(0).json();
    let warnings: Vec<&str> =
        check["warnings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for (warning, names) in warnings.iter().zip(["gone.csv", "lists", "no-such-program"]) {
        assert!(warning.contains(names), "{warning}");
    }
}

#[test]
fn rows_that_cannot_be_taken_are_named_at_once() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", "key,cn,mail\n1,Ana,ana@x.example\n2,Bo,bo\n3,Cy\n");
    for line in ["-C hq import people.csv --dry-run", "-C hq import people.csv"] {
        let said = sandbox.run(line).expect(3).out;
        assert!(said.contains("  line 3: \"bo\" is not an SMTP address"), "{said}");
        assert!(said.contains("  line 4: "), "{said}");
    }
    let json = sandbox.run("-C hq import people.csv --dry-run --json").expect(3).json();
    assert_eq!(
        (&json["bad_rows"][0]["line"], &json["bad_rows"][0]["subject"]),
        (&3.into(), &"2".into())
    );
    let list = sandbox.run("-C hq quarantine list").expect(3).out;
    assert_eq!(list.matches("line 4").count(), 1, "{list}");
    assert!(list.contains("import 2: line 3: \"bo\""), "{list}");
    let cases = sandbox.run("-C hq quarantine list --json").expect(3).json();
    for (case, subject, line) in [(&cases[0], "2".into(), 3), (&cases[1], json!(null), 4)] {
        assert_eq!((&case["subject"], &case["line"]), (&subject, &line.into()), "{case}");
        let reason = case["reason"].as_str().unwrap();
        assert!(!reason.starts_with("line"), "{reason}");
    }
    sandbox.write("cut.csv", "key,cn,mail\n1,Ana,ana@x.example\n2,\"Bo");
    let cut = sandbox.run("-C hq import cut.csv --dry-run").expect(1).err;
    assert!(cut.contains("the rows before it would be taken, nobody would be deleted"), "{cut}");
    let nothing = sandbox.run("-C hq import --dry-run").expect(2);
    assert!(nothing.err.contains("name the file, or a source of the settings"), "{}", nothing.err);
}

#[test]
fn a_refused_message_is_exit_3() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C sales send").expect(0);
    let inbox = sandbox.path("share/north+hq");
    for entry in fs::read_dir(&inbox).unwrap().flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "dirsync") {
            fs::write(entry.path(), "no message").unwrap();
        }
    }
    let process = sandbox.run("-C hq process --json").expect(3).json();
    assert_eq!(process["T2"]["refused"], 1, "{process}");
    sandbox.run("-C hq process").expect(0);
}

#[test]
fn a_backup_is_one_file_before_and_after_it_is_put_back() {
    let sandbox = Sandbox::new();
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    fs::create_dir(sandbox.path("copies")).unwrap();
    sandbox.run("-C hq backup copies/a").expect(0);
    sandbox.run("-C hq backup copies/b").expect(0);
    sandbox.run("-C hq restore copies/a").expect(0);
    assert_eq!(fs::read_dir(sandbox.path("copies")).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn a_cycle_by_hand_rings_the_bell() {
    let sandbox = Sandbox::new();
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    sandbox.write(
        "hq/dirsync.toml",
        "[[source]]\nname = \"a\"\nfile = \"gone.csv\"\n[[source]]\nname = \"b\"\nfile = \"lost.csv\"\n\
         [alarm]\ncommand = [\"/bin/sh\", \"-c\", \"cat >> rung\"]\n",
    );
    sandbox.run("-C hq cycle").expect(3);
    let rung = sandbox.read("rung");
    assert!(rung.contains("\"a\"") && rung.contains("\"b\""), "{rung}");
    sandbox.run("-C hq cycle").expect(3);
    assert_eq!(sandbox.read("rung"), rung, "nobody is told twice");
    for file in ["gone", "lost"] {
        sandbox.write(&format!("hq/{file}.csv"), &people(0..1));
    }
    sandbox.run("-C hq cycle");
    let over = sandbox.read("rung").split_off(rung.len());
    let subjects = over.lines().filter(|line| line.starts_with("OK: dirsync NORTH/HQ: ")).count();
    assert_eq!(subjects, 2, "and that it is over: {over}");
    assert!(rung.contains("T0 error: source \"a\" was not read"), "with lines of the log: {rung}");
}

#[cfg(unix)]
#[test]
fn an_agent_that_is_interrupted_ends_with_130() {
    use std::process::{Command, Stdio};
    for (signal, code) in [("INT", 130), ("TERM", 0)] {
        let sandbox = Sandbox::two_postoffices();
        let mut child =
            sandbox.command(&["run", "hq", "sales"]).stderr(Stdio::piped()).spawn().unwrap();
        // Its first words come when the signals are listened to.
        let mut first = [0; 1];
        std::io::Read::read_exact(child.stderr.as_mut().unwrap(), &mut first).unwrap();
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(code), "SIG{signal}");
    }
}

#[test]
fn the_version_says_the_revision_it_is_built_from() {
    let version = Sandbox::new().run("--version").expect(0).out;
    assert!(version.starts_with("dirsync "), "{version}");
    let revision =
        version.split_once(" (").map(|(_, revision)| revision.trim().trim_end_matches(')'));
    let is_checkout = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.git").exists();
    assert_eq!(is_checkout, revision.is_some(), "{version}");
    let is_hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(revision.is_none_or(is_hexadecimal), "{version}");
}

#[test]
fn the_demo_leaves_no_stray_files_and_its_advice_can_be_pasted() {
    let sandbox = Sandbox::new();
    let out = sandbox.run_words(&["demo", "my demo"]).expect(0).out;
    let advice: Vec<&str> = out.lines().skip_while(|line| !line.starts_with("Try next")).collect();
    assert_eq!(advice.len(), 4, "{out}");
    for line in &advice[1..] {
        let ran = std::process::Command::new("sh")
            .args(["-c", line])
            .current_dir(sandbox.path(""))
            .output()
            .unwrap();
        let code = ran.status.code();
        assert!(code == Some(0) || code == Some(3), "{line}: {ran:?}");
    }
    for entry in fs::read_dir(sandbox.path("my demo")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        assert!(!name.ends_with("-wal") && !name.ends_with("-shm"), "{name}");
    }
}

#[test]
fn half_of_a_small_list_waits_for_a_person() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("twenty.csv", &people(0..20));
    sandbox.write("ten.csv", &people(0..10));
    sandbox.write("nineteen.csv", &people(0..19));
    sandbox.run("-C sales import twenty.csv --whole").expect(0);
    sandbox.cycle();
    sandbox.run("-C sales import nineteen.csv --whole").expect(0);
    let held = sandbox.run("-C sales import ten.csv --whole").expect(3);
    assert!(held.out.contains("9 held"), "{}", held.out);
    sandbox.cycle();
    assert_eq!(sandbox.status("hq")["entries"], 19);
}

/// The commands in a text, as a person would copy them.
fn commands_in(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2).filter(|part| part.starts_with("dirsync "));
    let after = |word| text.split(word).skip(1).map(|rest| rest.split(['\n']).next().unwrap());
    let told = after("let through: ").map(|rest| rest.split("   ").next().unwrap());
    let turned = after("turn down: ");
    quoted.chain(told).chain(turned).map(str::to_owned).collect()
}

#[test]
fn commands_in_hints_carry_the_folder_and_run() {
    let sandbox = Sandbox::two_postoffices();
    let made = sandbox.run("-C lab init LAB/HQ --server").expect(0).out;
    assert!(made.contains("`dirsync -C lab requestor add NETWORK/POSTOFFICE"), "{made}");
    sandbox.write("few.csv", &format!("{}x,X,x\n", people(0..3)));
    sandbox.write("people.csv", &people(0..60));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    let mut commands = Vec::new();
    for line in [
        "import few.csv --whole",
        "held list",
        "cycle",
        "status",
        "why p50@x.example",
        "log 99",
        "requestor show SOUTH/NOBODY",
        "requestor remove SOUTH/SALES",
        "entry delete nobody",
        "entry add --key 1 --name A --address SMTP:a@x.example",
        "held approve delete:nobody",
    ] {
        let ran = sandbox.run(&format!("-C hq {line}"));
        let said = ran.out + &ran.err;
        let found = commands_in(&said);
        let wrong = found.iter().find(|command| !command.starts_with("dirsync -C hq "));
        assert_eq!(wrong, None, "{line}: {said}");
        commands.extend(found);
    }
    commands.sort();
    commands.dedup();
    assert!(commands.len() > 8, "{commands:?}");
    for command in commands {
        let line = command.strip_prefix("dirsync ").unwrap();
        let is_whole = !line.contains(['…'])
            && !line
                .split(' ')
                .skip(2)
                .any(|word| word.chars().all(|letter| letter.is_ascii_uppercase()));
        if is_whole && !line.contains(" add ") {
            let ran = sandbox.run(line);
            assert!(ran.code != 2, "{line}: {}", ran.err);
        }
    }
}

#[test]
fn what_is_not_there_is_no_misuse() {
    let sandbox = Sandbox::two_postoffices();
    for line in [
        "log 99",
        "undo 99",
        "requestor show NORTH/NOBODY",
        "requestor suspend NORTH/NOBODY",
        "why nobody",
        "entry show nobody",
        "entry modify nobody --name A",
        "entry delete nobody",
        "entry claim nobody",
        "entry release nobody --to SOUTH/SALES",
        "quarantine show 99",
        "quarantine drop 99",
        "held approve delete:nobody",
        "held reject delete:nobody",
        "import --source nobody --dry-run",
    ] {
        let ran = sandbox.run(&format!("-C hq {line}")).expect(1);
        assert!(ran.err.starts_with("error: "), "{line}: {}", ran.err);
    }
    let init = sandbox.run("-C new init").expect(2).err;
    for way in ["init NETWORK/POSTOFFICE --server`", "init --invitation FILE`"] {
        assert!(init.contains(&format!("`dirsync -C new {way}")), "{init}");
    }
    sandbox.write("people.csv", &people(0..3));
    sandbox.run("-C hq import people.csv").expect(0);
    let fed = sandbox.run("-C hq entry modify 1 --name A").expect(2);
    assert!(fed.err.contains("fed by the source \"import\""), "{}", fed.err);
    sandbox.run("-C hq entry delete 1").expect(2);
}
