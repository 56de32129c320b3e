//! Maps at the keyboard: listed, shown, tried, suggested, and used.

use crate::sandbox::Sandbox;

const STAFF: &str = "no,first,last,mail,phone,unit,type\n\
    1,Ana,Souza,ANA@north.example,030 1,NAV,person\n\
    2,Bridge,,bridge@north.example,,NAV,room\n\
    3,Eve,,eve@partner.example,,,guest\n";

const MAP: &str = r#"
key = "{no}"
name = "{first} {last}"
address = "SMTP:{mail|lower}"
kind = [{ value = "resource", if = "(type=room)" }, "mailbox"]
skip = { value = "guests", if = "(type=guest)" }
[details]
telephoneNumber = '{phone|replace "^0" "+49 "}'
ou = '{unit|lookup "units.csv" "name"}'
"#;

fn with_staff() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    std::fs::create_dir(sandbox.path("maps")).unwrap();
    sandbox.write("staff.csv", STAFF);
    sandbox.write("maps/staff.toml", MAP);
    sandbox.write("maps/units.csv", "unit,name\nNAV,Navigation\n");
    sandbox
}

#[test]
fn every_built_in_map_can_be_listed_shown_and_used_as_a_file() {
    let sandbox = Sandbox::new();
    let maps = sandbox.run("map list --json").expect(0).json();
    let names: Vec<_> =
        maps.as_array().unwrap().iter().map(|map| map["name"].as_str().unwrap()).collect();
    assert!(names.len() >= 12 && names.contains(&"exchange"), "{names:?}");
    sandbox.write("staff.csv", STAFF);
    for name in names {
        let text = sandbox.run(&format!("map show {name}")).expect(0).out;
        sandbox.write("copy.toml", &text);
        // Its columns are not there, so it makes nothing, but it is a map.
        sandbox.run("map test copy.toml staff.csv").expect(0);
        sandbox.run(&format!("map test {name} staff.csv")).expect(0);
    }
    let unknown = sandbox.run("map show exchnge").expect(2);
    assert!(unknown.err.contains("these are: exchange, "), "{}", unknown.err);
}

#[test]
fn a_test_prints_what_each_line_made() {
    let sandbox = with_staff();
    let run = sandbox.run("map test maps/staff.toml staff.csv").expect(0);
    let expected = "\
line 2:
  key = 1
  kind = mailbox
  name = Ana Souza
  address = SMTP:ana@north.example
  ou = Navigation
  telephoneNumber = +49 30 1
  nothing: skip
line 3:
  key = 2
  kind = resource
  name = Bridge
  address = SMTP:bridge@north.example
  ou = Navigation
  nothing: skip, telephoneNumber
line 4: left out: guests
  skip = guests
  key = 3
  kind = mailbox
  name = Eve
  address = SMTP:eve@partner.example
  nothing: ou, telephoneNumber
";
    assert_eq!(run.out, expected);
    let json = sandbox.run("map test maps/staff.toml staff.csv -n 1 --json").expect(0).json();
    assert_eq!(json["rows"].as_array().unwrap().len(), 1);
    assert_eq!(json["rows"][0]["made"][0]["line"], "skip");
    sandbox.write("staff.csv", "no,first,last,mail,phone,unit\n");
    let wrong = sandbox.run("map test maps/staff.toml staff.csv").expect(2);
    assert!(
        wrong.err.contains("no column \"type\", which the map names (staff.toml, line 6, skip)"),
        "{}",
        wrong.err
    );
}

#[test]
fn an_import_by_a_map_counts_what_it_left_out() {
    let sandbox = with_staff();
    let run = sandbox.run("-C hq import staff.csv --map maps/staff.toml --whole").expect(0);
    assert!(
        run.out.contains("2 added\n") && run.out.contains("1 left out by map: guests\n"),
        "{}",
        run.out
    );
    sandbox.write("maps/units.csv", "unit,nam\nNAV,Navigation\n");
    let wrong = sandbox.run("-C hq import staff.csv --map maps/staff.toml --whole").expect(2);
    assert!(wrong.err.contains("units.csv\" (staff.toml, line 9, ou)"), "{}", wrong.err);
    assert!(wrong.err.contains("did you mean \"nam\"?"), "{}", wrong.err);
}

/// A table is part of what a source says.
#[test]
fn a_source_is_read_again_when_a_table_of_its_map_changed() {
    let sandbox = with_staff();
    let map =
        MAP.replace("[details]", "[source.map.details]").replace("units.csv", "../maps/units.csv");
    let settings =
        format!("[[source]]\nname = \"staff\"\nfile = \"../staff.csv\"\n[source.map]{map}");
    sandbox.write("hq/dirsync.toml", &settings);
    let read = |sandbox: &Sandbox| sandbox.run("-C hq cycle --json").expect(0).json()["T0"].clone();
    let first = read(&sandbox);
    assert_eq!(
        (&first[0]["counts"]["added"], &first[0]["counts"]["left_out"]),
        (&2.into(), &1.into())
    );
    let log = sandbox.run("-C hq log").expect(0).out;
    assert!(log.contains("; left out by map: guests 1"), "{log}");
    // The first read after the server knows the postoffice's entries looks at them once more.
    assert_eq!(read(&sandbox)[0]["counts"]["unchanged"], 2);
    assert_eq!(read(&sandbox), serde_json::json!([]), "nothing changed");
    std::fs::remove_file(sandbox.path("maps/units.csv")).unwrap();
    let checked = sandbox.run("-C hq config check").expect(0);
    assert!(checked.err.contains("its map needs the file"), "{}{}", checked.out, checked.err);
    sandbox.write("maps/units.csv", "unit,name\nNAV,Navigation and charts\n");
    assert_eq!(read(&sandbox)[0]["counts"]["changed"], 2);
}

#[test]
fn a_suggested_map_reads_its_file() {
    let sandbox = with_staff();
    let ldif = "dn: cn=1\nentryUUID: 03020100-0504-0706-0809-0a0b0c0d0e0f\ncn: Ana\nmail: ana@north.example\ntitle: Pilot\n\n";
    let cards = "BEGIN:VCARD\nVERSION:3.0\nUID:1\nFN:Ana\nEMAIL:ana@north.example\nTITLE:Pilot\nEND:VCARD\n";
    let csv = "entryUUID,cn,mail,title,Shoe size\n03020100-0504-0706-0809-0a0b0c0d0e0f,Ana,ana@north.example,Pilot,43\n";
    for (file, content) in [("a.ldif", ldif), ("a.vcf", cards), ("a.csv", csv)] {
        sandbox.write(file, content);
        let map = sandbox.run(&format!("import {file} --suggest-map")).expect(0).out;
        sandbox.write("suggested.toml", &map);
        let test = sandbox.run(&format!("map test suggested.toml {file}")).expect(0).out;
        assert!(
            test.contains("address = SMTP:ana@north.example") && test.contains("title = Pilot"),
            "{map}{test}"
        );
        assert_eq!(map.contains("# Not used: \"{Shoe size}\""), file == "a.csv", "{map}");
    }
    let headers = "Guid,DisplayName,PrimarySmtpAddress,RecipientType\n";
    sandbox.write("recipients.csv", headers);
    let map = sandbox.run("import recipients.csv --suggest-map").expect(0).out;
    assert!(map.starts_with("# recipients.csv is read by the built-in map \"exchange\""), "{map}");
}
