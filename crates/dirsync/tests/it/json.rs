//! What scripts read.

use crate::sandbox::Sandbox;

#[test]
fn mistakes_on_the_command_line_are_documents_too() {
    let sandbox = Sandbox::new();
    for (command, says) in [
        ("import --jsn --json", "unexpected argument '--jsn'"),
        ("nothing --json", "unrecognized subcommand 'nothing'"),
        ("-C nowhere status --json", "nowhere"),
    ] {
        let run = sandbox.run(command);
        let document = run.json();
        let error = document["error"].as_str().unwrap_or_default();
        assert!(error.contains(says), "{command}: {document}");
        assert!(document["done"].as_array().is_some_and(Vec::is_empty), "{command}: {document}");
        assert!(!run.err.is_empty(), "{command}: a person is told as well");
    }
}

#[test]
fn a_cycle_tells_of_each_source() {
    let sandbox = Sandbox::new();
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    sandbox.write("hq/a.csv", "key,name,mail\na,Ana,ana@a.example\n");
    sandbox.write("hq/b.csv", "key,name,mail\nb,Bo,bo@b.example\nc,Cy,cy@b.example\n");
    sandbox.write(
        "hq/dirsync.toml",
        "[[source]]\nname = \"a\"\nfile = \"a.csv\"\n[[source]]\nname = \"b\"\nfile = \"b.csv\"\n\
         [[source]]\nname = \"gone\"\nfile = \"gone.csv\"\n",
    );
    let cycle = sandbox.run("-C hq cycle --json").json();
    let read = cycle["T0"].as_array().unwrap();
    let added: Vec<_> = read.iter().map(|one| (&one["source"], &one["counts"]["added"])).collect();
    assert_eq!(
        added,
        [
            (&"a".into(), &1.into()),
            (&"b".into(), &2.into()),
            (&"gone".into(), &serde_json::Value::Null)
        ]
    );
    assert_eq!(read[2]["failed"].as_array().unwrap().len(), 1, "{cycle}");
    assert_eq!(cycle["T1"]["changes"], 3, "{cycle}");
    assert_eq!(cycle["T3"]["entries"], 3, "{cycle}");
    let apply = sandbox.run("-C hq apply --json").json();
    assert_eq!((&apply["T1"], &apply["T3"]["entries"]), (&serde_json::Value::Null, &0.into()));
}

#[test]
fn the_agent_tells_scripts_a_document_a_line() {
    let sandbox = Sandbox::new();
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    let run = sandbox.run("-C hq run --once --json").expect(0);
    assert!(run.err.lines().count() >= 2, "{}", run.err);
    for line in run.err.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(line["text"].is_string() && line["step"].is_string(), "{line}");
    }
}
