//! The names of the files that travel beside messages: lower-case letters, digits and hyphens before a suffix.

/// The end of the names of pieces of bodies.
pub const PIECE_SUFFIX: &str = ".piece";
/// The end of the names of signals.
pub const SIGNAL_SUFFIX: &str = ".signal";
/// The longest name before its suffix, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Whether a piece of a body has this name.
pub fn is_of_piece(name: &str) -> bool {
    is_plain(name.strip_suffix(PIECE_SUFFIX))
}

/// Whether a signal has this name.
pub fn is_of_signal(name: &str) -> bool {
    is_plain(name.strip_suffix(SIGNAL_SUFFIX))
}

/// Whether a file that travels beside messages has this name.
pub(crate) fn is_beside_messages(name: &str) -> bool {
    is_of_piece(name) || is_of_signal(name)
}

fn is_plain(stem: Option<&str>) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let stem = stem.unwrap_or_default();
    (1..=NAME_BYTES_MAX).contains(&stem.len()) && stem.bytes().all(plain)
}
