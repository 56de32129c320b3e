//! Help is a promise: `docs/cli.md` is what the program says, and its examples run.

use crate::sandbox::{Sandbox, people};

/// All commands that the help names, in its order; the first is the program itself.
fn commands(sandbox: &Sandbox) -> Vec<String> {
    let mut commands = vec![String::new()];
    let mut next = 0;
    while next < commands.len() {
        let command = commands[next].clone();
        let help = sandbox.run(&format!("{command} --help")).expect(0).out;
        let listed = help.split("Commands:\n").nth(1).unwrap_or_default();
        // Words are indented by two; what follows of a long description by more.
        let lines = listed.lines().take_while(|line| !line.is_empty());
        let words = lines.filter_map(|line| {
            line.strip_prefix("  ")?
                .split_whitespace()
                .next()
                .filter(|word| line.starts_with(&format!("  {word}")))
        });
        let children = words
            .filter(|word| *word != "help")
            .map(|word| format!("{command} {word}").trim().to_owned());
        let children: Vec<String> = children.collect();
        next += 1;
        commands.splice(next..next, children);
    }
    commands
}

/// Set this to write the reference anew; then read the difference as code.
const UPDATE: &str = "UPDATE_CLI_REFERENCE";

#[test]
fn the_reference_is_what_the_program_says() {
    let sandbox = Sandbox::new();
    let mut reference = String::from(
        "# Command line\n\nWhat `--help` says, command by command; a test keeps this page true.\n\n\
         Exit codes: 0 done; 1 failed, or the entry, requestor, run, case or source that was named is not\n\
         there; 2 the command line or the settings are wrong, or the command does not fit this postoffice\n\
         (an entry that a source feeds is not changed by hand); 3 done, but something is held,\n\
         quarantined or overdue, a message was refused, or a place or source is in trouble; 4 a peer or\n\
         carrier could not be reached, everything else was done; 130 interrupted.\n",
    );
    for command in commands(&sandbox) {
        let help = sandbox.run(&format!("{command} --help")).expect(0).out;
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        let silent = |line: &&&str| line.starts_with("  <") && line.ends_with('>');
        assert_eq!(
            help.iter().find(silent),
            None,
            "{command}: an argument that nothing is said of"
        );
        let title = format!("dirsync {command}");
        reference.push_str(&format!(
            "\n## {}\n\n```text\n{}\n```\n",
            title.trim(),
            help.join("\n").trim_end()
        ));
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &reference).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == reference, "docs/cli.md differs; set {UPDATE}=1 to write it anew");
}

#[test]
fn every_example_in_the_help_runs() {
    let mut ran = 0;
    for command in commands(&Sandbox::new()) {
        let help = Sandbox::new().run(&format!("{command} --help")).expect(0).out;
        let Some(examples) = help.split("Examples:\n").nth(1) else { continue };
        for line in examples.lines().map(str::trim).filter(|line| line.starts_with("dirsync ")) {
            run_example(line);
            ran += 1;
        }
    }
    assert!(ran > 30, "{ran} examples");
}

/// Each example in a place where its files and postoffices are.
fn run_example(line: &str) {
    let sandbox = Sandbox::new();
    if !line.contains(" init NORTH/HQ") && !line.starts_with("dirsync demo") {
        sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    }
    if !line.contains("requestor add") && sandbox.exists("hq") {
        sandbox
            .run("-C hq requestor add SOUTH/SALES --folder share --out sales.invitation")
            .expect(0);
        if !line.contains(" init ") {
            sandbox.run("-C sales init --invitation sales.invitation").expect(0);
        }
    }
    sandbox.write("people.csv", &people(0..3));
    sandbox.write(
        "people.map.toml",
        "key = \"{key}\"\nname = \"{cn}\"\naddress = [\"SMTP:{mail}\"]\n",
    );
    if line.contains(" restore ") {
        sandbox.run("-C hq backup hq.backup").expect(0);
    }
    if line.contains(" why ") || line.contains(" undo") {
        sandbox.run("-C hq import people.csv").expect(0);
    }
    if line.contains(" held ") {
        hold_eighteen(&sandbox);
    }
    if line.contains("requestor test") {
        sandbox.cycle();
    }
    if line.contains("-C copy ") {
        let copied = std::process::Command::new("cp")
            .arg("-r")
            .args([sandbox.path("hq"), sandbox.path("copy")])
            .status();
        assert!(copied.unwrap().success());
    }
    if line.contains("share2") {
        std::fs::create_dir(sandbox.path("share2")).unwrap();
    }
    if line.contains(" message ") {
        sandbox.run("-C sales send").expect(0);
        let inbox = std::fs::read_dir(sandbox.path("share")).unwrap().flatten().next().unwrap();
        let request = std::fs::read_dir(inbox.path()).unwrap().flatten().next().unwrap();
        std::fs::copy(request.path(), sandbox.path("request.dirsync")).unwrap();
    }
    let words = split(line.strip_prefix("dirsync ").unwrap());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ran = sandbox.run_words(&words);
    assert!(ran.code == 0 || ran.code == 3, "{line} ended with {}:\n{}", ran.code, ran.err);
}

/// Eighteen deletions of the source "personnel" wait at the server, and as many of a requestor.
fn hold_eighteen(sandbox: &Sandbox) {
    sandbox.write("sales/dirsync.toml", "[guard]\ndelete = { entries = 100 }\n");
    for (file, first) in [("hq", 0), ("sales", 100)] {
        sandbox.write(&format!("{file}.csv"), &people(first..first + 40));
        let all = format!("-C {file} import {file}.csv --whole --source personnel");
        sandbox.run(&all).expect(0);
    }
    sandbox.cycle();
    sandbox.cycle();
    for (file, first) in [("hq", 0), ("sales", 100)] {
        sandbox.write(&format!("{file}.csv"), &people(first..first + 22));
        sandbox.run(&format!("-C {file} import {file}.csv --whole --source personnel"));
    }
    sandbox.cycle();
}

/// Words as a shell splits them, with double quotes.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words
}
