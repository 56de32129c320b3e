//! Where an entry is on its way, at the server and at a requestor.

use serde_json::Value;

use crate::sandbox::{Sandbox, people};

const WHOLE: &str = "\
[[source]]
name = \"crew\"
file = \"../crew.csv\"
whole = true
[[source]]
name = \"ships\"
file = \"../ships.csv\"
";

/// Three postoffices; `sales` reads two sources.
fn three() -> Sandbox {
    let sandbox = Sandbox::two_postoffices();
    sandbox.run("-C hq requestor add ALPS/DEPOT --folder share --out depot.invitation").expect(0);
    sandbox.run("-C depot init --invitation depot.invitation").expect(0);
    sandbox.write("sales/dirsync.toml", WHOLE);
    sandbox.write("crew.csv", &people(0..30));
    sandbox.write("ships.csv", &people(100..103));
    all(&sandbox);
    all(&sandbox);
    sandbox
}

fn all(sandbox: &Sandbox) {
    for command in ["sales cycle", "depot cycle", "hq cycle", "sales apply", "depot apply"] {
        sandbox.run(&format!("-C {command}"));
    }
}

fn why(sandbox: &Sandbox, postoffice: &str, who: &str) -> Value {
    sandbox.run_words(&["-C", postoffice, "why", who, "--json"]).expect(0).json()
}

/// The stages of the first that was found with this name.
fn stages<'a>(why: &'a Value, stage: &str) -> Vec<&'a Value> {
    let found = why["found"].as_array().unwrap().iter();
    let stages = found.flat_map(|found| found["stages"].as_array().unwrap());
    stages.filter(|one| one["stage"] == stage).collect()
}

fn at<'a>(why: &'a Value, postoffice: &str) -> &'a Value {
    let found = stages(why, "at").into_iter().find(|stage| stage["postoffice"] == postoffice);
    &found.unwrap_or_else(|| panic!("{why:#}"))["reach"]
}

#[test]
fn an_entry_is_found_by_address_name_id_and_key_at_both_sides() {
    let sandbox = three();
    let id = why(&sandbox, "hq", "p1@x.example")["found"][0]["id"].as_str().unwrap().to_owned();
    for postoffice in ["hq", "sales", "depot"] {
        for who in ["p1@x.example", "smtp:P1@x.example", "person 1", "1", &id] {
            let told = why(&sandbox, postoffice, who);
            assert_eq!(told["found"].as_array().unwrap().len(), 1, "{postoffice} {who}: {told:#}");
            assert_eq!(told["found"][0]["id"], *id);
            assert_eq!(told["found"][0]["origin"], "SOUTH/SALES");
        }
    }
    // Nobody: exit 1, with the nearest name.
    for (postoffice, who, nearest) in [
        ("hq", "Persn 29", "did you mean \"Person 29\"?"),
        ("sales", "pp29@x.example", "did you mean \"p29@x.example\"?"),
        ("depot", "p1@y.example", "did you mean \"p1@x.example\"?"),
    ] {
        let ran = sandbox.run_words(&["-C", postoffice, "why", who]).expect(1);
        assert!(ran.err.contains("no entry here has the address, name, id or key"), "{}", ran.err);
        assert!(ran.err.contains(nearest), "{}", ran.err);
    }
    let site = sandbox.run("-C hq why 1 --at SOUTH/SALE").expect(1);
    assert!(
        site.err.contains("not registered") && site.err.contains("mean SOUTH/SALES?"),
        "{}",
        site.err
    );
    let site = sandbox.run("-C sales why 1 --at ALPS/DEPOT").expect(1);
    assert!(site.err.contains("the server, NORTH/HQ, alone"), "{}", site.err);
    sandbox.run("-C sales why 1 --at SOUTH/SALES").expect(0);
    assert_eq!(stages(&sandbox.run("-C hq why 1 --at ALPS/DEPOT --json").json(), "at").len(), 1);
}

