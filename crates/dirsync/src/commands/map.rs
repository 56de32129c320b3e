//! `dirsync map …`.

use dirsync_postoffice::maps::{self, FileToRead, MapTest};

use crate::cli::{MapCommand, MapTestArgs};
use crate::document;
use crate::failure::{ExitStatus, Result};

/// `dirsync map …`.
pub fn run(command: &MapCommand, json: bool) -> Result<ExitStatus> {
    match command {
        MapCommand::List => list(json),
        MapCommand::Show { name } => show(name, json)?,
        MapCommand::Test(arguments) => return test(arguments, json),
    }
    Ok(ExitStatus::Done)
}

fn list(json: bool) {
    let maps = maps::list();
    if json {
        return document::print(&maps);
    }
    let width = maps.iter().map(|map| map.name.len()).max().unwrap_or(0);
    for map in maps {
        println!("{:width$}  {}", map.name, map.title);
    }
}

fn show(name: &str, json: bool) -> Result<()> {
    let map = maps::show(name)?;
    if json {
        document::print(&map);
    } else {
        print!("{}", map.text);
    }
    Ok(())
}

fn test(arguments: &MapTestArgs, json: bool) -> Result<ExitStatus> {
    let MapTestArgs { map, file, format, encoding, rows } = arguments;
    let file = FileToRead { path: file, format: *format, encoding: encoding.as_deref() };
    let test = maps::test(map, &file, usize::from(*rows))?;
    if json {
        document::print(&test);
    } else {
        print_rows(&test);
    }
    let failed = test.broke_off.is_some();
    Ok(if failed { ExitStatus::Failed } else { ExitStatus::Done })
}

fn print_rows(test: &MapTest) {
    for row in &test.rows {
        match (&row.left_out, &row.rejected) {
            (Some(reason), _) => println!("line {}: left out: {reason}", row.line),
            (None, Some(reason)) => println!("line {}: cannot be used: {reason}", row.line),
            (None, None) => println!("line {}:", row.line),
        }
        for made in row.made.iter().filter(|made| !made.values.is_empty()) {
            println!("  {} = {}", made.line, made.values.join("\n    "));
        }
        let nothing: Vec<&str> = row
            .made
            .iter()
            .filter(|made| made.values.is_empty())
            .map(|made| made.line.as_str())
            .collect();
        if !nothing.is_empty() {
            println!("  nothing: {}", nothing.join(", "));
        }
    }
    if let Some(error) = &test.broke_off {
        eprintln!("error: {error}");
    }
}
