//! What errors repeat of a text.

/// Most of a text that an error repeats, in characters.
const EXCERPT_CHARS_MAX: usize = 60;

/// The beginning of a text, for people.
pub(crate) fn excerpt(text: &[u8]) -> String {
    let bytes = &text[..text.len().min(4 * EXCERPT_CHARS_MAX)];
    String::from_utf8_lossy(bytes).chars().take(EXCERPT_CHARS_MAX).collect()
}
