//! Values as people see them.

pub mod held;
pub mod why;

use dirsync_directory::unescape;

/// A stored text on one line, without hidden characters: no value moves the cursor or forges a line.
pub fn shown(escaped: &str) -> String {
    let value = unescape(escaped).unwrap_or_else(|| escaped.into());
    dirsync_directory::shown(&value).into_owned()
}

/// A number of things: "1 entry", "2 entries".
pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_move_no_cursor() {
        let text = super::shown("A\\x1b[2J\\nB\u{202e}");
        assert_eq!(text, "A\\u{1b}[2J\\u{a}B\\u{202e}");
    }
}
