//! Exports for other programs, loaded by these programs.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::sandbox::{Ran, Sandbox};

const HEADER: &str = "origin,key,kind,name,address,aliases,employeeNumber,member,postalAddress,\
                      telephoneNumber,title,title;lang-fr,uid,x-floor\r\n";

/// Runs a program that Debian has in the folders of administrators.
fn program(name: &str, sandbox: &Sandbox) -> Command {
    let mut command = Command::new(found(name));
    command.current_dir(sandbox.folder.path());
    command
}

fn found(name: &str) -> String {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let mut paths = folders.iter().map(|folder| format!("{folder}/{name}"));
    paths.find(|path| Path::new(path).exists()).unwrap_or_else(|| name.to_owned())
}

#[track_caller]
fn ran(command: &mut Command) -> Ran {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}; see .ci/run"));
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Two postoffices with equal lists: two persons and a list at the server; at the requestor a person
/// whose values no LDAP server takes all of, a contact without a mail address, and a list of lists.
fn two_sites() -> Sandbox {
    let sandbox = Sandbox::two_postoffices();
    let hq = ",A1,mailbox,\"Souza, Ana\",SMTP:ana@north.example,\"SMTP:a2@north.example\nSMTP:pilot@other.example\",7,,,\
              +49 431 1,Pilot,Pilote,ana,2\r\n\
              ,a1,resource,#7 + \"=room\",SMTP:room7@north.example,,,,,5#1,,,,\r\n\
              ,4,list,Crew,SMTP:crew@north.example,SMTP:all@north.example,,\"SMTP:ANA@north.example\nSMTP:a2@north.example\n\
              SMTP:gone@far.example\nSMTP:room7@north.example\",,,,,,\r\n";
    sandbox.write("hq.csv", &format!("{HEADER}{hq}"));
    let sales = ",A1,mailbox, Łukasz  Örtel ,SMTP:lukasz@south.example,,\"1\n2\",,\"Main St\\n1\nC:\\x\",\"+1 2\n+12\",\
                 \"Chief\nchief\nx\u{1b}y\",,,\r\n\
                 ,2,contact,Ünal,X400:/c=TR,,,,,,,,,\r\n\
                 ,3,list,Everybody,SMTP:everybody@south.example,,,SMTP:crew@north.example,,,,,,\r\n\
                 ,5,list,Nobody,SMTP:nobody@south.example,,,,,,,,,\r\n";
    sandbox.write("sales.csv", &format!("{HEADER}{sales}"));
    for postoffice in ["hq", "sales"] {
        sandbox.run(&format!("-C {postoffice} import {postoffice}.csv")).expect(0);
    }
    sandbox.cycle();
    sandbox
}

/// Both sites' exports, which are the same bytes.
fn export(sandbox: &Sandbox, options: &str, file: &str) -> Ran {
    let other = sandbox.run(&format!("-C hq export {options} -o other")).expect(0);
    let ran = sandbox.run(&format!("-C sales export {options} -o {file}")).expect(0);
    assert_eq!(sandbox.read("other"), sandbox.read(file), "{options}");
    assert_eq!(other.out.replace("other", file), ran.out);
    ran
}

/// Settings of a server with the schemas that Debian's has.
fn slapd(sandbox: &Sandbox) {
    std::fs::create_dir(sandbox.path("data")).unwrap();
    let schemas = ["core", "cosine", "inetorgperson"]
        .map(|name| format!("include /etc/ldap/schema/{name}.schema\n"))
        .concat();
    let data = sandbox.path("data");
    let settings = format!(
        "{schemas}modulepath /usr/lib/ldap\nmoduleload back_mdb\ndatabase mdb\n\
         suffix \"dc=example,dc=org\"\nrootdn \"cn=admin,dc=example,dc=org\"\nrootpw secret\ndirectory {}\n",
        data.display()
    );
    sandbox.write("slapd.conf", &settings);
    let base = "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: x\n";
    sandbox.write("base.ldif", base);
    ran(program("slapadd", sandbox).args(["-f", "slapd.conf", "-l", "base.ldif"])).expect(0);
}

