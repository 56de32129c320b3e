//! The beginning of a text that may not be UTF-8, as errors repeat it.

/// The beginning of a text, for people.
pub(crate) fn excerpt(text: &[u8]) -> String {
    const BYTES_MAX: usize = 1024;
    let beginning = String::from_utf8_lossy(&text[..text.len().min(BYTES_MAX)]);
    dirsync_directory::excerpt(&beginning)
}
