//! Commands in texts, as they can be pasted: with the folder that the command line named.
//!
//! In a text of the other crates, which know no command line, a command for the postoffice that the text is
//! about stands as `` `dirsync WORDS` ``, and [`pasteable`] adds the folder. A command for another
//! place stands without the program: `` `WORDS` there ``.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The folder of `-C`.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// The program with the folder of `-C`, as a command that can be pasted begins.
pub const DIRSYNC: Program = Program;

/// See [`DIRSYNC`].
pub struct Program;

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&program(FOLDER.get().map_or(Path::new(HERE), PathBuf::as_path)))
    }
}

/// The folder if `-C` is not given.
const HERE: &str = ".";

/// Sets the folder that the command line named. Only the first call counts.
pub fn set_folder(folder: &Path) {
    FOLDER.get_or_init(|| folder.to_owned());
}

/// A text of this program in which the commands can be pasted.
pub fn pasteable(text: &str) -> String {
    with_program(text, &DIRSYNC.to_string())
}

/// The same for a postoffice in another folder than that of `-C`.
pub fn pasteable_in(folder: &Path, text: &str) -> String {
    with_program(text, &program(folder))
}

/// Commands that have a folder keep it.
fn with_program(text: &str, program: &str) -> String {
    const BEGIN: &str = "`dirsync ";
    let mut parts = text.split(BEGIN);
    let mut said = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.starts_with("-C ") {
            true => said.push_str(BEGIN),
            false => said.push_str(&format!("`{program} ")),
        }
        said.push_str(part);
    }
    said
}

fn program(folder: &Path) -> String {
    if folder == Path::new(HERE) {
        return "dirsync".to_owned();
    }
    let folder = folder.to_string_lossy();
    // Letters of all scripts are plain to a shell; blanks and signs that it knows are not.
    let is_plain = |letter: char| letter.is_alphanumeric() || "/\\._-:+,@%".contains(letter);
    let is_plain = |letter| is_plain(letter) && (cfg!(windows) || letter != '\\');
    if !folder.is_empty() && folder.chars().all(is_plain) {
        return format!("dirsync -C {folder}");
    }
    match cfg!(windows) {
        true => format!("dirsync -C \"{folder}\""),
        false => format!("dirsync -C '{}'", folder.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_in_a_text_carry_the_folder_and_those_for_elsewhere_do_not() {
        let text = "say `dirsync moved` here, or `rejoin` there; `dirsync held list` shows more";
        let said = pasteable_in(Path::new("hq"), text);
        let expected = "say `dirsync -C hq moved` here, or `rejoin` there; `dirsync -C hq held list` shows more";
        assert_eq!(said, expected);
        assert_eq!(pasteable_in(Path::new("hq"), expected), expected);
        assert_eq!(pasteable_in(Path::new("."), text), text);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_a_shell_would_split_is_quoted() {
        assert_eq!(program(Path::new("/srv/hq-1")), "dirsync -C /srv/hq-1");
        assert_eq!(program(Path::new("my hq")), "dirsync -C 'my hq'");
        assert_eq!(program(Path::new("it's")), "dirsync -C 'it'\\''s'");
        assert_eq!(program(Path::new("$HOME")), "dirsync -C '$HOME'");
    }
}
