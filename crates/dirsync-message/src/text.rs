//! Excerpts of bytes that may not be UTF-8, for errors.

/// The beginning of a text, for an error that repeats it.
pub(crate) fn excerpt(text: &[u8]) -> String {
    // Far more than is shown, and far less than the longest line, which is not converted as a whole.
    const BYTES_MAX: usize = 1024;
    let beginning = String::from_utf8_lossy(&text[..text.len().min(BYTES_MAX)]);
    dirsync_directory::excerpt(&beginning)
}
