//! The one comparison key of the project.
//!
//! Two texts are the same name, address or postoffice when their folds are equal bytes. Values
//! travel as their origin wrote them; only comparisons fold. Source: Unicode Standard Annex 15
//! (NFC) and The Unicode Standard, section 3.13, definition D145 (canonical caseless match).

use std::borrow::Cow;

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// Folds a text for comparison: canonical decomposition, full case folding, then NFC.
///
/// Decomposing first makes the result independent of the form the text arrived in. Pure ASCII
/// without capitals is returned as it is, without an allocation.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Owned(text.to_ascii_lowercase());
        }
        return Cow::Borrowed(text);
    }
    let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(text);
    let folded = CaseMapper::new().fold_string(&decomposed);
    Cow::Owned(ComposingNormalizerBorrowed::new_nfc().normalize(&folded).into_owned())
}

#[cfg(test)]
mod tests {
    use super::fold;

    /// `failure-stories` §10: the same collisions on every store and in every locale.
    #[test]
    fn case_rule_is_ours_not_the_database_s() {
        let same = [
            ("ANA@North.Example", "ana@north.example"),
            ("STRASSE", "straße"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("\u{212a}elvin", "kelvin"),
            ("Ångström", "A\u{30a}NGSTRO\u{308}M"),
            // Only a decomposition before folding makes these two one.
            ("\u{3b1}\u{345}\u{301}", "\u{1fb4}"),
        ];
        for (left, right) in same {
            assert_eq!(fold(left), fold(right), "{left} and {right} are one");
        }
        let different = [("İstanbul", "istanbul"), ("ı", "i"), ("résumé", "resume")];
        for (left, right) in different {
            assert_ne!(fold(left), fold(right), "{left} and {right} are two");
        }
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for text in ["Ǆ", "ﬃ", "ΐ", "İ", "ẞ", "e\u{323}\u{302}"] {
            let once = fold(text).into_owned();
            assert_eq!(fold(&once), once);
        }
    }
}
