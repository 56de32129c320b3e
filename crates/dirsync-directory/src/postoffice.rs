//! The identity of a postoffice: `NETWORK/POSTOFFICE`.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup, Script};
use icu_properties::{CodePointMapData, PropertyNamesShort};
use thiserror::Error;

use crate::shown::is_hidden;
use crate::{excerpt, fold};

/// The longest network or postoffice part, in bytes. Microsoft Mail allows ten characters (Knowledge
/// Base article Q96001); that limit binds only postoffices that exchange messages with it.
const PART_BYTES_MAX: usize = 64;

/// The name of a postoffice, `NETWORK/POSTOFFICE`, as its administrator wrote it.
///
/// Names are compared, ordered and hashed by their folds, so `North/HQ` and `NORTH/hq` are the same
/// postoffice. Cloning is cheap.
#[derive(Clone)]
pub struct PostofficeName {
    text: Arc<str>,
    folded: Arc<str>,
}

/// Why a text is not a postoffice name.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PostofficeNameError {
    /// There is no slash, or more than one.
    #[error("\"{0}\" is not a postoffice name: write NETWORK/POSTOFFICE, for example NORTH/HQ")]
    Parts(String),
    /// A part is empty or longer than 64 bytes.
    #[error("a part of the postoffice name \"{0}\" is empty or longer than {PART_BYTES_MAX} bytes")]
    Length(String),
    /// A part begins or ends with a blank, or contains two in a row.
    #[error("a part of the postoffice name \"{0}\" has a blank at an end, or two in a row")]
    Blank(String),
    /// A part contains neither a letter nor a digit.
    #[error("a part of the postoffice name \"{0}\" has neither a letter nor a digit")]
    Empty(String),
    /// A part contains a character that is not a letter, a digit, or one of a few signs.
    #[error(
        "the postoffice name \"{name}\" contains \"{character}\": use letters, digits, blanks and \
         - _ . & only"
    )]
    Character {
        /// The name.
        name: String,
        /// The character.
        character: String,
    },
    /// The name is written with variants of letters, such as full-width ones.
    #[error(
        "the postoffice name \"{name}\" has letters in a special form, which look like those of \
         another name: write \"{plain}\""
    )]
    Form {
        /// The name.
        name: String,
        /// The name in ordinary letters.
        plain: String,
    },
    /// The letters belong to two scripts.
    #[error(
        "the postoffice name \"{name}\" has letters of two scripts, {} and {}, which can look alike: \
         use one script for the whole name",
        scripts[0],
        scripts[1]
    )]
    Scripts {
        /// The name.
        name: String,
        /// The short Unicode names of the scripts, such as `Latn`.
        scripts: [String; 2],
    },
}

impl PostofficeName {
    /// The name, as its administrator wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The folded name, by which names are compared.
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

impl FromStr for PostofficeName {
    type Err = PostofficeNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((network, postoffice)) = text.split_once('/') else {
            return Err(PostofficeNameError::Parts(excerpt(text)));
        };
        if postoffice.contains('/') {
            return Err(PostofficeNameError::Parts(excerpt(text)));
        }
        for part in [network, postoffice] {
            if part.is_empty() || part.len() > PART_BYTES_MAX {
                return Err(PostofficeNameError::Length(excerpt(text)));
            }
            if part.trim() != part || part.contains("  ") {
                return Err(PostofficeNameError::Blank(excerpt(text)));
            }
            if !part.chars().any(char::is_alphanumeric) {
                return Err(PostofficeNameError::Empty(excerpt(text)));
            }
        }
        if !text.is_ascii() || !text.bytes().all(is_plain) {
            check_letters(text)?;
        }
        let folded = fold(text);
        debug_assert_eq!(fold(&folded), folded, "a comparison key is its own key");
        Ok(Self { text: text.into(), folded: folded.into() })
    }
}

/// Whether a name may contain this ASCII character, or it is the slash between the parts.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_. &/".contains(&byte)
}

