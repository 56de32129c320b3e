//! The link: requestors reach their server by HTTPS, and open no port.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU16, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::agent::{Agent, add, eventually};
use crate::lines::noisy_directory;
use crate::sandbox::{Sandbox, people};

/// A port that nobody listens at now. It is none that the operating system gives to others meanwhile.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (std::process::id() % 200) as u16 * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A server that listens at `port`, and requestors that reach it at these ports.
fn sites(port: u16, requestors: &[(&str, u16)]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    sandbox.write("hq/dirsync.toml", &format!("[link]\nlisten = \"127.0.0.1:{port}\"\n"));
    for (name, at) in requestors {
        let upper = name.to_uppercase();
        let link = format!("--link https://localhost:{at}");
        let add = format!("-C hq requestor add SOUTH/{upper} {link} --out {name}.invitation");
        sandbox.run(&add).expect(0);
        sandbox.run(&format!("-C {name} init --invitation {name}.invitation")).expect(0);
    }
    sandbox
}

/// An agent of the server, once it listens.
fn server(sandbox: &Sandbox, port: u16) -> Agent {
    let agent = Agent::start(sandbox, &["hq"]);
    eventually("the server listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    agent
}

fn entries(sandbox: &Sandbox, postoffice: &str) -> u64 {
    sandbox.status(postoffice)["entries"].as_u64().unwrap()
}

/// A change at each of two sites behind links is at the other one without a command.
#[test]
fn a_change_is_everywhere_over_links() {
    let port = free_port();
    let sandbox = sites(port, &[("sales", port), ("fleet", port)]);
    let hq = server(&sandbox, port);
    let others = Agent::start(&sandbox, &["sales", "fleet"]);
    for (nth, name) in (1..).zip(["sales", "fleet", "hq"]) {
        add(&sandbox, name, &format!("person-{nth}"));
        eventually("the change is everywhere", || {
            ["hq", "sales", "fleet"].iter().all(|name| entries(&sandbox, name) == nth)
        });
    }
    assert_eq!((hq.terminate(), others.terminate()), (0, 0));
    let log = sandbox.run("-C hq log").expect(0).out;
    assert!(!log.contains("refused"), "{log}");
}

/// Without an agent a cycle sends, and takes the answer that comes with the same request.
#[test]
fn a_cycle_over_a_link_brings_its_answer_along() {
    let port = free_port();
    let sandbox = sites(port, &[("sales", port)]);
    sandbox.run("-C hq entry add --name Ann --address SMTP:ann@north.example").expect(0);
    // Nobody is there yet.
    let ran = sandbox.run("-C sales cycle").expect(4);
    let link = format!("cannot reach the link https://localhost:{port}");
    assert!((ran.out + &ran.err).contains(&link), "it is named");
    let hq = server(&sandbox, port);
    sandbox.run("-C sales cycle").expect(0);
    assert_eq!(entries(&sandbox, "sales"), 1);
    let tested = sandbox.run("-C sales carrier test --json").expect(0).json();
    assert!(!tested["places"][0]["answer"].is_null(), "{tested}");
    let tested = sandbox.run("-C hq requestor test SOUTH/SALES --wait 0 --json").expect(3).json();
    assert!(tested["places"][0]["error"].is_null(), "it waits for the next request: {tested}");
    sandbox.run("-C sales cycle").expect(0);
    eventually("the answer is noted", || {
        sandbox.run("-C hq status --verbose").out.contains("there and back in ")
    });
    assert_eq!(hq.terminate(), 0);
}

/// A proxy that counts bytes, and cuts each connection after so many.
struct Cutter {
    port: u16,
    passed: Arc<AtomicU64>,
    cuts: Arc<AtomicU64>,
}

impl Cutter {
    /// `after` are the bytes after which each connection is cut.
    fn to(port: u16, after: i64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let (passed, cuts) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (count, cut) = (Arc::clone(&passed), Arc::clone(&cuts));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let left = Arc::new(AtomicI64::new(after));
                for (from, to) in [
                    (client.try_clone(), server.try_clone()),
                    (server.try_clone(), client.try_clone()),
                ] {
                    let (count, left, cut) =
                        (Arc::clone(&count), Arc::clone(&left), Arc::clone(&cut));
                    thread::spawn(move || pass(from.unwrap(), to.unwrap(), [&count, &cut], &left));
                }
            }
        });
        Self { port: own, passed, cuts }
    }

    fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

