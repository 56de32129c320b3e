//! Files that are made by the rules of their formats are read as independent readers read them: `vobject`,
//! Python's `csv`, and the LDIF reader of python-ldap.

use std::io::{BufRead, BufReader, Seek, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dirsync_connect::{Format, Item, OpenOptions, open};
use dirsync_directory::unescape;
use serde_json::{Value, json};

use crate::generated::{File, Random};

/// The readers, as one process for all files.
fn readers() -> Child {
    // The packages of the system belong to the Python of the system.
    let system = Path::new("/usr/bin/python3");
    let python = if system.exists() { system } else { Path::new("python3") };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/readers.py");
    let mut command = Command::new(python);
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command.spawn().expect("install the package python3")
}

/// The people of a file, as this crate reads them.
fn read(file: &File) -> Value {
    let mut content = tempfile::tempfile().unwrap();
    content.write_all(&file.content).unwrap();
    content.rewind().unwrap();
    let options = OpenOptions { encoding: file.encoding.clone(), ..OpenOptions::default() };
    let source = match open(content, Path::new("people"), file.format, &options) {
        Ok(source) => source,
        Err(error) => return json!(error.to_string()),
    };
    let mut people = Vec::new();
    for item in source {
        let row = match item {
            Ok(Item::Row(row)) => row,
            other => return json!(format!("{other:?}")),
        };
        let record = row.record.as_ref();
        let plain = |text: &str| unescape(text).unwrap().into_owned();
        let mails: Vec<String> =
            record.address_texts().map(|text| plain(text.strip_prefix("SMTP:").unwrap())).collect();
        let values = |wanted: &str| -> Vec<String> {
            let lines = record.detail_lines().filter(|(name, _)| *name == wanted);
            lines.map(|(_, value)| plain(value)).collect()
        };
        let mut phones: Vec<[String; 2]> = Vec::new();
        for sort in ["facsimileTelephoneNumber", "mobile", "telephoneNumber"] {
            phones.extend(values(sort).into_iter().map(|number| [sort.to_owned(), number]));
        }
        phones.sort();
        let title = values("title").pop().unwrap_or_default();
        people.push(json!({
            "name": plain(record.name), "mails": mails, "phones": phones, "title": title,
        }));
    }
    Value::Array(people)
}

#[test]
fn ten_thousand_generated_files_are_read_as_independent_readers_read_them() {
    const FILES: [(Format, usize); 3] =
        [(Format::Csv, 4000), (Format::Ldif, 3000), (Format::Vcard, 3000)];
    let mut random = Random(20_261_128);
    let mut files = Vec::new();
    for (format, count) in FILES {
        files.extend((0..count).map(|_| File::generate(format, &mut random)));
    }
    assert_eq!(files.len(), 10_000);
    let mut readers = readers();
    let mut input = readers.stdin.take().unwrap();
    let output = BufReader::new(readers.stdout.take().unwrap());
    let theirs: Vec<Value> = std::thread::scope(|scope| {
        scope.spawn(|| {
            for file in &files {
                let File { format, argument, content, .. } = file;
                // If the readers end early, the number of their answers tells.
                let _ = writeln!(input, "{format} {argument} {}", content.len());
                let _ = input.write_all(content);
            }
            drop(input);
        });
        output.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
    });
    assert!(readers.wait().unwrap().success(), "a package is missing: its name stands above");
    assert_eq!(theirs.len(), files.len());
    for (file, theirs) in files.iter().zip(theirs) {
        let File { format, argument, content, people, .. } = file;
        let shown = String::from_utf8_lossy(content);
        assert_eq!(&theirs, people, "the other reader, {format} {argument}:\n{shown}");
        assert_eq!(&read(file), people, "ours, {format} {argument}:\n{shown}");
    }
}
