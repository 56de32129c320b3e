//! What the settings name and this machine does not have.

use std::env;
use std::path::Path;

use crate::config::Config;
use crate::targets::postmap::PROGRAM;

/// A warning for each source, table of a map, target's folder and alarm program that is not there.
pub fn of(folder: &Path, config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    for source in &config.sources {
        if !source.file.is_file() {
            let (name, file) = (&source.name, source.file.display());
            warnings.push(format!("source \"{name}\": there is no file \"{file}\" yet"));
        }
    }
    for source in &config.sources {
        for table in source.options.map.iter().flat_map(|map| map.lookups()) {
            if !table.is_file() {
                let (name, table) = (&source.name, table.display());
                warnings.push(format!("source \"{name}\": its map needs the file \"{table}\""));
            }
        }
    }
    for target in &config.targets {
        let parent = target.file.parent().filter(|parent| !parent.is_dir());
        if let Some(parent) = parent {
            let (file, parent) = (target.file.display(), parent.display());
            warnings.push(format!("target \"{file}\": there is no folder \"{parent}\""));
        }
    }
    let postfix = config.targets.iter().find(|target| target.export.target.format.is_postfix());
    if let Some(target) = postfix.filter(|_| !is_program(folder, PROGRAM)) {
        let file = target.file.display();
        warnings.push(format!("target \"{file}\": there is no program \"{PROGRAM}\" in PATH"));
    }
    let program = config.alarm.first().filter(|program| !is_program(folder, program));
    if let Some(program) = program {
        warnings.push(format!("alarm.command: there is no program \"{program}\""));
    }
    warnings
}

/// Whether a command would find the program: by its path, or in the folders of `PATH`.
fn is_program(folder: &Path, program: &str) -> bool {
    if program.contains(std::path::is_separator) {
        return folder.join(program).is_file() || Path::new(program).is_file();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
