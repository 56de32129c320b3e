//! The words after a command: flags, and options with a value.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::failure::Failure;

/// Parsed words of one command line.
#[derive(Debug, Default)]
pub struct Arguments {
    flags: BTreeSet<String>,
    values: BTreeMap<String, String>,
}

impl Arguments {
    /// Sorts `words` into `flags` and `options` (which take the next word, or what follows `=`).
    ///
    /// Anything else, a missing value and a repeated option are usage errors.
    pub fn parse(words: &[String], flags: &[&str], options: &[&str]) -> Result<Self, Failure> {
        let mut parsed = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if flags.contains(&word.as_str()) {
                parsed.flags.insert(word.clone());
                continue;
            }
            let (name, attached) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            if !options.contains(&name) {
                return Err(Failure::usage(format!("\"{word}\" is not an option of this command")));
            }
            let value = attached
                .or_else(|| words.next().cloned())
                .ok_or_else(|| Failure::usage(format!("\"{name}\" needs a value")))?;
            if parsed.values.insert(name.to_owned(), value).is_some() {
                return Err(Failure::usage(format!("\"{name}\" is given twice")));
            }
        }
        Ok(parsed)
    }

    pub fn has(&self, flag: &str) -> bool {
        self.flags.contains(flag)
    }

    pub fn text(&self, option: &str) -> Option<&str> {
        self.values.get(option).map(String::as_str)
    }

    /// The value of `option` as a number, or `default` where it is not given.
    pub fn number<N: FromStr>(&self, option: &str, default: N) -> Result<N, Failure> {
        let Some(text) = self.text(option) else { return Ok(default) };
        text.replace('_', "").parse().map_err(|_| {
            Failure::usage(format!("\"{option}\" needs a whole number, not \"{text}\""))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, Failure> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Arguments::parse(&words, &["--shuffle"], &["--entries", "--seed"])
    }

    #[test]
    fn flags_and_values_are_sorted_apart() {
        let arguments = parse("--entries 1_000 --shuffle --seed=7").unwrap();
        assert!(arguments.has("--shuffle"));
        assert_eq!(arguments.number("--entries", 0_u32).unwrap(), 1000);
        assert_eq!(arguments.number("--seed", 0_u64).unwrap(), 7);
        assert_eq!(arguments.number("--other", 5_u64).unwrap(), 5);
    }

    #[test]
    fn mistakes_are_usage_errors() {
        for line in ["--what", "--entries", "--entries 1 --entries 2", "stray"] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
        assert_eq!(parse("--seed x").unwrap().number("--seed", 0_u8).unwrap_err().exit_code(), 2);
    }
}
