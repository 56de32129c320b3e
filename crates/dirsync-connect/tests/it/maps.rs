//! Maps over files of every format.

use std::fs;
use std::path::Path;

use dirsync_connect::{
    Format, Item, Line, Map, OpenError, OpenOptions, Rule, Source, SourceRow, Template, open,
};
use dirsync_directory::Filter;

fn line(texts: &[&str]) -> Line {
    texts.iter().map(|text| Template::parse(text).unwrap().into()).collect()
}

fn if_rule(text: &str, condition: &str) -> Rule {
    let condition = Some(Filter::over_columns(condition).unwrap());
    Rule { condition, ..Template::parse(text).unwrap().into() }
}

/// A map that uses every part of the language.
fn map(folder: &Path) -> Map {
    let details = [
        ("telephoneNumber", "{mobile,telephoneNumber|replace \"^0\" \"+49 \"}"),
        ("ou", "{ou|lookup \"units.csv\" \"name\"}"),
        ("description", "{description|limit 5|upper}"),
    ];
    Map {
        file: "staff.toml".into(),
        folder: folder.to_owned(),
        key: line(&["{employeeNumber}"]),
        name: line(&["{displayName}", "{givenName} {sn}"]),
        address: line(&["SMTP:{mail|lower}", "SMTP:{other|split \";\"|domain \"north.example\"}"]),
        kind: vec![if_rule("resource", "(title=room*)")],
        skip: vec![if_rule("guests", "(title=guest)")],
        details: details.map(|(name, text)| (name.parse().unwrap(), line(&[text]))).into(),
        ..Map::default()
    }
}

const UNITS: &str = "unit,name\nNAV,Navigation\nENG,Engine room\n";

const CSV: &str = "employeeNumber,displayName,givenName,sn,mail,other,mobile,telephoneNumber,ou,title,description\n\
    1,,Ana,Souza,Ana@North.example,a@x.example; ana.s@north.example,,030 1,nav,,pilot boat\n\
    2,Bridge,,,bridge@north.example,,0171,030 2,none,Room 1,\n\
    3,,Eve,,eve@x.example,,,,,Guest,\n";

const LDIF: &str = "dn: cn=1\nemployeeNumber: 1\ngivenName: Ana\nsn: Souza\nmail: Ana@North.example\n\
    other: a@x.example\nother: ana.s@north.example\ntelephoneNumber: 030 1\nou: nav\ndescription: pilot boat\n\n\
    dn: cn=2\nemployeeNumber: 2\ndisplayName: Bridge\nmail: bridge@north.example\nmobile: 0171\n\
    telephoneNumber: 030 2\nou: none\ntitle: Room 1\nuserPassword: x\n\n\
    dn: cn=3\nemployeeNumber: 3\ngivenName: Eve\nmail: eve@x.example\ntitle: Guest\n\n";

fn opened(
    name: &str,
    content: &[u8],
    change: impl FnOnce(&mut OpenOptions),
) -> Result<Source, OpenError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("units.csv"), UNITS).unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    let mut options = OpenOptions { map: Some(map(folder.path())), ..OpenOptions::default() };
    change(&mut options);
    open(fs::File::open(&path).unwrap(), &path, Format::of_path(&path).unwrap(), &options)
}

fn rows(source: &mut Source) -> Vec<SourceRow> {
    let item = |item: Item| match item {
        Item::Row(row) => row,
        other => panic!("{other:?}"),
    };
    source.map(|read| item(read.unwrap())).collect()
}

#[test]
fn one_map_reads_every_format() {
    for (name, content) in [("staff.csv", CSV), ("staff.ldif", LDIF)] {
        let mut source = opened(name, content.as_bytes(), |_| {}).unwrap();
        let rows = rows(&mut source);
        let [ana, bridge] = &rows[..] else { panic!("{name}: {rows:?}") };
        assert_eq!((ana.key.as_str(), ana.record.name.as_str()), ("1", "Ana Souza"), "{name}");
        assert_eq!(ana.record.addresses, "SMTP:ana@north.example\tSMTP:ana.s@north.example");
        assert_eq!(
            ana.record.details, "description/PILOT\nou/Navigation\ntelephoneNumber/+49 30 1\n",
            "{name}"
        );
        assert_eq!(
            (bridge.record.name.as_str(), bridge.record.kind.as_str()),
            ("Bridge", "resource")
        );
        assert_eq!(bridge.record.details, "telephoneNumber/+49 171\n", "{name}");
        let [left] = &source.left_out()[..] else { panic!("{name}") };
        assert_eq!((left.reason.as_str(), left.rows), ("guests", 1));
        let missing = "warning: 1 value is not in \"units.csv\": none";
        assert!(source.notes().iter().any(|note| note == missing), "{:?}", source.notes());
    }
}

#[test]
fn a_map_reads_the_properties_of_cards() {
    let content = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:urn:uuid:03020100-0504-0706-0809-0A0B0C0D0E0F\r\nN:Souza;Ana;;;\r\n\
        EMAIL:a@x.example\r\nEMAIL;TYPE=PREF:Ana@north.example\r\nTEL;TYPE=HOME:1\r\nTEL;TYPE=CELL,WORK:tel:0171\r\n\
        ADR;TYPE=WORK:;;Quay 1;Kiel;;;\r\nCATEGORIES:crew\r\nEND:VCARD\r\n\
        BEGIN:VCARD\r\nVERSION:3.0\r\nUID:2\r\nCATEGORIES:private\r\nEND:VCARD\r\n";
    let change = |options: &mut OpenOptions| {
        let details =
            [("mobile", "{tel;cell}"), ("l", "{ADR;work.4}"), ("title", "{X-NONE,categories}")];
        options.map = Some(Map {
            key: line(&["{uid}"]),
            name: line(&["{n.2} {n.1|upper}"]),
            address: line(&["SMTP:{email|lower}"]),
            skip: vec![if_rule("private", "(categories=private)")],
            details: details.map(|(name, text)| (name.parse().unwrap(), line(&[text]))).into(),
            ..Map::default()
        });
    };
    let mut source = opened("a.vcf", content.as_bytes(), change).unwrap();
    let rows = rows(&mut source);
    let [ana] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(ana.key, "03020100-0504-0706-0809-0a0b0c0d0e0f");
    assert_eq!(ana.record.name, "Ana SOUZA");
    assert_eq!(ana.record.addresses, "SMTP:ana@north.example\tSMTP:a@x.example");
    assert_eq!(ana.record.details, "l/Kiel\nmobile/0171\ntitle/crew\n");
    assert_eq!(source.left_out()[0].reason, "private");
}

