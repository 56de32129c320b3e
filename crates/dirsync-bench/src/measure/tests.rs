use clap::Parser as _;

use super::*;

/// The binary of this profile: it need not be fast here. `cargo test --workspace` makes it.
fn binary() -> PathBuf {
    let test_program = std::env::current_exe().unwrap();
    let binary = test_program.ancestors().nth(2).unwrap().join("dirsync");
    assert!(binary.is_file(), "{} is missing: cargo build --package dirsync", binary.display());
    binary
}

/// The whole run at a size that takes seconds. What it checks itself (equal lists, answers that are
/// deltas to one digest, a change that is in every list) would end it.
#[test]
fn every_row_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        entries: 200,
        changes: Some(2),
        requestors: 10,
        sites: 3,
        seed: 1,
        binary: binary(),
        folder: folder.path().join("bench"),
    };
    let report = measure(&plan).unwrap();
    for name in [step::MANY_PROCESS, step::SITES_MEDIAN, step::SITES_SLOWEST, step::SITES_COMMAND] {
        let row = report.find(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert!(row.measurement.took > std::time::Duration::ZERO, "{name}");
    }
    let many = report.find(step::MANY_PROCESS).unwrap();
    let changes = report.find(step::CHANGES_PROCESS).unwrap();
    // As many changes of the same sizes: an answer has about the bytes that it had there.
    let (one, usual) = (many.measurement.message_bytes / 12, changes.measurement.message_bytes / 2);
    assert!(one.abs_diff(usual) < usual / 10, "{one} and {usual} bytes");
    assert!(wants::table(&[report]).lines().count() > 10);
}

#[test]
fn mistakes_are_usage_errors() {
    for line in
        ["--entries 0", "--entries 10 --changes 11", "--sites x", "--requestors -1", "--peer"]
    {
        let words = ["xtask", "bench"].into_iter().chain(line.split(' '));
        let code = match crate::Cli::try_parse_from(words) {
            Ok(cli) => crate::run(&cli).unwrap_err().exit_code().into(),
            Err(error) => error.exit_code(),
        };
        assert_eq!(code, 2, "{line}");
    }
}

#[test]
fn numbers_may_have_underscores() {
    let cli = crate::Cli::parse_from(["xtask", "bench", "--entries=1_000_000"]);
    assert!(matches!(cli, crate::Cli::Bench(Arguments { entries: 1_000_000, .. })));
}