/// The server, as long as it is not dropped.
struct Slapd(Child);

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_slapd(sandbox: &Sandbox) -> (Slapd, String) {
    let socket = sandbox.path("ldapi");
    let url = format!("ldapi://{}", socket.display().to_string().replace('/', "%2F"));
    let mut command = program("slapd", sandbox);
    command.args(["-f", "slapd.conf", "-d", "0", "-h", &url]);
    let server = Slapd(command.stdin(Stdio::null()).spawn().unwrap());
    let start = Instant::now();
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(start.elapsed() < Duration::from_secs(60), "slapd did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    (server, url)
}

#[test]
fn openldap_takes_the_list_below_a_base() {
    let sandbox = two_sites();
    let said = export(&sandbox, "--format ldif --base dc=example,dc=org", "list.ldif").out;
    // Values: the X.400 address, two floors, and what is no telephone number, no postal address and no second
    // number of an employee. Members: whom nobody knows.
    assert!(said.starts_with("7 entries written to list.ldif\n"), "{said}");
    assert!(said.contains("5 values, 1 member of a list"), "{said}");
    slapd(&sandbox);
    ran(program("slapadd", &sandbox).args(["-u", "-f", "slapd.conf", "-l", "list.ldif"])).expect(0);
    let (_server, url) = start_slapd(&sandbox);
    let client = |name: &str| {
        let mut command = program(name, &sandbox);
        command.args(["-x", "-H", &url, "-D", "cn=admin,dc=example,dc=org", "-w", "secret"]);
        command
    };
    ran(client("ldapadd").args(["-f", "list.ldif"])).expect(0);
    let search = |filter: &str, attribute: &str| {
        let base = ["-LLL", "-o", "ldif-wrap=no", "-b", "dc=example,dc=org", filter, attribute];
        let found = ran(client("ldapsearch").args(base)).expect(0).out;
        let prefix = format!("{attribute}: ");
        let values = found.lines().filter_map(|line| line.strip_prefix(&prefix));
        values.map(str::to_owned).collect::<Vec<String>>()
    };
    assert_eq!(search("(mail=A2@north.example)", "cn"), ["Souza, Ana"]);
    assert_eq!(search("(mail=pilot@other.example)", "sn"), ["Souza, Ana"]);
    assert_eq!(search("(mail=lukasz@south.example)", "telephoneNumber"), ["+1 2"]);
    assert_eq!(search("(mail=ana@north.example)", "title;lang-fr"), ["Pilote"]);
    let crew = search("(cn=Crew)", "member");
    assert_eq!(crew.len(), 2, "{crew:?}");
    let of_ana = search(&format!("(member={})", dn_of(&search, "(cn=Souza*)")), "cn");
    assert_eq!(of_ana, ["Crew"]);
    assert_eq!(search("(cn=Everybody)", "member"), [dn_of(&search, "(cn=Crew)")]);
}

fn dn_of(search: &impl Fn(&str, &str) -> Vec<String>, filter: &str) -> String {
    search(filter, "dn").remove(0)
}

/// Values of all kinds, made by rule: whatever an entry has, the server takes its record.
#[test]
fn openldap_takes_whatever_entries_have() {
    const PIECES: [&str; 24] = [
        "a", "A", " ", "  ", "=", "+", ",", ";", "<", ">", "#", "\\", "\"\"", ":", "\\n", "ü",
        "u\u{308}", "\u{fb01}", "漢", "😀", "\u{1}", "\u{7f}", "$", "\u{a0}",
    ];
    let sandbox = Sandbox::new();
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    let mut state = 1_u32;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize % below
    };
    let mut text = String::from(HEADER);
    for number in 0..1_000 {
        let mut value = || (0..=draw(5)).map(|_| PIECES[draw(PIECES.len())]).collect::<String>();
        let kind = if number % 3 == 0 { "list" } else { "mailbox" };
        let (name, title, floor) = (value(), value(), value());
        let many = format!("{}\n{}\n{}", value(), value(), value());
        text += &format!(
            ",k{number},{kind},\"x{name}\",SMTP:p{number}@x.example,,\"{many}\",\"SMTP:p{}@x.example\nSMTP:P7@x.example\",\
             \"{many}\",\"{many}\",\"{title}\n{many}\",\"{many}\",\"{many}\",\"{floor}\"\r\n",
            number / 2
        );
    }
    sandbox.write("all.csv", &text);
    let read = sandbox.run("-C hq import all.csv --json");
    assert!(
        read.out.contains("\"added\":1000") || read.out.contains("\"added\": 1000"),
        "{}",
        read.out
    );
    sandbox.run("-C hq cycle").expect(0);
    let options = "--format ldif --base dc=example,dc=org -o all.ldif";
    let said = sandbox.run(&format!("-C hq export {options}")).expect(0).out;
    assert!(said.starts_with("1000 entries"), "{said}");
    slapd(&sandbox);
    let loaded = ran(program("slapadd", &sandbox).args(["-f", "slapd.conf", "-l", "all.ldif"]));
    assert_eq!(loaded.code, 0, "{}", loaded.err);
}

