//! How text from outside is shown to people.
//!
//! Names and values come from other postoffices, and end up on terminals, in logs and in mails. A
//! control sequence, or a character that reverses the direction of text, could make a line there say
//! something that the program did not write.

use std::borrow::Cow;

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The most characters of a text that an error repeats.
const EXCERPT_CHARS_MAX: usize = 60;

/// A count and its noun, which may bring its verb: "1 entry is", "2 entries are", "0 entries are".
pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Makes a text safe to show on one line of a terminal, a log or a mail.
///
/// A character that is invisible, or changes how others are displayed, becomes `\u{HEX}`: control
/// characters, line and paragraph separators, and format characters that reverse the direction of text
/// or have no width. A backslash stays as it is, because the result is for people and is never parsed.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let mut characters = text.chars().peekable();
    let mut shown = String::with_capacity(text.len());
    let mut before = None;
    while let Some(character) = characters.next() {
        let joins = is_joiner(character)
            && !before.is_none_or(|before: char| before.is_ascii())
            && !characters.peek().is_none_or(char::is_ascii);
        if is_hidden(character) && !joins {
            shown.push_str(&format!("\\u{{{:x}}}", u32::from(character)));
        } else {
            shown.push(character);
        }
        before = Some(character);
    }
    debug_assert!(!shown.chars().any(|character| is_hidden(character) && !is_joiner(character)));
    Cow::Owned(shown)
}

/// The beginning of a text as [`shown`] makes it, for an error that repeats the text.
pub fn excerpt(text: &str) -> String {
    let Some((cut, _)) = text.char_indices().nth(EXCERPT_CHARS_MAX) else {
        return shown(text).into_owned();
    };
    shown(&text[..cut]).into_owned() + "…"
}

/// Whether a character is invisible, or changes how others are displayed.
pub fn is_hidden(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    let ignorable = || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character);
    match category {
        GeneralCategory::Control
        | GeneralCategory::Format
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator => true,
        // Variation selectors: they choose between two forms of the character before, such as an emoji.
        GeneralCategory::NonspacingMark if matches!(character, '\u{fe00}'..='\u{fe0f}') => false,
        _ => ignorable(),
    }
}

/// The joiners have no width, but between letters of scripts that need them (Persian, Hindi) and in
/// emoji they are part of the text. Beside ASCII they have no use but to hide.
fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_written_out() {
        for code in
            (0..0x20).chain(0x7f..0xa0).chain(0x202a..=0x202e).chain(0x2066..=0x2069).chain([
                0xad, 0x34f, 0x61c, 0x180e, 0x200b, 0x200c, 0x200d, 0x200e, 0x200f, 0x2028, 0x2029,
                0x2060, 0x3164, 0xfeff, 0xfff9, 0xe0001, 0xe0041,
            ])
        {
            let character = char::from_u32(code).unwrap();
            assert_eq!(shown(&format!("a{character}b")), format!("a\\u{{{code:x}}}b"));
        }
    }

    #[test]
    fn what_is_seen_stays() {
        for text in
            ["", "Ana", "a\\b", "Åse Ünal", "Анна", "山田", "नमस्ते", "می\u{200c}خواهم", "☎\u{fe0f}"]
        {
            assert_eq!(shown(text), text);
        }
        assert_eq!(excerpt(&"é".repeat(60)), "é".repeat(60));
        assert_eq!(excerpt(&"é".repeat(61)), "é".repeat(60) + "…");
    }
}
