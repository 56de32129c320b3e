//! Values as a terminal may show them.

use dirsync_directory::unescape;

/// A stored text as people see it: without control characters, so that no value moves the cursor
/// or forges a line.
pub fn shown(escaped: &str) -> String {
    let value = unescape(escaped).unwrap_or_else(|| escaped.into());
    let hidden = |character: char| {
        character.is_control()
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    value.chars().map(|character| if hidden(character) { '\u{fffd}' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_move_no_cursor() {
        assert_eq!(super::shown("A\\x1b[2J\\nB\u{202e}"), "A\u{fffd}[2J\u{fffd}B\u{fffd}");
    }
}
