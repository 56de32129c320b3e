use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn options(entries: u32) -> Options {
    Options { entries, seed: 7, origin_prefix: "north".to_owned(), change: 0, shuffle: false }
}

fn csv(options: &Options) -> String {
    let mut out = Vec::new();
    Directory::generate(options).write_csv(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Rows by employee number.
fn rows(csv: &str) -> BTreeMap<&str, Vec<&str>> {
    csv.lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            (fields[0], fields)
        })
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    assert_eq!(csv(&options(500)), csv(&options(500)));
    assert_ne!(csv(&options(500)), csv(&Options { seed: 8, ..options(500) }));
}

#[test]
fn every_row_has_the_columns_and_needs_no_quotes() {
    let csv = csv(&options(2000));
    assert_eq!(csv.lines().next().unwrap(), HEADER);
    let columns = HEADER.split(',').count();
    assert!(csv.lines().all(|line| line.split(',').count() == columns && !line.contains('"')));
    assert!(csv.lines().skip(1).all(|line| line.split(',').all(|field| !field.is_empty())));
}

#[test]
fn keys_and_addresses_are_unique_also_among_namesakes() {
    let csv = csv(&options(150_000));
    let rows = rows(&csv);
    let mails: BTreeSet<&str> = rows.values().map(|fields| fields[3]).collect();
    assert_eq!((rows.len(), mails.len()), (150_000, 150_000));
    assert!(mails.iter().all(|mail| mail.is_ascii()));
    assert!(mails.iter().any(|mail| mail.contains("2@")), "no namesakes: the test shows nothing");
}

#[test]
fn names_stay_apart_in_their_ascii_form() {
    for (list, least) in [(names::FIRST, 190), (names::LAST, 480)] {
        let words = word_list(list);
        let ascii: BTreeSet<&str> = words.iter().map(|name| name.ascii.as_str()).collect();
        assert_eq!(ascii.len(), words.len());
        assert!(words.len() >= least, "{} names", words.len());
        let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).count();
        assert!(words.iter().all(|name| name.ascii.len() == letters(&name.text)));
    }
}

#[test]
fn as_many_people_change_as_was_asked_and_only_in_phone_or_title() {
    let (before, after) =
        (csv(&options(1000)), csv(&Options { change: 100, shuffle: true, ..options(1000) }));
    let (before, after) = (rows(&before), rows(&after));
    let mut changed = [0; 7];
    for (key, old) in &before {
        for (column, (old, new)) in old.iter().zip(&after[key]).enumerate() {
            changed[column] += i32::from(old != new);
        }
    }
    assert_eq!(changed, [0, 0, 0, 0, 50, 50, 0]);
}

#[test]
fn shuffling_changes_the_order_alone() {
    let (plain, shuffled) = (csv(&options(300)), csv(&Options { shuffle: true, ..options(300) }));
    assert_ne!(plain, shuffled);
    assert_eq!(rows(&plain), rows(&shuffled));
}

#[test]
fn an_entry_is_about_260_bytes_as_ldif() {
    let csv = csv(&options(20_000));
    let rows = rows(&csv);
    let bytes: usize = rows.values().map(|fields| ldif(fields).len()).sum();
    let average = bytes / rows.len();
    assert!((240..=280).contains(&average), "{average} bytes");
}

fn ldif(fields: &[&str]) -> String {
    let [number, first, last, mail, phone, title, department] = fields else { panic!() };
    format!(
        "dn: employeeNumber={number},o=north\nobjectClass: inetOrgPerson\ncn: {first} {last}\n\
         givenName: {first}\nsn: {last}\nmail: {mail}\ntelephoneNumber: {phone}\n\
         title: {title}\ndepartmentNumber: {department}\nemployeeNumber: {number}\n\n"
    )
}