#[test]
fn what_the_source_says_of_an_entry_is_told() {
    let sandbox = three();
    let told = why(&sandbox, "sales", "p1@x.example");
    assert_eq!(stages(&told, "in_source")[0]["line"], 3);
    assert_eq!(stages(&told, "in_source")[0]["taken"], true);
    assert_eq!(stages(&told, "acknowledged").len(), 1);
    assert_eq!(stages(&told, "listed").len(), 1);

    // A row that nobody has read yet, one of another origin, and one that cannot be used.
    let mut rows = people(0..30);
    rows.push_str("50,New Pilot,pilot@x.example,\n");
    sandbox.write("crew.csv", &rows);
    let told = why(&sandbox, "sales", "New Pilot");
    assert_eq!(stages(&told, "in_source")[0]["taken"], false, "{told:#}");
    assert_eq!(told["found"][0]["id"], Value::Null);
    sandbox.write(
        "ships.csv",
        "origin,key,kind,name,address,aliases\nALPS/DEPOT,7,mailbox,Eva,SMTP:eva@x.example,\n",
    );
    let told = why(&sandbox, "sales", "Eva");
    assert_eq!(stages(&told, "left_out")[0]["left_out"]["origin"], "ALPS/DEPOT");
    sandbox.write("ships.csv", "key,cn,mail\n8,No Mail,\n");
    let told = why(&sandbox, "sales", "No Mail");
    assert_eq!(stages(&told, "left_out")[0]["left_out"]["rule"], "no_address");
    let map = "[source.map]\nkey = \"{key}\"\nname = \"{cn}\"\naddress = [\"SMTP:{mail}\"]\nskip = \"{gone}\"\n";
    sandbox.write("sales/dirsync.toml", &format!("{WHOLE}{map}"));
    sandbox.write(
        "ships.csv",
        "key,cn,mail,gone\n8,Gone Away,gone@x.example,yes\n9,Here,here@x.example,\n",
    );
    for who in ["Gone Away", "gone@x.example", "8"] {
        let told = why(&sandbox, "sales", who);
        let left_out = &stages(&told, "left_out")[0]["left_out"];
        assert_eq!((&left_out["rule"], &left_out["reason"]), (&"map".into(), &"skipped".into()));
    }
    sandbox.write("sales/dirsync.toml", WHOLE);
    sandbox.write("ships.csv", "key,cn,mail\n,Without Key,without@x.example,\n7,Bad Kind,x y,\n");
    sandbox.run("-C sales cycle");
    let told = why(&sandbox, "sales", "Bad Kind");
    assert!(
        !stages(&told, "quarantined").is_empty() || !stages(&told, "unusable").is_empty(),
        "{told:#}"
    );

    // Most of the crew is gone: the deletions are held, and each says that the file lacks it.
    sandbox.write("crew.csv", &people(0..3));
    sandbox.run("-C sales cycle");
    let told = why(&sandbox, "sales", "Person 7");
    let absent = stages(&told, "not_in_source");
    assert_eq!((&absent[0]["source"], &absent[0]["rows"]), (&"crew".into(), &3.into()));
    assert_eq!(stages(&told, "held")[0]["group"], "short-read:crew");
    let words = sandbox.run("-C sales why p7@x.example").expect(0).out;
    assert!(words.starts_with("Person 7 <p7@x.example> of SOUTH/SALES, key 7, id "), "{words}");
    assert!(words.contains("crew.csv (source crew): not among its 3 rows"), "{words}");
    assert!(words.contains("its deletion is held here since "), "{words}");
}

