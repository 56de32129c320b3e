//! Folding: the only way in which this project compares texts without regard to case.
//!
//! Two texts are the same name, address or postoffice if their folds are equal bytes. Values are stored
//! and sent as their origin wrote them; only comparisons fold. The definition is the canonical caseless
//! match of The Unicode Standard, section 3.13, D145, with the result in form C (Annex 15) instead of D.

use std::borrow::Cow;

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// Folds a text for comparison: canonical decomposition, full case folding, then composition (NFC).
///
/// The text is decomposed first, so that the result does not depend on the form in which it arrived.
/// Most names are ASCII, which needs none of this: without capitals it is returned as it is.
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

/// Folds a text into `folded`, whose content is replaced. ASCII needs no further memory.
pub fn fold_into(text: &str, folded: &mut String) {
    folded.clear();
    if text.is_ascii() {
        folded.push_str(text);
        folded.make_ascii_lowercase();
    } else {
        folded.push_str(&fold(text));
    }
}

#[cfg(test)]
mod tests {
    use super::fold;

    /// `docs/failure-stories.md` §10: the same collisions on every store and in every locale.
    #[test]
    fn case_rule_is_ours_not_the_database_s() {
        let same = [
            ("ANA@North.Example", "ana@north.example"),
            ("STRASSE", "straße"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("\u{212a}elvin", "kelvin"),
            ("Ångström", "A\u{30a}NGSTRO\u{308}M"),
            // These two are equal only if they are decomposed before folding.
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