/// A folder with the settings of a Postfix that runs nothing.
fn postfix_settings(sandbox: &Sandbox) -> String {
    std::fs::create_dir_all(sandbox.path("postfix")).unwrap();
    sandbox.write("postfix/main.cf", "compatibility_level = 3.6\nqueue_directory = /nonexistent\n");
    sandbox.path("postfix").display().to_string()
}

/// The answer of a table to a key; none if it has none.
fn postmap_q(sandbox: &Sandbox, key: &str, table: &str) -> Option<String> {
    let table = sandbox.path(table).display().to_string();
    let mut command = program("postmap", sandbox);
    let found = ran(command.args(["-c", "postfix", "-q", key, &table]));
    assert!(found.err.is_empty(), "{}", found.err);
    (found.code == 0).then(|| found.out.trim_end().to_owned())
}

#[test]
fn postfix_finds_aliases_lists_and_recipients() {
    let sandbox = two_sites();
    postfix_settings(&sandbox);
    let domains = "--domain north.example --domain South.Example";
    let said = export(&sandbox, &format!("--format postfix-virtual {domains}"), "virtual").out;
    assert!(said.contains("left out, as the format cannot express them: 1 entry\n"), "{said}");
    let format = "--format postfix-relay-recipient";
    export(&sandbox, &format!("{format} --domain north.example"), "recipients");
    for table in ["virtual", "recipients"] {
        ran(program("postmap", &sandbox).args(["-c", "postfix", table])).expect(0);
    }
    let virtual_ = |key: &str| postmap_q(&sandbox, key, "virtual");
    assert_eq!(virtual_("A2@North.example").as_deref(), Some("ana@north.example"));
    assert_eq!(virtual_("all@north.example").as_deref(), Some("crew@north.example"));
    assert_eq!(
        virtual_("crew@north.example").as_deref(),
        Some("ANA@north.example, a2@north.example, gone@far.example, room7@north.example")
    );
    assert_eq!(virtual_("everybody@south.example").as_deref(), Some("crew@north.example"));
    assert_eq!(virtual_("pilot@other.example"), None, "no stated domain");
    assert_eq!(virtual_("ana@north.example"), None, "mail for a primary address goes on as it is");
    let recipients = |key: &str| postmap_q(&sandbox, key, "recipients").is_some();
    assert!(recipients("ana@north.example") && recipients("all@north.example"));
    assert!(!recipients("lukasz@south.example") && !recipients("x@north.example"));
}

/// Runs a command line with the folders of programs, and the settings of a Postfix that runs nothing.
fn run_with(sandbox: &Sandbox, line: &str, path: &str) -> Ran {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut command = sandbox.command(&words);
    ran(command.env("PATH", path).env("MAIL_CONFIG", sandbox.path("postfix")))
}

const TARGETS: &str = "[[target]]\nfile = \"../SITE.virtual\"\nformat = \"postfix-virtual\"\ndomains = [\"north.example\"]\n\
                       [[target]]\nfile = \"../missing/SITE.csv\"\nformat = \"outlook\"\n\
                       [[target]]\nfile = \"../SITE.ldif\"\nbase = \"dc=example,dc=org\"\n";
const PATH: &str = "/usr/sbin:/usr/bin:/bin";

