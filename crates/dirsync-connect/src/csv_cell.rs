//! The fields of our own CSV export, which are read back exactly as they were written.

use std::borrow::Cow;

/// The mark before a value that a spreadsheet would run as a formula, in files for people.
const NEUTRAL: char = '\'';

/// Whether a field needs the mark: after any apostrophes it begins like a formula.
///
/// The apostrophes are skipped because a field that begins with some and then a formula would lose one
/// when marks are removed, so it gets a mark, too.
fn needs_mark(field: &str) -> bool {
    field.trim_start_matches(NEUTRAL).starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
}

/// Writes a field (RFC 4180, section 2), with the mark if the file is for people and the field needs it.
pub fn write_field(output: &mut String, field: &str, for_people: bool) {
    let marked = for_people && needs_mark(field);
    let quoted = field.contains(['"', ',', '\n', '\r']) || field.trim() != field;
    if quoted {
        output.push('"');
    }
    if marked {
        output.push(NEUTRAL);
    }
    if quoted && field.contains('"') {
        output.push_str(&field.replace('"', "\"\""));
    } else {
        output.push_str(field);
    }
    if quoted {
        output.push('"');
    }
}

/// A field of a file for people, without its mark.
pub fn unmarked(field: &str) -> &str {
    match field.strip_prefix(NEUTRAL) {
        Some(rest) if needs_mark(rest) => rest,
        _ => field,
    }
}

/// Adds one of several values of a field. Each value is on a line of its own.
///
/// A line break inside a value is written `\n`, and backslashes before an `n` or a line break are
/// doubled. All other backslashes stay as they are, so that nearly every value looks as it is.
pub fn push_value(field: &mut String, value: &str) {
    if !field.is_empty() {
        field.push('\n');
    }
    if !value.contains('\n') && !value.contains("\\n") {
        field.push_str(value);
        return;
    }
    let mut backslashes = 0;
    for character in value.chars() {
        match character {
            '\\' => backslashes += 1,
            'n' | '\n' => {
                let doubled = backslashes * 2 + usize::from(character == '\n');
                field.extend(std::iter::repeat_n('\\', doubled));
                field.push('n');
                backslashes = 0;
            }
            other => {
                field.extend(std::iter::repeat_n('\\', backslashes));
                field.push(other);
                backslashes = 0;
            }
        }
    }
    field.extend(std::iter::repeat_n('\\', backslashes));
}

/// The values of a field.
pub fn values(field: &str) -> impl Iterator<Item = Cow<'_, str>> {
    field.split('\n').filter(|value| !value.is_empty()).map(value)
}

fn value(text: &str) -> Cow<'_, str> {
    if !text.contains("\\n") {
        return Cow::Borrowed(text);
    }
    let mut value = String::with_capacity(text.len());
    let mut backslashes = 0;
    for character in text.chars() {
        if character == '\\' {
            backslashes += 1;
            continue;
        }
        let halved = if character == 'n' { backslashes / 2 } else { backslashes };
        value.extend(std::iter::repeat_n('\\', halved));
        let line_break = character == 'n' && backslashes % 2 == 1;
        value.push(if line_break { '\n' } else { character });
        backslashes = 0;
    }
    value.extend(std::iter::repeat_n('\\', backslashes));
    Cow::Owned(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_field_come_back() {
        let cases =
            ["a", "C:\\new\\", "\\\\server\\n", "a\nb", "\n", "\\\n\\", "n\\\\\nn", "\\n\n"];
        let mut field = String::new();
        for case in cases {
            push_value(&mut field, case);
        }
        assert_eq!(values(&field).collect::<Vec<_>>(), cases);
        assert!(field.starts_with("a\nC:\\\\new\\\n"), "{field}");
    }

    #[test]
    fn marks_are_taken_away_and_apostrophes_stay() {
        for field in ["=1", "+1 206", "'=1", "''-", "'t Hooft", "'", "\t1", "@a", "a=b", "-"] {
            let mut written = String::new();
            write_field(&mut written, field, true);
            let plain = written.trim_matches('"');
            assert!(!plain.starts_with(['=', '+', '-', '@', '\t']), "{written}");
            assert_eq!(unmarked(plain), field);
        }
    }
}
