//! Nothing that a neighbour, a file or a person writes reaches a terminal unseen.

use crate::site::Place;

/// A direction turned, a line separator, C1 controls, a terminal command, and what has no width.
const HOSTILE: &str = "a\u{202e}b\u{2028}c\u{85}d\u{9b}2Je\u{1b}[2Jf\u{200b}g\u{2066}h\u{61c}i";

fn is_clean(text: &str) -> bool {
    !text.chars().any(|character| {
        !matches!(character, '\n' | '\t') && dirsync_directory::is_hidden(character)
    })
}

/// Runs a command and looks at all that it says, as text and as JSON.
fn said(place: &Place, words: &[&str]) -> String {
    let mut all = String::new();
    for json in [&[][..], &["--json"]] {
        let ran = place.run_words(&[words, json].concat());
        let text = format!("{}{}", ran.out, ran.err);
        assert!(is_clean(&text), "{words:?} {json:?} says {text:?}");
        all.push_str(&text);
    }
    all
}

#[test]
fn foreign_text_is_shown_without_hidden_characters() {
    let place = Place::two_sites();
    place.write(
        "people.csv",
        &format!(
            "key,cn,mail,title\nk{0},Ana {HOSTILE},ana@x.example,{HOSTILE}\n\
             2,Bo,no address {HOSTILE},x\n3,Cy\u{0},cy@x.example,x\n4,Di,di@x.example,y\n",
            "\u{202e}"
        ),
    );
    let dry = said(&place, &["-C", "hq", "import", "people.csv", "--dry-run"]);
    assert!(dry.contains("Ana a\\u{202e}b\\u{2028}c"), "{dry}");
    said(&place, &["-C", "hq", "import", "people.csv"]);
    let bad = said(&place, &["-C", "hq", "quarantine", "list"]);
    assert!(bad.contains("contains the character NUL"), "{bad}");
    place.cycle();
    place.cycle();
    for site in ["hq", "sales"] {
        for words in ["entry list", "status", "check", "log", "held list", "quarantine list"] {
            let words: Vec<&str> = words.split(' ').collect();
            said(&place, &[&["-C", site][..], &words].concat());
        }
        let entry = said(&place, &["-C", site, "entry", "show", "ana@x.example"]);
        assert!(entry.contains("\\u{2028}") && entry.contains("\\u202e"), "{entry}");
    }
    for words in [
        ["entry", "show", HOSTILE],
        ["entry", "delete", HOSTILE],
        ["held", "approve", HOSTILE],
        ["requestor", "remove", HOSTILE],
        ["import", HOSTILE, "--dry-run"],
        ["message", "show", HOSTILE],
    ] {
        said(&place, &[&["-C", "hq"][..], &words].concat());
    }
    place.run("-C sales send").expect(0);
    place.write("more.csv", &format!("key,cn,mail\n9,{HOSTILE},z@x.example\n"));
    said(&place, &["-C", "sales", "import", "more.csv"]);
    place.run("-C sales send").expect(0);
    let mut shown = 0;
    for inbox in std::fs::read_dir(place.path("share")).unwrap().flatten() {
        for file in std::fs::read_dir(inbox.path()).into_iter().flatten().flatten() {
            if file.path().is_file() {
                said(&place, &["message", "show", file.path().to_str().unwrap()]);
                shown += 1;
            }
        }
    }
    assert!(shown > 0, "a message was shown");
    // What the agent says as it works: here of a source that is not there.
    place.write(
        "sales/dirsync.toml",
        "[[source]]\nname = \"hr\"\nfile = \"../a\\u202Eb\\u2028c.csv\"\nwhole = true\n",
    );
    for format in ["text", "json"] {
        let ran = place.run(&format!("run sales --once --log-format {format}"));
        assert!(ran.err.contains("u{202e}b"), "{format}: {}", ran.err);
        assert!(is_clean(&ran.err) && is_clean(&ran.out), "{format}: {:?}", ran.err);
    }
}

#[test]
fn twin_names_of_postoffices_are_refused() {
    let place = Place::two_sites();
    for (name, why) in [
        ("N\u{41e}RTH/HQ", "two scripts"),
        ("\u{ff2e}ORTH/HQ", "write \"NORTH/HQ\""),
        ("NORTH/H\u{202e}Q", "\\u{202e}"),
        ("NORTH/H,Q", "holds \",\""),
    ] {
        let words = ["-C", "hq", "requestor", "add", name, "--folder", "share"];
        let ran = place.run_words(&words).expect(2);
        assert!(ran.err.contains(why), "{name:?}: {}", ran.err);
    }
}

/// A key that a file decomposes (macOS does) is the key that another one composes.
#[test]
fn a_key_is_one_in_every_normal_form() {
    let place = Place::two_sites();
    let people = |key: &str, title: &str| {
        format!("key,cn,mail,title\n{key},Zoe,z@x.example,{title}\n2,Bo,b@x.example,x\n")
    };
    place.write("people.csv", &people("zoe\u{308}", "one"));
    place.run("-C sales import people.csv").expect(0);
    place.cycle();
    place.write("people.csv", &people("zo\u{eb}", "two"));
    let ran = place.run("-C sales import people.csv --json").expect(0).json();
    assert_eq!(
        (&ran["added"], &ran["changed"], &ran["removed"]),
        (&0.into(), &1.into(), &0.into())
    );
    place.cycle();
    for site in ["hq", "sales"] {
        assert_eq!(place.status(site)["entries"], 2, "{site}");
        let one = place.run_words(&["-C", site, "entry", "show", "zoe\u{308}", "--json"]).expect(0);
        assert_eq!(one.json()["key"], "zo\u{eb}", "{site}");
    }
}
