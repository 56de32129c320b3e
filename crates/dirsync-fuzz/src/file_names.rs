//! The name of a message file.

use dirsync_carrier::Arrived;
use dirsync_carrier::message_name as name;
use dirsync_directory::fold;

/// The name of a message file. A name that is read is one that this program makes. A name that it
/// makes of any text is short, is no path, and can be read.
pub fn file_name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(Arrived { sender, epoch, number, part, .. }) = name::read(text) {
        assert!(text.ends_with(&format!("-{number}-{part}{}", name::SUFFIX)), "{text}");
        for hint in [sender, epoch] {
            assert!(!hint.chars().any(char::is_control), "{text}");
            assert!(text.contains(&name::encode(&hint)) || text.contains(&hint), "{text}");
        }
    }
    let token = name::encode(text);
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=~".contains(&byte);
    assert!(token.len() <= 100 && token.bytes().all(is_safe), "{token}");
    assert_eq!(token, name::encode(&fold(text)), "a name and its fold are one: {text:?}");
    if !fold(text).chars().any(char::is_control) {
        let made = format!("{token}-{token}-1-2{}", name::SUFFIX);
        assert!(name::read(&made).is_some(), "{made} is read, of {text:?}");
    }
}