#[test]
fn what_each_line_makes_can_be_traced() {
    let mut source = opened("a.csv", CSV.as_bytes(), |options| options.traced = 9).unwrap();
    rows(&mut source);
    let trace = source.take_trace();
    assert_eq!(trace.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 3, 4]);
    let made = |row: usize, line: &str| {
        trace[row].made.iter().find(|made| made.line == line).unwrap().values.clone()
    };
    assert_eq!(made(0, "address"), ["SMTP:ana@north.example", "SMTP:ana.s@north.example"]);
    assert!(made(0, "skip").is_empty() && made(1, "ou").is_empty());
    assert_eq!((made(2, "key"), trace[2].left_out.as_deref()), (vec!["3".into()], Some("guests")));
    assert_eq!(trace[0].left_out, None);
}

#[test]
fn a_mistake_names_the_file_the_line_the_column_and_the_nearest_one() {
    let error = |change: &dyn Fn(&mut Map)| {
        let change = |options: &mut OpenOptions| options.map.iter_mut().for_each(change);
        opened("a.csv", CSV.as_bytes(), change).err().unwrap().to_string()
    };
    let text = error(&|map| map.name = vec![Rule { line: 7, ..if_rule("{gven}", "(sn=*)") }]);
    assert!(
        text.contains("has no column \"gven\", which the map names (staff.toml, line 7, name)"),
        "{text}"
    );
    let text = error(&|map| map.name = line(&["{givenNmae}"]));
    assert!(text.ends_with("(staff.toml, name); did you mean \"givenName\"?"), "{text}");
    let text = error(&|map| map.skip = vec![if_rule("x", "(titel=*)")]);
    assert!(text.ends_with("did you mean \"title\"?"), "{text}");
    let text = error(&|map| map.name = line(&["{sn|lookup \"none.csv\" \"x\"}"]));
    assert!(
        text.contains("none.csv\" (staff.toml, name) cannot be used: it could not be read"),
        "{text}"
    );
    let text = error(&|map| map.name = line(&["{sn|lookup \"units.csv\" \"nme\"}"]));
    assert!(text.ends_with("has no column \"nme\"; did you mean \"name\"?"), "{text}");
    let comma = opened("a.csv", b"employeeNumber,\"a,b\"\n", |options| {
        options.map = Some(Map { key: line(&["{a,b}"]), ..Map::default() });
    });
    let text = comma.err().unwrap().to_string();
    assert!(text.ends_with("write {\"a,b\"} for the column with this name"), "{text}");
}

#[test]
fn an_attribute_that_no_record_has_is_named_at_the_end() {
    let change = |options: &mut OpenOptions| {
        options
            .map
            .iter_mut()
            .for_each(|map| map.hidden = line(&["{userPasswort}", "{title;lang-fr}"]));
    };
    let mut source = opened("a.ldif", LDIF.as_bytes(), change).unwrap();
    assert_eq!(rows(&mut source).len(), 2);
    let note = "no record has the attribute \"userpasswort\", which the map names; did you mean \"userpassword\"?";
    assert!(source.notes().iter().any(|text| text.contains(note)), "{:?}", source.notes());
    let wrong = opened("a.ldif", LDIF.as_bytes(), |options| {
        options.map.iter_mut().for_each(|map| map.hidden = line(&["{Job Title}"]));
    });
    assert!(wrong.err().unwrap().to_string().contains("no column \"Job Title\""));
}

#[test]
fn columns_of_one_name_are_one_with_several_values() {
    let content = "key,mail,Mail,mail \n1,a@x.example,,b@x.example\n";
    let change = |options: &mut OpenOptions| {
        let address = line(&["SMTP:{MAIL}"]);
        options.map = Some(Map { key: line(&["{key}"]), address, ..Map::default() });
    };
    let mut source = opened("a.csv", content.as_bytes(), change).unwrap();
    assert_eq!(rows(&mut source)[0].record.addresses, "SMTP:a@x.example\tSMTP:b@x.example");
}

#[test]
fn a_key_that_is_a_guid_has_its_one_form() {
    let guid = "{03020100-0504-0706-0809-0A0B0C0D0E0F}";
    let csv = format!("k,mail\n{guid},a@x.example\n");
    let ldif = "dn: cn=1\nobjectGUID:: AAECAwQFBgcICQoLDA0ODw==\nmail: a@x.example\n\n";
    for (name, content, key) in [("a.csv", csv.as_str(), "{k}"), ("a.ldif", ldif, "{objectGUID}")] {
        let change = |options: &mut OpenOptions| {
            let address = line(&["SMTP:{mail}"]);
            options.map = Some(Map { key: line(&[key]), address, ..Map::default() });
        };
        let mut source = opened(name, content.as_bytes(), change).unwrap();
        assert_eq!(rows(&mut source)[0].key, "03020100-0504-0706-0809-0a0b0c0d0e0f", "{name}");
    }
}