/// Passes bytes on, and counts them and the cuts.
fn pass(mut from: TcpStream, mut to: TcpStream, [count, cuts]: [&AtomicU64; 2], left: &AtomicI64) {
    let mut buffer = [0; 1400];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        let limit = left.load(Ordering::Relaxed);
        let passes = bytes.min(limit.max(0) as usize);
        left.fetch_sub(passes as i64, Ordering::Relaxed);
        count.fetch_add(passes as u64, Ordering::Relaxed);
        cuts.fetch_add(u64::from(passes < bytes), Ordering::Relaxed);
        if to.write_all(&buffer[..passes]).is_err() || passes < bytes {
            break;
        }
    }
    for stream in [&from, &to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// The first fill of a site, and its own entries, over a line that is cut again and again: each byte passes once.
#[test]
fn a_body_goes_on_where_its_line_was_cut() {
    let port = free_port();
    let cutter = Cutter::to(port, 150_000);
    let sandbox = sites(port, &[("sales", cutter.port)]);
    sandbox.write("down.csv", &noisy_directory(1000, 1000));
    sandbox.write("up.csv", &noisy_directory(1000, 1000).replace("north", "south"));
    sandbox.run("-C hq import down.csv --format csv").expect(0);
    sandbox.run("-C sales import up.csv --format csv").expect(0);
    let hq = server(&sandbox, port);
    let mut cycles = 0;
    while !(entries(&sandbox, "sales") == 2000 && entries(&sandbox, "hq") == 2000) {
        let ran = sandbox.run("-C sales cycle");
        assert!([0, 4].contains(&ran.code), "{}{}", ran.out, ran.err);
        cycles += 1;
        assert!(cycles < 60, "{} bytes passed", cycles);
    }
    // Own entries go up, and come back with the list.
    let bodies = 3 * 600_000;
    println!("{} bytes passed for bodies of about {bodies}, in {cycles} cycles", cutter.passed());
    assert!(cutter.cuts.load(Ordering::Relaxed) > 4, "it was cut");
    assert!(cutter.passed() < bodies * 5 / 4, "{} bytes passed", cutter.passed());
    assert_eq!(hq.terminate(), 0);
}

/// A line that is gone and comes back: the agent goes on by itself.
#[test]
fn an_agent_goes_on_when_its_server_comes_back() {
    let port = free_port();
    let sandbox = sites(port, &[("sales", port)]);
    sandbox.write("sales/dirsync.toml", "[schedule]\npoll = \"1 s\"\n");
    let sales = Agent::start(&sandbox, &["sales"]);
    add(&sandbox, "sales", "Early");
    thread::sleep(Duration::from_millis(300));
    let hq = server(&sandbox, port);
    sandbox.run("-C sales cycle");
    eventually("the first change", || entries(&sandbox, "hq") == 1);
    assert_eq!(hq.terminate(), 0);
    let hq = server(&sandbox, port);
    add(&sandbox, "hq", "Late");
    sandbox.run("-C sales cycle");
    eventually("the second change", || are_equal_two(&sandbox));
    assert_eq!((hq.terminate(), sales.terminate()), (0, 0));
}

fn are_equal_two(sandbox: &Sandbox) -> bool {
    let digest = |name| sandbox.status(name)["digest"].clone();
    digest("hq") == digest("sales") && entries(sandbox, "hq") == 2
}

/// Whoever is not invited, or was removed, gets nothing; the words say so.
#[test]
fn a_requestor_that_was_removed_is_not_admitted() {
    let port = free_port();
    let sandbox = sites(port, &[("sales", port), ("fleet", port)]);
    let hq = server(&sandbox, port);
    for name in ["sales", "fleet"] {
        sandbox.run(&format!("-C {name} cycle")).expect(0);
    }
    sandbox.run("-C hq requestor remove SOUTH/SALES --yes").expect(0);
    eventually("it is refused", || {
        let ran = sandbox.run("-C sales cycle");
        (ran.out + &ran.err).contains("the server does not admit SOUTH/SALES")
    });
    sandbox.run("-C fleet cycle").expect(0);
    assert_eq!(hq.terminate(), 0);
}

/// Mistakes of administrators are named with their place.
#[test]
fn a_link_that_cannot_be_used_is_named() {
    let port = free_port();
    let sandbox = sites(port, &[("sales", port)]);
    for (url, says) in [
        ("http://hub.example", "only https"),
        ("hub.example:8443", "https://"),
        ("https://hub.example:0", "a port from 1"),
    ] {
        let ran = sandbox.run(&format!("-C sales carrier set --link {url}")).expect(2);
        assert!(ran.err.contains(says), "{}", ran.err);
    }
    // A port that another program has.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    sandbox.write("hq/dirsync.toml", &format!("[link]\nlisten = \"{address}\"\n"));
    let ran = sandbox.run("-C hq run --once");
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    // A server with another root.
    let other = sites(port, &[("sales", port)]);
    let hq = server(&other, port);
    let ran = sandbox.run("-C sales cycle").expect(4);
    let said = ran.out + &ran.err;
    assert!(said.contains("localhost") && said.contains("certificate"), "{said}");
    assert_eq!(hq.terminate(), 0);
}

/// A thousand people arrive by folder at one site and by link at another, and both lists are equal.
#[test]
fn sites_with_folders_and_links_have_one_list() {
    let port = free_port();
    let sandbox = sites(port, &[("sales", port)]);
    sandbox.run("-C hq requestor add SOUTH/LAN --folder share --out lan.invitation").expect(0);
    sandbox.run("-C lan init --invitation lan.invitation").expect(0);
    sandbox.write("people.csv", &people(0..1000));
    sandbox.run("-C lan import people.csv --format csv").expect(0);
    let agent = Agent::start(&sandbox, &["hq", "sales", "lan"]);
    eventually("all lists are equal", || {
        let digest = |name| -> Value { sandbox.status(name)["digest"].clone() };
        digest("hq") == digest("sales")
            && digest("hq") == digest("lan")
            && entries(&sandbox, "sales") == 1000
    });
    assert_eq!(agent.terminate(), 0);
}

/// A web server that has nothing.
fn web_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.read(&mut [0; 4096]);
            let answer =
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = client.write_all(answer);
        }
    });
    port
}