/// Refuses a name that could be mistaken for another one.
///
/// An administrator admits a postoffice by reading its name. If two names could look alike, the second
/// could be admitted in place of the first. So a name contains no invisible characters, no compatibility
/// forms such as full-width letters, and letters of one script only.
fn check_letters(text: &str) -> Result<(), PostofficeNameError> {
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(text);
    let categories = CodePointMapData::<GeneralCategory>::new();
    for character in composed.chars() {
        let letter = GeneralCategoryGroup::Letter
            .union(GeneralCategoryGroup::Mark)
            .union(GeneralCategoryGroup::DecimalNumber)
            .contains(categories.get(character));
        let plain = u8::try_from(character).is_ok_and(is_plain);
        if is_hidden(character) || !letter && !plain {
            return Err(PostofficeNameError::Character {
                name: excerpt(text),
                character: excerpt(&character.to_string()),
            });
        }
    }
    let ordinary = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    if ordinary != composed {
        return Err(PostofficeNameError::Form { name: excerpt(text), plain: excerpt(&ordinary) });
    }
    let scripts = CodePointMapData::<Script>::new();
    let mut first = None;
    for character in composed.chars() {
        let script = scripts.get(character);
        if matches!(script, Script::Common | Script::Inherited) {
            continue;
        }
        match first {
            None => first = Some(script),
            Some(one) => {
                first = Some(together(one, script).ok_or_else(|| {
                    let names = PropertyNamesShort::<Script>::new();
                    let scripts =
                        [one, script].map(|script| names.get(script).unwrap_or("?").to_owned());
                    PostofficeNameError::Scripts { name: excerpt(text), scripts }
                })?)
            }
        }
    }
    Ok(())
}

/// The script of a name that has letters of both, or `None` if the two must not be mixed.
///
/// Japanese is written in three scripts, and Korean and Chinese use Han beside their own. Letters of
/// these are not mistaken for each other. The answer is the script that says more about the language,
/// so that Han does not join Hangul with Katakana.
fn together(one: Script, other: Script) -> Option<Script> {
    const JAPANESE: [Script; 2] = [Script::Hiragana, Script::Katakana];
    match (one, other) {
        (one, other) if one == other => Some(one),
        (Script::Han, other @ (Script::Hangul | Script::Bopomofo)) => Some(other),
        (one @ (Script::Hangul | Script::Bopomofo), Script::Han) => Some(one),
        (one, other) if JAPANESE.contains(&one) && JAPANESE.contains(&other) => Some(one),
        (Script::Han, other) if JAPANESE.contains(&other) => Some(other),
        (one, Script::Han) if JAPANESE.contains(&one) => Some(one),
        _ => None,
    }
}

impl fmt::Display for PostofficeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for PostofficeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for PostofficeName {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}

impl Eq for PostofficeName {}

impl PartialOrd for PostofficeName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PostofficeName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded.cmp(&other.folded)
    }
}

impl Hash for PostofficeName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_and_shown_as_written() {
        let name: PostofficeName = "North/Hq".parse().unwrap();
        assert_eq!(name, "NORTH/HQ".parse().unwrap());
        assert_eq!(name.to_string(), "North/Hq");
    }

    /// An administrator who admits the second of two names that look alike would take it for the first.
    #[test]
    fn twin_names_are_refused_and_told_why() {
        let why = |text: &str| text.parse::<PostofficeName>().unwrap_err().to_string();
        assert!(why("N\u{41e}RTH/HQ").contains("two scripts, Latn and Cyrl"));
        assert!(why("NORTH/\u{41d}\u{41e}").contains("one"), "also of two scripts in two parts");
        assert!(why("\u{ff2e}ORTH/HQ").contains("write \"NORTH/HQ\""), "full width");
        assert!(why("NORTH/H\u{202e}Q").contains("\\u{202e}"), "a turned direction");
        for hidden in ['\u{200b}', '\u{200d}', '\u{ad}', '\u{34f}', '\u{2028}', '\u{85}', '\u{61c}']
        {
            assert!(why(&format!("NORTH/H{hidden}Q")).contains("\\u{"), "{hidden:?}");
        }
        for good in [
            "NORTH/HQ",
            "R&D_2/a.b-c d",
            "København/Åse",
            "Zu\u{308}rich/HQ",
            "МОСКВА/Центр 1",
            "東京/ホームです",
            "서울/本部",
            "मुंबई/कार्यालय",
            "القاهرة/المكتب",
        ] {
            assert!(good.parse::<PostofficeName>().is_ok(), "{good}");
        }
        let composed: PostofficeName = "Zürich/HQ".parse().unwrap();
        assert_eq!(composed, "Zu\u{308}rich/HQ".parse().unwrap());
    }

    #[test]
    fn names_that_are_none_are_refused() {
        for text in ["NORTH", "A/B/C", "/HQ", "NORTH/", "NORTH/ HQ", "NO\nRTH/HQ"] {
            assert!(text.parse::<PostofficeName>().is_err(), "{text:?}");
        }
        for text in ["../HQ", "N//Q", "N/A  B", "N/A,B", "N/\"A\"", "N/A\\B", "N/A\0", "N/A=B"] {
            assert!(text.parse::<PostofficeName>().is_err(), "{text:?}");
        }
        assert!(format!("{}/HQ", "N".repeat(64)).parse::<PostofficeName>().is_ok());
        assert!(format!("{}/HQ", "N".repeat(65)).parse::<PostofficeName>().is_err());
    }
}
