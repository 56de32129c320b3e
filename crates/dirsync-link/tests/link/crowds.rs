//! Many at once: strangers who stay, connections in turn, slow ones, and a thousand requestors that wait.
//!
//! Where memory and threads count, the server is a process of its own: this program once more, with an ignored test.

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dirsync_carrier::Carrier as _;
use dirsync_link::certificate::Root;
use dirsync_link::server::Limits;
use tempfile::TempDir;

use crate::bodies::noise;
use crate::raw::{Raw, known, tcp, with};
use crate::{Running, Server, Site, limits, name};

const FILE: &str = "0000-0000000000-9-ab.piece";
/// An address of this machine that is none of the honest ones.
const ENEMY: &str = "127.0.0.9";

/// Milliseconds, for limits of tests.
fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The names of requestors that are many.
fn requestor(nth: usize) -> String {
    format!("SOUTH/R{nth}")
}

/// A server in a process of its own.
struct Apart {
    server: Server,
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    _folder: TempDir,
}

impl Apart {
    /// `limits` are those of [`limits_named`].
    fn start(requestors: usize, limits: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let me = name("NORTH/HQ");
        let root = Root::new(&me).unwrap();
        std::fs::write(folder.path().join("root.pem"), root.to_pem().as_bytes()).unwrap();
        // It may open few files, until it says that it needs more.
        let mut child = Command::new("sh")
            .args(["-c", "ulimit -Sn 150; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["crowds::a_server_apart", "--exact", "--ignored", "--nocapture"])
            .env("LINK_TEST_FOLDER", folder.path())
            .env("LINK_TEST_REQUESTORS", requestors.to_string())
            .env("LINK_TEST_LIMITS", limits)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = "127.0.0.1:1".parse().unwrap();
        let server = Server { me, root: root.certificate().clone(), address };
        let mut apart = Self { server, child, said, _folder: folder };
        apart.server.address = apart.said("listens at ").parse().unwrap();
        apart
    }

    /// What follows these words in the next line of the process that has them.
    fn said(&mut self, words: &str) -> String {
        let mut lines = self.said.by_ref().map_while(Result::ok);
        lines.find_map(|line| line.strip_prefix(words).map(str::to_owned)).unwrap()
    }

    /// A number of the operating system about the process: `VmHWM` (kB) or `Threads`.
    fn number(&self, of: &str) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with(of)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn peak_mib(&self) -> f64 {
        self.number("VmHWM:") as f64 / 1024.0
    }

    /// Leaves a file for a requestor, or a body of as many bytes.
    fn tell(&mut self, command: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{command}").unwrap();
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn limits_named(named: &str) -> Limits {
    match named {
        "few bytes in hand" => Limits { answers_kib_max: 8 * 1024, ..limits() },
        _ => limits(),
    }
}

/// The other process. Its input tells what there is for requestors.
#[test]
#[ignore = "the other tests run it in a process of its own"]
fn a_server_apart() {
    let of = |name| std::env::var(name).unwrap();
    let folder = of("LINK_TEST_FOLDER");
    let folder = std::path::Path::new(&folder);
    std::fs::create_dir(folder.join("share")).unwrap();
    let root = Root::from_pem(&std::fs::read_to_string(folder.join("root.pem")).unwrap()).unwrap();
    let names: Vec<_> = (0..of("LINK_TEST_REQUESTORS").parse().unwrap()).map(requestor).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (me, limits) = (name("NORTH/HQ"), limits_named(&of("LINK_TEST_LIMITS")));
    let running = Running::start(&folder.join("share"), &root, &me, &names, limits);
    println!("\nlistens at {}", running.server.address());
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let (command, to) = line.split_once(' ').unwrap();
        let to = name(to);
        if command == "file" {
            running.desk.folder(&me).put(&to, FILE, b"news").unwrap();
            running.hub.announce(&to);
        } else {
            let body = running.desk.freeze(&to, &noise(2_000_000, 1));
            println!("\nbody {}", body.hash);
        }
    }
}

/// Whether the other end closes a connection, and how soon.
fn closed_after(mut stream: impl std::io::Read) -> Duration {
    let began = Instant::now();
    let mut bytes = [0; 4096];
    while let Ok(1..) = stream.read(&mut bytes) {}
    began.elapsed()
}

#[test]
fn slow_ones_have_limits() {
    let limits = Limits {
        stranger_time: ms(700),
        head_time: ms(500),
        request_time: ms(500),
        answer_time: ms(500),
        ..limits()
    };
    let site = Site::with("NORTH/HQ", &["SOUTH/HQ"], limits);
    let south = name("SOUTH/HQ");
    let within = |what: &str, time: Duration| {
        assert!(time > ms(300) && time < ms(5000), "{what}: {time:?}");
    };
    let tcp = || {
        let stream = TcpStream::connect(site.server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    };
    within("a stranger that says nothing", closed_after(tcp()));
    let mut slow = tcp();
    let mut writer = slow.try_clone().unwrap();
    // The beginning of a handshake that never goes on.
    writer.write_all(&[22, 3, 1, 1, 0]).unwrap();
    within("a slow handshake", closed_after(&mut slow));

    let (mut raw, ticket) = known(&site.server, &south);
    raw.send("GET /v1/messages HTTP/1.1\r\nHost: ").unwrap();
    let began = Instant::now();
    while raw.send("x").is_ok() && began.elapsed() < Duration::from_secs(10) {
        thread::sleep(ms(50));
    }
    within("a slow head", began.elapsed());

    let ticket = with(&ticket);
    let mut raw = Raw::to(&site.server);
    let head =
        format!("PUT /v1/messages/{FILE} HTTP/1.1\r\nHost: x\r\n{ticket}Content-Length: 9\r\n\r\n");
    raw.send(head + "x").unwrap();
    let began = Instant::now();
    let answer = raw.answer().unwrap();
    assert_eq!((answer.status, &*answer.text()), (408, "the request was too slow"));
    within("a body that does not end", began.elapsed());
    assert_eq!(site.desk.folder(&site.me).list().unwrap(), [], "nothing of it was left");

    let body = site.desk.freeze(&south, &noise(2_000_000, 1));
    let mut raw = Raw::to(&site.server);
    let get = format!("GET /v1/bodies/{} HTTP/1.1\r\nHost: x\r\n{ticket}\r\n", body.hash);
    raw.send(get.repeat(60)).unwrap();
    thread::sleep(ms(1500));
    let mut answers = 0;
    while raw.answer().is_some() {
        answers += 1;
    }
    assert!(answers < 60, "an answer that nobody takes ends its connection");
}

#[test]
fn a_requestor_has_a_few_requests_and_connections() {
    let limits = Limits { requests_max: 3, connections_of_one_max: 5, ..limits() };
    let site = Site::with("NORTH/HQ", &["SOUTH/HQ", "WEST/HQ"], limits);
    let (first, ticket) = known(&site.server, &name("SOUTH/HQ"));
    let ticket = with(&ticket);
    let mut others: Vec<Raw> = (0..4).map(|_| Raw::to(&site.server)).collect();
    for raw in &mut others {
        assert_eq!(raw.ask("GET /v1/messages", &ticket, b"").unwrap().status, 200);
    }
    let mut sixth = Raw::to(&site.server);
    let answer = sixth.ask("GET /v1/messages", &ticket, b"").unwrap();
    assert_eq!((answer.status, &*answer.text()), (429, "SOUTH/HQ has too many connections"));
    assert!(sixth.answer().is_none(), "it is closed");
    for raw in &mut others[..3] {
        raw.send(format!("GET /v1/messages?wait=5 HTTP/1.1\r\nHost: x\r\n{ticket}\r\n")).unwrap();
    }
    thread::sleep(ms(200));
    let answer = others[3].ask("GET /v1/messages", &ticket, b"").unwrap();
    assert_eq!((answer.status, &*answer.text()), (429, "SOUTH/HQ has too many requests under way"));
    site.server.link(&name("WEST/HQ")).list().expect("another requestor is served");
    drop((first, others));
    thread::sleep(ms(200));
    assert_eq!(Raw::to(&site.server).ask("GET /v1/messages", &ticket, b"").unwrap().status, 200);
}

#[test]
fn strangers_who_stay_keep_nobody_out() {
    let site = Site::new("NORTH/HQ", &["SOUTH/HQ"]);
    let south = name("SOUTH/HQ");
    let (mut raw, ticket) = known(&site.server, &south);
    let stay: Vec<TcpStream> =
        (0..300).map(|_| tcp(ENEMY, site.server.address()).unwrap()).collect();
    let began = Instant::now();
    for _ in 0..5 {
        site.server.link(&south).list().expect("one that comes now is served");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(raw.ask("GET /v1/messages", &with(&ticket), b"").unwrap().status, 200);
    // The oldest of them are gone, the others still there.
    for (nth, stream) in [(0, true), (299, false)].map(|(nth, gone)| (&stay[nth], gone)) {
        nth.set_read_timeout(Some(ms(200))).unwrap();
        let mut reader = nth;
        let is_gone = matches!(reader.read(&mut [0]), Ok(0));
        assert_eq!(is_gone, stream);
    }
}

/// Also a requestor that comes meanwhile is served, and the server needs no more memory for it.
#[test]
fn ten_thousand_connections_in_turn_cost_nothing() {
    let apart = Apart::start(1, "");
    let south = name(&requestor(0));
    apart.server.link(&south).list().unwrap();
    let before = apart.peak_mib();
    let address = apart.server.address();
    let enemies: Vec<_> = (0..4)
        .map(|enemy| {
            thread::spawn(move || {
                let mut kept = std::collections::VecDeque::new();
                for nth in 0..2500 {
                    let Ok(mut stream) = tcp(&format!("127.0.0.{}", 9 + enemy), address) else {
                        continue;
                    };
                    // Some begin a handshake, some end it, some say what is none.
                    let hello: &[u8] =
                        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[22, 3, 1, 1], b"", &[0xff; 600]]
                            [nth % 4];
                    let _ = stream.write_all(hello);
                    kept.push_back(stream);
                    kept.truncate(100);
                }
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    while enemies.iter().any(|enemy| !enemy.is_finished()) {
        let began = Instant::now();
        apart.server.link(&south).list().expect("a requestor is served meanwhile");
        slowest = slowest.max(began.elapsed());
    }
    enemies.into_iter().for_each(|enemy| enemy.join().unwrap());
    let grown = apart.peak_mib() - before;
    println!("10,000 connections: {grown:.1} MiB more, the slowest request took {slowest:?}");
    assert!(grown < 32.0, "{grown} MiB");
    assert!(slowest < Duration::from_secs(15), "{slowest:?}");
}

/// Registered requestors that ask for much and take nothing of it.
#[test]
fn answers_that_nobody_takes_have_little_room() {
    let mut apart = Apart::start(9, "few bytes in hand");
    let mut hashes = Vec::new();
    for nth in 0..8 {
        apart.tell(&format!("body {}", requestor(nth)));
        hashes.push(apart.said("body "));
    }
    let (before, mut open) = (apart.peak_mib(), Vec::new());
    for (nth, hash) in hashes.iter().enumerate() {
        let (raw, ticket) = known(&apart.server, &name(&requestor(nth)));
        open.push(raw);
        for _ in 0..8 {
            let mut raw = Raw::to(&apart.server);
            let get = format!("GET /v1/bodies/{hash} HTTP/1.1\r\nHost: x\r\n{}\r\n", with(&ticket));
            raw.send(get.repeat(20)).unwrap();
            open.push(raw);
        }
    }
    let began = Instant::now();
    apart.server.link(&name(&requestor(8))).list().expect("others are served");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    thread::sleep(ms(500));
    let grown = apart.peak_mib() - before;
    println!("64 answers of 1 MiB that nobody takes: {grown:.1} MiB more");
    assert!(grown < 24.0, "{grown} MiB");
}

/// So many requestors wait; one is told. Returns the peak of the server's memory in MiB, its threads, and how long
/// the one that is told waits for its answer.
fn waiting(requestors: usize) -> (f64, u64, Duration) {
    let mut apart = Apart::start(requestors, "");
    let mut waiting: Vec<Raw> = (0..requestors)
        .map(|nth| {
            let (mut raw, ticket) = known(&apart.server, &name(&requestor(nth)));
            let wait =
                format!("GET /v1/messages?wait=55 HTTP/1.1\r\nHost: x\r\n{}\r\n", with(&ticket));
            raw.send(wait).unwrap();
            raw
        })
        .collect();
    thread::sleep(ms(500));
    let mut slowest = Duration::ZERO;
    for nth in [0, requestors / 2, requestors - 1] {
        let began = Instant::now();
        apart.tell(&format!("file {}", requestor(nth)));
        let answer = waiting[nth].answer().unwrap();
        slowest = slowest.max(began.elapsed());
        assert!(answer.body.ends_with(b"\nnews"), "{answer:?}");
    }
    (apart.peak_mib(), apart.number("Threads:"), slowest)
}

#[test]
fn two_hundred_requestors_wait_without_a_thread_each() {
    let (peak, threads, slowest) = waiting(200);
    println!("200 wait: {peak:.1} MiB, {threads} threads, told in {slowest:?}");
    assert!(peak < 48.0 && threads <= 12, "{peak} MiB, {threads} threads");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

/// The figures of docs/benchmarks.md.
#[test]
#[ignore = "a measurement: cargo test --release -p dirsync-link --test link -- --ignored --nocapture a_thousand"]
fn a_thousand_requestors_wait() {
    let (peak, threads, slowest) = waiting(1000);
    println!("1,000 wait: {peak:.1} MiB, {threads} threads, told in {slowest:?}");
    assert!(peak <= 64.0 && threads <= 12, "{peak} MiB, {threads} threads");
    assert!(slowest < ms(100), "{slowest:?}");
}
