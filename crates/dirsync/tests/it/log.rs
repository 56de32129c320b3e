//! The log, as a person looks at it.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::sandbox::{Sandbox, people};

fn lines(sandbox: &Sandbox, arguments: &str) -> Vec<String> {
    let out = sandbox.run(&format!("-C hq log {arguments}")).expect(0).out;
    out.lines().map(str::to_owned).collect()
}

#[test]
fn the_last_lines_of_a_level_since_a_time() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write("people.csv", &people(0..40));
    sandbox.run("-C hq import people.csv --whole").expect(0);
    sandbox.cycle();
    sandbox.write("few.csv", &people(0..10));
    sandbox.run("-C hq import few.csv --whole").expect(3);
    sandbox.cycle();
    let all = lines(&sandbox, "");
    let last = lines(&sandbox, "-n 2");
    assert_eq!(last, all[all.len() - 2..]);
    assert_eq!(lines(&sandbox, "-n 0"), [""; 0]);
    let warnings = lines(&sandbox, "--level warning");
    assert!(warnings.len() == 1 && warnings[0].contains(" warning T0 "), "{warnings:?}");
    assert_eq!(lines(&sandbox, "--level warning -n 1 --since 1h"), warnings);
    assert_eq!(lines(&sandbox, "--since yesterday"), all);
    assert_eq!(lines(&sandbox, "--since 2026-11-01 -n 1"), last[1..]);
    assert_eq!(lines(&sandbox, "--since 2999-01-01"), [""; 0]);
    let json = sandbox.run("-C hq log --level warning --json").expect(0).json();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["step"]), (1, &"T0".into()));
    let wrong = sandbox.run("-C hq log --since moonrise").expect(2);
    assert!(wrong.err.contains("\"moonrise\" is not a time") && wrong.err.contains("yesterday"));
}

#[test]
fn new_lines_are_followed() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq cycle").expect(0);
    let mut follower = sandbox
        .command(&["-C", "hq", "log", "-n", "1", "-f", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut next = || {
        let line = output.next().unwrap().unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        line["text"].as_str().unwrap().to_owned()
    };
    assert!(next().contains("applied"), "the last one that was there");
    for key in ["ana", "eva"] {
        let add =
            format!("-C hq entry add --key {key} --name {key} --address SMTP:{key}@x.example");
        sandbox.run(&add).expect(0);
        assert!(next().contains("added by hand"));
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
}
