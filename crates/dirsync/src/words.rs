//! Values as people see them.

pub mod alarm;
pub mod contested;
pub mod held;
pub mod hint;
pub mod next;
pub mod runs;
pub mod status;
pub mod view;
pub mod why;

pub use dirsync_directory::plural;
use dirsync_directory::unescape;

/// A stored text on one line, without hidden characters: no value moves the cursor or forges a line.
pub fn shown(escaped: &str) -> String {
    let value = unescape(escaped).unwrap_or_else(|| escaped.into());
    dirsync_directory::shown(&value).into_owned()
}

/// Names in a sentence; of many only the first ones.
pub fn listed(names: &[String]) -> String {
    const SHOWN: usize = 4;
    match names {
        [one] => one.clone(),
        _ if names.len() > SHOWN => {
            format!("{} and {} more", names[..SHOWN].join(", "), names.len() - SHOWN)
        }
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
        [] => "none".into(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_move_no_cursor() {
        let text = super::shown("A\\x1b[2J\\nB\u{202e}");
        assert_eq!(text, "A\\u{1b}[2J\\u{a}B\\u{202e}");
    }

    #[test]
    fn one_is_one_and_two_are_more() {
        assert_eq!(super::plural(1, "entry", "entries"), "1 entry");
        assert_eq!(super::plural(0, "entry", "entries"), "0 entries");
        let names =
            |n: usize| super::listed(&["A", "B", "C", "D", "E", "F"].map(String::from)[..n]);
        assert_eq!(names(1), "A");
        assert_eq!(names(3), "A, B and C");
        assert_eq!(names(6), "A, B, C, D and 2 more");
    }
}