#[test]
fn each_condition_of_a_view_is_named() {
    let sandbox = three();
    for (limit, condition, value) in [
        ("--kinds list,resource", "kinds", "mailbox"),
        ("--all-kinds --types X400", "types", "SMTP"),
        ("--all-types --origins NORTH/HQ", "origins", "SOUTH/SALES"),
        ("--all-origins --filter (title=Pilot)", "filter", ""),
    ] {
        sandbox.run(&format!("-C hq requestor set ALPS/DEPOT {limit}")).expect(0);
        let told = why(&sandbox, "hq", "p1@x.example");
        let reach = at(&told, "ALPS/DEPOT");
        assert_eq!(reach["state"], "outside_view", "{told:#}");
        assert_eq!(reach["hidden"]["limit_of"], "server");
        assert_eq!(reach["hidden"]["condition"], condition);
        assert_eq!(reach["hidden"]["values"][0].as_str().unwrap_or_default(), value);
        assert_eq!(at(&told, "SOUTH/SALES")["state"], "confirmed");
    }
    sandbox.run("-C hq requestor set ALPS/DEPOT --everything").expect(0);
    // The requestor's own limit.
    sandbox.write("depot/dirsync.toml", "[view]\nkinds = [\"list\"]\n");
    sandbox.run("-C depot entry add --key eva --name Eva --address SMTP:eva@x.example").expect(0);
    all(&sandbox);
    all(&sandbox);
    let told = why(&sandbox, "hq", "p1@x.example");
    assert_eq!(at(&told, "ALPS/DEPOT")["hidden"]["limit_of"], "requestor");
    let told = why(&sandbox, "depot", "Eva");
    assert_eq!(stages(&told, "not_listed")[0]["hidden"]["condition"], "kinds");
    let words = sandbox.run("-C depot why Eva").expect(0).out;
    assert!(words.contains("of kinds its own settings want list, and this has mailbox"), "{words}");
}

#[test]
fn the_way_from_the_origin_to_a_list_is_told_step_by_step() {
    let sandbox = three();
    sandbox.run("-C sales entry add --key eva --name Eva --address SMTP:eva@x.example").expect(0);
    let told = why(&sandbox, "sales", "Eva");
    assert_eq!((stages(&told, "not_sent").len(), stages(&told, "not_listed").len()), (1, 1));
    sandbox.run("-C sales send").expect(0);
    assert_eq!(stages(&why(&sandbox, "sales", "Eva"), "sent").len(), 1);
    sandbox.run("-C hq process").expect(0);
    let told = why(&sandbox, "hq", "Eva");
    assert_eq!(at(&told, "ALPS/DEPOT")["state"], "not_sent", "{told:#}");
    let sent = at(&told, "SOUTH/SALES");
    assert_eq!(sent["state"], "sent");
    let cycle = sandbox.status("hq")["cycle"].clone();
    assert_eq!(sent["cycle"], cycle);
    let words = sandbox.run("-C hq why Eva").expect(0).out;
    assert!(
        words.contains(&format!("at SOUTH/SALES: sent in cycle {cycle} and not confirmed")),
        "{words}"
    );
    all(&sandbox);
    all(&sandbox);
    let told = why(&sandbox, "hq", "Eva");
    for postoffice in ["NORTH/HQ", "SOUTH/SALES", "ALPS/DEPOT"] {
        assert_eq!(at(&told, postoffice)["state"], "confirmed", "{postoffice}");
    }
}

#[test]
fn an_entry_that_waits_for_an_address_says_for_which_and_who_has_it() {
    let sandbox = three();
    sandbox.run("-C depot entry add --key twin --name Twin --address SMTP:p1@x.example").expect(0);
    all(&sandbox);
    all(&sandbox);
    for postoffice in ["hq", "depot"] {
        let told = why(&sandbox, postoffice, "Twin");
        let waits = stages(&told, "waits_for_address");
        assert_eq!(waits.len(), 1, "{postoffice}: {told:#}");
        assert_eq!(waits[0]["address"], "SMTP:p1@x.example");
        assert_eq!(waits[0]["holder"], "SOUTH/SALES");
    }
    assert_eq!(stages(&why(&sandbox, "sales", "1"), "contested")[0]["by"], "ALPS/DEPOT");
}
