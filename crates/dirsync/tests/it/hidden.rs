//! Nothing that a neighbour, a file or a person writes reaches a terminal unseen.

use crate::sandbox::Sandbox;

/// A direction turned, a line separator, C1 controls, a terminal command, and what has no width.
const HOSTILE: &str = "a\u{202e}b\u{2028}c\u{85}d\u{9b}2Je\u{1b}[2Jf\u{200b}g\u{2066}h\u{61c}i";

fn is_clean(text: &str) -> bool {
    !text.chars().any(|character| {
        !matches!(character, '\n' | '\t') && dirsync_directory::is_hidden(character)
    })
}

/// Runs a command and looks at all that it says, as text and as JSON.
fn said(sandbox: &Sandbox, words: &[&str]) -> String {
    let mut all = String::new();
    for json in [&[][..], &["--json"]] {
        let ran = sandbox.run_words(&[words, json].concat());
        let text = format!("{}{}", ran.out, ran.err);
        assert!(is_clean(&text), "{words:?} {json:?} says {text:?}");
        all.push_str(&text);
    }
    all
}

#[test]
fn foreign_text_is_shown_without_hidden_characters() {
    let sandbox = Sandbox::two_postoffices();
    sandbox.write(
        "people.csv",
        &format!(
            "key,cn,mail,title\nk{0},Ana {HOSTILE},ana@x.example,{HOSTILE}\n\
             2,Bo,no address {HOSTILE},x\n3,Cy\u{0},cy@x.example,x\n4,Di,di@x.example,y\n",
            "\u{202e}"
        ),
    );
    let dry = said(&sandbox, &["-C", "hq", "import", "people.csv", "--dry-run"]);
    assert!(dry.contains("Ana a\\u{202e}b\\u{2028}c"), "{dry}");
    said(&sandbox, &["-C", "hq", "import", "people.csv"]);
    let bad = said(&sandbox, &["-C", "hq", "quarantine", "list"]);
    assert!(bad.contains("contains the character NUL"), "{bad}");
    sandbox.cycle();
    sandbox.cycle();
    for postoffice in ["hq", "sales"] {
        for words in ["entry list", "status", "check", "log", "held list", "quarantine list"] {
            let words: Vec<&str> = words.split(' ').collect();
            said(&sandbox, &[&["-C", postoffice][..], &words].concat());
        }
        let entry = said(&sandbox, &["-C", postoffice, "entry", "show", "ana@x.example"]);
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
        said(&sandbox, &[&["-C", "hq"][..], &words].concat());
    }
    sandbox.run("-C sales send").expect(0);
    sandbox.write("more.csv", &format!("key,cn,mail\n9,{HOSTILE},z@x.example\n"));
    said(&sandbox, &["-C", "sales", "import", "more.csv"]);
    sandbox.run("-C sales send").expect(0);
    let mut shown = 0;
    for inbox in std::fs::read_dir(sandbox.path("share")).unwrap().flatten() {
        for file in std::fs::read_dir(inbox.path()).into_iter().flatten().flatten() {
            if file.path().is_file() {
                let file = file.path();
                for postoffice in ["hq", "sales"] {
                    let words = ["-C", postoffice, "message", "show", file.to_str().unwrap()];
                    shown += usize::from(said(&sandbox, &words).contains("[DIRSYNC]"));
                }
            }
        }
    }
    assert!(shown > 0, "a message was shown");
    // What the agent says as it works: here of a source that is not there.
    sandbox.write(
        "sales/dirsync.toml",
        "[[source]]\nname = \"hr\"\nfile = \"../a\\u202Eb\\u2028c.csv\"\nwhole = true\n",
    );
    for format in ["text", "json"] {
        let ran = sandbox.run(&format!("run sales --once --log-format {format}"));
        assert!(ran.err.contains("u{202e}b"), "{format}: {}", ran.err);
        assert!(is_clean(&ran.err) && is_clean(&ran.out), "{format}: {:?}", ran.err);
    }
}

#[test]
fn twin_names_of_postoffices_are_refused() {
    let sandbox = Sandbox::two_postoffices();
    for (name, why) in [
        ("N\u{41e}RTH/HQ", "two scripts"),
        ("\u{ff2e}ORTH/HQ", "write \"NORTH/HQ\""),
        ("NORTH/H\u{202e}Q", "\\u{202e}"),
        ("NORTH/H,Q", "contains \",\""),
    ] {
        let words = ["-C", "hq", "requestor", "add", name, "--folder", "share"];
        let ran = sandbox.run_words(&words).expect(2);
        assert!(ran.err.contains(why), "{name:?}: {}", ran.err);
    }
}

/// A key that a file decomposes (macOS does) is the key that another one composes.
#[test]
fn a_key_is_one_in_every_normal_form() {
    let sandbox = Sandbox::two_postoffices();
    let people = |key: &str, title: &str| {
        format!("key,cn,mail,title\n{key},Zoe,z@x.example,{title}\n2,Bo,b@x.example,x\n")
    };
    sandbox.write("people.csv", &people("zoe\u{308}", "one"));
    sandbox.run("-C sales import people.csv").expect(0);
    sandbox.cycle();
    sandbox.write("people.csv", &people("zo\u{eb}", "two"));
    let ran = sandbox.run("-C sales import people.csv --json").expect(0).json();
    assert_eq!(
        (&ran["added"], &ran["changed"], &ran["removed"]),
        (&0.into(), &1.into(), &0.into())
    );
    sandbox.cycle();
    for postoffice in ["hq", "sales"] {
        assert_eq!(sandbox.status(postoffice)["entries"], 2, "{postoffice}");
        let one = sandbox
            .run_words(&["-C", postoffice, "entry", "show", "zoe\u{308}", "--json"])
            .expect(0);
        assert_eq!(one.json()["key"], "zo\u{eb}", "{postoffice}");
    }
}