/// Says what an agent does about a link whose port another program has.
fn said_about_a_taken_port(sandbox: &Sandbox) -> String {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    sandbox.write("hq/dirsync.toml", &format!("[link]\nlisten = \"{address}\"\n"));
    let mut command = sandbox.command(&["run", "hq"]);
    let mut agent = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(agent.stderr.take().unwrap()).lines().map_while(Result::ok);
    let said = lines.take(20).find(|line| line.contains("cannot listen"));
    let _ = agent.kill();
    let _ = agent.wait();
    said.expect("it is told")
}

/// What `carrier list` says after a cycle that failed.
fn listed(sandbox: &Sandbox) -> String {
    sandbox.run("-C sales cycle").expect(4);
    let listed = sandbox.run("-C sales carrier list").expect(0).out;
    listed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Each text of the page's table is one that somebody sees, and each failure has its row.
#[test]
fn the_page_has_the_words_of_each_failure() {
    let page = include_str!("../../../../docs/carriers/link.md");
    let table = page.split("## When it does not work").nth(1).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let rows: Vec<&str> = rows.map(|(text, _)| text).skip(1).collect();

    let port = free_port();
    let sandbox = sites(port, &[("sales", port)]);
    let at = |url: &str| {
        sandbox.run(&format!("-C sales carrier set --link {url}")).expect(0);
        listed(&sandbox)
    };
    let mut seen = vec![listed(&sandbox), at("https://nowhere.invalid:8443")];
    seen.push(at(&format!("http://127.0.0.1:{}", web_server())));
    sandbox.run(&format!("-C sales carrier set --link https://localhost:{port}")).expect(0);
    let other = sites(port, &[("sales", port)]);
    let hq = server(&other, port);
    seen.push(listed(&sandbox));
    assert_eq!(hq.terminate(), 0);
    let hq = server(&sandbox, port);
    sandbox.run("-C hq requestor remove SOUTH/SALES --yes").expect(0);
    eventually("it is refused", || {
        sandbox.run("-C sales cycle").code == 4
            && sandbox.run("-C sales carrier list").out.contains("admit")
    });
    seen.push(listed(&sandbox));
    assert_eq!(hq.terminate(), 0);
    seen.push(said_about_a_taken_port(&sandbox));

    let has = |seen: &str, row: &str| {
        let row = row.replace("NAME", "SOUTH/SALES");
        let mut rest = seen;
        row.split('…').all(|part| match rest.split_once(part.trim()) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    };
    for row in &rows {
        assert!(seen.iter().any(|seen| has(seen, row)), "nobody sees \"{row}\": {seen:#?}");
    }
    for seen in &seen {
        assert!(rows.iter().any(|row| has(seen, row)), "the page has no row for \"{seen}\"");
    }
    assert_eq!(rows.len(), seen.len());
}

/// The whole story of the demonstration, over HTTPS on this machine.
#[test]
fn the_demonstration_works_over_a_link() {
    let sandbox = Sandbox::new();
    let proof = sandbox.run("demo shown --link --json").expect(0).json();
    assert_eq!((&proof["converged"], &proof["entries"]), (&true.into(), &62.into()), "{proof}");
    assert!(!sandbox.exists("shown/share/south+sales"), "nothing went through the folder");
}

/// What an agent does itself does not wake it, also where bodies travel: where nothing happens, no database is opened.
#[test]
fn agents_at_a_link_with_nothing_to_do_rest() {
    let port = free_port();
    let sandbox = sites(port, &[("sales", port)]);
    let settings = sandbox.read("hq/dirsync.toml") + "[schedule]\npoll = \"1 h\"\n";
    sandbox.write("hq/dirsync.toml", &settings);
    sandbox.write("sales/dirsync.toml", "[schedule]\npoll = \"1 h\"\n");
    let _hq = server(&sandbox, port);
    let _sales = Agent::start(&sandbox, &["sales"]);
    add(&sandbox, "hq", "greta");
    eventually("the change", || entries(&sandbox, "sales") == 1);
    let opened = || {
        let changed = |name| fs::metadata(sandbox.path(name)).unwrap().modified().unwrap();
        ["hq", "sales"].map(changed)
    };
    eventually("rest", || {
        let before = opened();
        thread::sleep(Duration::from_secs(1));
        opened() == before
    });
    add(&sandbox, "sales", "hugo");
    eventually("a change from rest", || entries(&sandbox, "hq") == 2);
}
