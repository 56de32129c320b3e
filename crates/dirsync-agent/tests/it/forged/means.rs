//! By which means messages were refused.

use std::collections::BTreeMap;

/// The texts of refusals, each with a short name. The first that fits counts.
const MEANS: [(&str, &str); 27] = [
    ("is not signed by the old key", "unproved change of key"),
    ("it does not begin with", "no message"),
    ("it is not sealed", "not sealed"),
    ("it has version", "newer version"),
    ("it is cut off", "cut off"),
    ("it is longer than its lines state", "too long"),
    ("may have at most", "over a limit"),
    (" stands where ", "a line out of place"),
    ("its line \"", "a wrong line"),
    ("its signature is missing", "no signature"),
    ("it is addressed to", "another addressee"),
    ("which is not here", "another addressee's key"),
    ("which is not (or no longer) the key of", "another signer"),
    ("it is not an SSH signature", "form of the signature"),
    ("it was made for another purpose", "purpose of the signature"),
    ("it was made by another key", "signature by another key"),
    ("it does not fit the text", "wrong signature"),
    ("a change of key is not written as", "form of a change of key"),
    ("a change of key names a key", "key of a change of key"),
    ("one of them may be forged", "second change of a key"),
    ("the hash does not match", "wrong hash"),
    ("cannot be decrypted", "not decrypted"),
    ("disagree about", "head and lines disagree"),
    ("which is not the directory server", "not the server"),
    ("sent no invitation", "no proof of an invitation"),
    ("is not admitted", "no invitation"),
    ("has changed its key since", "taken before a change of key"),
];

/// How many messages were refused by which means, and what became of the others.
#[derive(Debug, Default)]
pub struct Means(pub BTreeMap<&'static str, u64>);

impl Means {
    /// Counts the reasons for which a step refused messages. Returns their number.
    pub fn count(&mut self, reasons: &[String]) -> u64 {
        for why in reasons {
            let found = MEANS.iter().find(|(text, _)| why.contains(text));
            let (_, means) =
                found.unwrap_or_else(|| panic!("refused for an unknown reason: {why}"));
            self.add(means, 1);
        }
        reasons.len() as u64
    }

    /// The means by which nothing was refused.
    pub fn unused(&self) -> Vec<&'static str> {
        let all = MEANS.iter().map(|(_, means)| *means);
        all.filter(|means| !self.0.contains_key(means)).collect()
    }

    pub fn add(&mut self, means: &'static str, count: u64) {
        *self.0.entry(means).or_default() += count;
    }
}
