//! Shared folders that hang, as a network share does when its server is gone: no call fails, none returns.
//! `strace` delays each call that names the folder.

use std::process::{Child, Command, Stdio};

use crate::agent::{Agent, eventually};
use crate::sandbox::Sandbox;

const SETTINGS: &str = "[schedule]\npoll = \"1 s\"\n[carrier]\npatience = \"1 s\"\n";

/// `sales` exchanges messages with `hq` in `share`, `depot` in `far`.
fn two_shares() -> Sandbox {
    let sandbox = Sandbox::two_postoffices();
    std::fs::create_dir(sandbox.path("far")).unwrap();
    sandbox.run("-C hq requestor add ALPS/DEPOT --folder far --out depot.invitation").expect(0);
    sandbox.run("-C depot init --invitation depot.invitation").expect(0);
    for postoffice in ["hq", "sales", "depot"] {
        sandbox.write(&format!("{postoffice}/dirsync.toml"), SETTINGS);
    }
    sandbox
}

/// An agent for which the folder `far` hangs until [`Self::release`].
struct Held {
    agent: Child,
}

impl Held {
    fn start(sandbox: &Sandbox, folders: &[&str]) -> Self {
        let agent = sandbox.command(&[]);
        let mut strace = Command::new("strace");
        // With -D the agent is the child of this test, and strace is a process beside it.
        strace
            .args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=%file", "-P"])
            .arg(sandbox.path("far"))
            .arg("--inject=%file:delay_enter=1000000000")
            .arg(agent.get_program())
            .arg("run")
            .args(folders)
            .current_dir(sandbox.folder.path())
            .env_remove("DIRSYNC_POSTOFFICE");
        let agent = strace.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self { agent: agent.expect("this test needs strace: install the package strace") }
    }

    /// The folder answers again.
    fn release(&self) {
        let status = format!("/proc/{}/status", self.agent.id());
        let status = std::fs::read_to_string(status).unwrap_or_default();
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
        if let Some(tracer) = tracer.map(str::trim).filter(|tracer| *tracer != "0") {
            Command::new("kill").args(["-KILL", tracer]).status().unwrap();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A process whose calls are delayed does not end before they do.
        self.release();
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

fn add(sandbox: &Sandbox, postoffice: &str, name: &str) {
    let words = format!("-C {postoffice} entry add --name {name} --address SMTP:{name}@x.example");
    sandbox.run(&words).expect(0);
}

fn has(sandbox: &Sandbox, postoffice: &str, name: &str) -> bool {
    sandbox.run(&format!("-C {postoffice} entry list")).out.contains(name)
}

#[test]
fn a_share_that_hangs_stops_nobody() {
    let sandbox = two_shares();
    let _hq = Agent::start(&sandbox, &["hq"]);
    let held = Held::start(&sandbox, &["depot", "sales"]);
    for name in ["ana", "ben", "cara"] {
        add(&sandbox, "hq", name);
        eventually("a change at the other postoffice", || has(&sandbox, "sales", name));
    }
    assert!(!has(&sandbox, "depot", "ana"));
    eventually("the alarm", || sandbox.run("-C depot status").out.contains("far"));
    held.release();
    eventually("the list after the share answers", || has(&sandbox, "depot", "cara"));
}

#[test]
fn a_server_serves_the_others_while_one_share_hangs() {
    let sandbox = two_shares();
    let _requestors = Agent::start(&sandbox, &["depot", "sales"]);
    let held = Held::start(&sandbox, &["hq"]);
    for name in ["ana", "ben", "cara"] {
        add(&sandbox, "sales", name);
        eventually("a change at the server", || has(&sandbox, "hq", name));
    }
    let status = sandbox.status("hq").to_string();
    assert!(
        status.contains("has not answered for 1 s") || status.contains("still does not answer"),
        "{status}"
    );
    assert!(!has(&sandbox, "depot", "ana"));
    held.release();
    eventually("the list after the share answers", || has(&sandbox, "depot", "cara"));
}
