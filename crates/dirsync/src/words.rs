//! Values as people see them.

use dirsync_directory::unescape;

/// A stored text on one line, without hidden characters: no value moves the cursor or forges a line.
pub fn shown(escaped: &str) -> String {
    let value = unescape(escaped).unwrap_or_else(|| escaped.into());
    dirsync_directory::shown(&value).into_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_move_no_cursor() {
        let text = super::shown("A\\x1b[2J\\nB\u{202e}");
        assert_eq!(text, "A\\u{1b}[2J\\u{a}B\\u{202e}");
    }
}
