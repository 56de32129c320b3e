//! All that the program prints. Whatever a message, a source or an error brings, what is not seen is
//! written out: no value moves the cursor, turns the direction of a line, or hides behind another.
//!
//! The macros have the names of those of the standard library, so that no line can be printed past
//! them. A text that may hold a line break goes through [`crate::words::shown`] before.

use std::borrow::Cow;

use dirsync_directory::shown;

/// Prints a line for the reader of the output.
macro_rules! println {
    ($($argument:tt)*) => {
        std::println!("{}", $crate::output::visible(&format!($($argument)*)))
    };
}

/// Prints a line for the person at the terminal.
macro_rules! eprintln {
    ($($argument:tt)*) => {
        std::eprintln!("{}", $crate::output::visible(&format!($($argument)*)))
    };
}

/// Prints a question.
macro_rules! eprint {
    ($($argument:tt)*) => {
        std::eprint!("{}", $crate::output::visible(&format!($($argument)*)))
    };
}

/// A text of several lines without hidden characters; line breaks and tabs are its layout.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b'\n' | b'\t' | 0x20..0x7f)) {
        return Cow::Borrowed(text);
    }
    let parts = text.split_inclusive(['\n', '\t']).map(|part| {
        let end = if part.ends_with(['\n', '\t']) { part.len() - 1 } else { part.len() };
        shown(&part[..end]).into_owned() + &part[end..]
    });
    Cow::Owned(parts.collect())
}

/// Prints lines in place of those that the terminal shows. It is left as any program leaves it that only
/// prints: the cursor is below the last line.
pub fn redraw(lines: &[String]) -> std::io::Result<()> {
    use std::io::Write as _;

    let lines: String = lines.iter().map(|line| format!("{}\x1b[K\n", visible(line))).collect();
    let mut out = std::io::stdout().lock();
    write!(out, "\x1b[H{lines}\x1b[J")?;
    out.flush()
}

/// JSON, in which hidden characters stand as escapes: the values are what they were.
pub fn visible_json(value: &serde_json::Value) -> String {
    without_hidden(&format!("{value:#}"))
}

/// The same on one line.
pub fn visible_json_line(value: &serde_json::Value) -> String {
    without_hidden(&value.to_string())
}

fn without_hidden(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() || !dirsync_directory::is_hidden(character) {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn json_says_the_same_without_hidden_characters() {
        let value = serde_json::json!({ "a\u{202e}": "\u{85}\u{e0041}\u{1b}é" });
        let text = super::visible_json(&value);
        assert!(
            !text
                .chars()
                .any(|character| dirsync_directory::is_hidden(character) && character != '\n')
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(super::visible("a\tb\n\u{202e}c\r\n"), "a\tb\n\\u{202e}c\\u{d}\n");
    }
}