#[test]
fn targets_of_new_formats_equal_the_list_and_one_that_is_broken_stops_no_other() {
    let sandbox = two_sites();
    postfix_settings(&sandbox);
    for site in ["hq", "sales"] {
        sandbox.write(&format!("{site}/dirsync.toml"), &TARGETS.replace("SITE", site));
    }
    let apply = |site: &str| run_with(&sandbox, &format!("-C {site} apply"), PATH);
    for site in ["hq", "sales"] {
        let said = apply(site).expect(3);
        let said = format!("{}{}", said.out, said.err);
        assert!(said.contains("missing") && said.contains("a target was not written"), "{said}");
        assert!(said.contains("left out, as the format cannot express them: 1 entry"), "{said}");
        let table = format!("{site}.virtual");
        assert_eq!(
            postmap_q(&sandbox, "all@north.example", &table).as_deref(),
            Some("crew@north.example")
        );
    }
    for format in ["virtual", "ldif"] {
        assert_eq!(sandbox.read(&format!("hq.{format}")), sandbox.read(&format!("sales.{format}")));
    }
    let options = "--format ldif --base dc=example,dc=org";
    assert_eq!(sandbox.read("hq.ldif"), sandbox.run(&format!("-C hq export {options}")).out);

    // Nothing is left beside the files, and a table that is gone is put right.
    let names = || {
        let entries = std::fs::read_dir(sandbox.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains("virtual")).collect::<std::collections::BTreeSet<_>>()
    };
    let before = names();
    assert_eq!(before.len(), 4, "a file and a table at each site: {before:?}");
    let table = before.iter().find(|name| name.starts_with("sales.virtual.")).unwrap();
    std::fs::remove_file(sandbox.path(table)).unwrap();
    let again = apply("sales").expect(3);
    let again = format!("{}{}", again.out, again.err);
    assert!(again.contains("another table beside it, or none: it was put right"), "{again}");
    assert_eq!(names(), before);

    // A change of the list reaches the table.
    sandbox.run("-C hq entry add --key ben --name Ben --address SMTP:ben@north.example --address SMTP:b2@north.example").expect(0);
    sandbox.cycle();
    apply("sales").expect(3);
    let found = postmap_q(&sandbox, "b2@north.example", "sales.virtual");
    assert_eq!(found.as_deref(), Some("ben@north.example"));
}

#[test]
fn a_table_without_postmap_is_an_error_of_its_target() {
    let sandbox = two_sites();
    let targets = TARGETS.replace("missing/", "").replace("SITE", "sales");
    sandbox.write("sales/dirsync.toml", &targets);
    let path = sandbox.path("programs").display().to_string();
    std::fs::create_dir(&path).unwrap();
    let said = run_with(&sandbox, "-C sales apply", &path).expect(3);
    let said = format!("{}{}", said.out, said.err);
    assert!(said.contains("there is no program \"postmap\" in PATH"), "{said}");
    assert!(!sandbox.exists("sales.virtual"), "a file without its table is not put in place");
    assert!(sandbox.exists("sales.csv") && sandbox.exists("sales.ldif"), "the others are");
    let check = run_with(&sandbox, "-C sales config check", &path);
    let check = format!("{}{}", check.out, check.err);
    assert!(check.contains("there is no program \"postmap\" in PATH"), "{check}");
    let status = run_with(&sandbox, "-C sales status", &path).expect(3).out;
    assert!(status.contains("postmap"), "{status}");
}

/// The columns are those that these programs export, so our own reading of their exports knows them.
#[test]
fn contact_files_are_read_like_the_exports_of_their_programs() {
    let sandbox = two_sites();
    for format in ["outlook", "google", "thunderbird"] {
        export(&sandbox, &format!("--format {format}"), &format!("{format}.csv"));
        sandbox.run(&format!("-C {format} init EAST/{format} --server")).expect(0);
        let read = sandbox.run(&format!("-C {format} import {format}.csv --json")).expect(0).json();
        assert_eq!(read["added"], 6, "all but the contact without a mail address: {read}");
        sandbox.run(&format!("-C {format} cycle")).expect(0);
        let found = sandbox.run(&format!("-C {format} entry list --json")).expect(0).json();
        let ana = found
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["addresses"][0] == "SMTP:ana@north.example");
        let ana = ana.unwrap_or_else(|| panic!("{format}: {found}"));
        assert_eq!(ana["addresses"][1], "SMTP:a2@north.example");
        assert_eq!(ana["details"]["telephoneNumber"][0], "+49 431 1", "{ana}");
    }
}
