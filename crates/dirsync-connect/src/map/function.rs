//! The functions of maps. A function gets each value of a column and gives any number of values.

use std::cell::RefCell;

use dirsync_directory::{VALUE_BYTES_MAX, fold_into};
use regex_lite::{CaptureLocations, Regex};

use super::lookup::Lookup;
use super::row::nearest;
use super::values::Values;
use crate::private::postal_address;

/// The functions as they are written.
pub(crate) const FUNCTIONS: [&str; 10] =
    ["upper", "lower", "trim", "digits", "domain", "limit", "split", "postal", "replace", "lookup"];

/// A function of a template.
#[derive(Clone, Debug)]
pub(crate) enum Function {
    Upper,
    Lower,
    Trim,
    Digits,
    /// Keeps the values that are mail addresses in this domain.
    Domain(String),
    /// Keeps the first characters.
    Limit(usize),
    Split(String),
    /// Writes a line of a postal address (RFC 4517, section 3.3.28).
    Postal,
    Replace(Replace),
    /// The value that a column of another file has for this key.
    Lookup {
        file: String,
        column: String,
    },
}

/// A regular expression, and the text that replaces each match.
#[derive(Clone, Debug)]
pub(crate) struct Replace {
    regex: Regex,
    /// The pattern as it was written.
    pattern: String,
    with: String,
    pieces: Vec<Piece>,
    /// The letter with which every value begins that the expression matches, if that is known.
    begins: Option<char>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
}

impl Function {
    /// The function of a name with its arguments.
    pub(crate) fn of(name: &str, arguments: &[String]) -> Result<Self, String> {
        let none = |function| match arguments {
            [] => Ok(function),
            _ => Err(format!("{name} takes no argument")),
        };
        let one = |example: &str| match arguments {
            [argument] if !argument.is_empty() => Ok(argument.clone()),
            _ => Err(format!("{name} takes one argument: {name} {example}")),
        };
        match name {
            "upper" => none(Self::Upper),
            "lower" => none(Self::Lower),
            "trim" => none(Self::Trim),
            "digits" => none(Self::Digits),
            "postal" => none(Self::Postal),
            "domain" => {
                let domain = one("\"partner.example\"")?;
                Ok(Self::Domain(
                    dirsync_directory::fold(domain.trim_start_matches('@')).into_owned(),
                ))
            }
            "limit" => match one("64")?.parse() {
                Ok(count) if count > 0 => Ok(Self::Limit(count)),
                _ => Err("limit takes a number of characters: limit 64".into()),
            },
            "split" => Ok(Self::Split(one("\";\"")?)),
            "replace" => match arguments {
                [pattern, with] => Ok(Self::Replace(Replace::new(pattern, with)?)),
                _ => Err("replace takes two arguments: replace \"^0\" \"+49 \"".into()),
            },
            "lookup" => match arguments {
                [file, column] if !file.is_empty() && !column.trim().is_empty() => {
                    Ok(Self::Lookup { file: file.clone(), column: column.trim().into() })
                }
                _ => Err("lookup takes a file and a column: lookup \"units.csv\" \"name\"".into()),
            },
            _ => {
                let hint = nearest(name, FUNCTIONS)
                    .map_or(";".into(), |near| format!("; did you mean \"{near}\"?"));
                Err(format!(
                    "there is no function \"{name}\"{hint} these are: {}",
                    FUNCTIONS.join(", ")
                ))
            }
        }
    }

    /// Writes it as in a template.
    pub(super) fn write(&self, text: &mut String) {
        let (name, arguments): (&str, Vec<&str>) = match self {
            Self::Upper => ("upper", vec![]),
            Self::Lower => ("lower", vec![]),
            Self::Trim => ("trim", vec![]),
            Self::Digits => ("digits", vec![]),
            Self::Postal => ("postal", vec![]),
            Self::Domain(domain) => ("domain", vec![domain]),
            Self::Split(separator) => ("split", vec![separator]),
            Self::Replace(replace) => ("replace", vec![&replace.pattern, &replace.with]),
            Self::Lookup { file, column } => ("lookup", vec![file, column]),
            Self::Limit(count) => {
                text.push_str(&format!("|limit {count}"));
                return;
            }
        };
        text.push('|');
        text.push_str(name);
        for argument in arguments {
            text.push_str(&format!(" \"{}\"", argument.replace('"', "\"\"")));
        }
    }
}

/// A function that is ready to be used: expressions have room for their groups, tables are loaded.
#[derive(Debug)]
pub(super) enum Step {
    Simple(Function),
    Replace(Replace, RefCell<CaptureLocations>),
    Lookup(Lookup),
}

impl Step {
    pub(super) fn of(function: &Function) -> Self {
        match function {
            Function::Replace(replace) => {
                Self::Replace(replace.clone(), RefCell::new(replace.regex.capture_locations()))
            }
            other => Self::Simple(other.clone()),
        }
    }

    /// Adds what the function gives for a value. `folded` is scratch space.
    pub(super) fn apply(&self, value: &str, into: &mut Values, folded: &mut String) {
        match self {
            Self::Simple(function) => simple(function, value, into, folded),
            Self::Replace(replace, groups) => {
                into.add(|text| replace.apply(value, &mut groups.borrow_mut(), text));
            }
            Self::Lookup(lookup) => {
                if let Some(found) = lookup.find(value, folded) {
                    into.push(found);
                }
            }
        }
    }
}

fn simple(function: &Function, value: &str, into: &mut Values, folded: &mut String) {
    match function {
        Function::Upper if value.is_ascii() => into.add(|text| {
            let start = text.len();
            text.push_str(value);
            text[start..].make_ascii_uppercase();
        }),
        Function::Lower if value.is_ascii() => into.add(|text| {
            let start = text.len();
            text.push_str(value);
            text[start..].make_ascii_lowercase();
        }),
        Function::Upper => into.add(|text| text.extend(value.chars().flat_map(char::to_uppercase))),
        Function::Lower => into.push(&value.to_lowercase()),
        Function::Trim => into.push(value.trim()),
        Function::Digits => {
            into.add(|text| text.extend(value.chars().filter(char::is_ascii_digit)))
        }
        Function::Domain(domain) => {
            fold_into(value.rsplit_once('@').map_or("", |(_, domain)| domain), folded);
            if folded == domain {
                into.push(value);
            }
        }
        Function::Limit(count) => {
            let end = value.char_indices().nth(*count).map_or(value.len(), |(at, _)| at);
            into.push(value[..end].trim_end());
        }
        Function::Split(separator) => {
            value.split(separator.as_str()).for_each(|part| into.push(part.trim()));
        }
        Function::Postal => into.push(&postal_address(value.lines())),
        Function::Replace(_) | Function::Lookup { .. } => {}
    }
}

impl Replace {
    fn new(pattern: &str, with: &str) -> Result<Self, String> {
        let regex = Regex::new(pattern)
            .map_err(|error| format!("\"{pattern}\" is not a regular expression: {error}"))?;
        let pieces = pieces(with, regex.captures_len())?;
        let begins = beginning(pattern);
        Ok(Self { regex, pattern: pattern.into(), with: with.into(), pieces, begins })
    }

    /// Appends the text with all matches replaced. It ends where it is longer than any value may be: a chain
    /// of these functions could make a value of any length of a few letters, and no entry can have it.
    fn apply(&self, value: &str, groups: &mut CaptureLocations, into: &mut String) {
        // Most telephone numbers do not begin with the 0 that an expression takes away.
        if self.begins.is_some_and(|begins| !value.starts_with(begins)) {
            into.push_str(value);
            return;
        }
        let longest = into.len() + value.len().max(VALUE_BYTES_MAX);
        let (mut copied, mut at) = (0, 0);
        let mut last = None;
        while at <= value.len() && self.regex.captures_read_at(groups, value, at).is_some() {
            let Some((start, end)) = groups.get(0) else { break };
            let step = value[end..].chars().next().map_or(1, char::len_utf8);
            // Nothing is matched a second time where a match has just ended.
            at = if end == start { end + step } else { end };
            if end == start && last == Some(end) {
                continue;
            }
            last = Some(end);
            into.push_str(&value[copied..start]);
            for piece in &self.pieces {
                match piece {
                    Piece::Text(text) => into.push_str(text),
                    Piece::Group(number) => {
                        let (start, end) = groups.get(*number).unwrap_or_default();
                        into.push_str(&value[start..end]);
                    }
                }
            }
            copied = end;
            if into.len() > longest {
                return;
            }
        }
        into.push_str(&value[copied..]);
    }
}

/// The letter at the beginning of an expression such as `^0` or `^/.*`. `None` if it may begin otherwise.
fn beginning(pattern: &str) -> Option<char> {
    let mut letters = pattern.strip_prefix('^')?.chars();
    let letter = letters.next().filter(|letter| letter.is_alphanumeric() || *letter == '/')?;
    let may_be_absent = matches!(letters.next(), Some('*' | '?' | '{'));
    (!may_be_absent && !pattern.contains('|')).then_some(letter)
}

/// The parts of a replacement: `$1` is the first group, `$$` a dollar sign.
fn pieces(with: &str, groups: usize) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = with;
    while let Some(at) = rest.find('$') {
        let (text, dollar) = rest.split_at(at);
        pieces.push(Piece::Text(text.into()));
        let after = &dollar[1..];
        if let Some(after) = after.strip_prefix('$') {
            pieces.push(Piece::Text("$".into()));
            rest = after;
            continue;
        }
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let number = after[..digits].parse::<usize>().unwrap_or(usize::MAX);
        if number >= groups {
            let last = groups - 1;
            return Err(format!(
                "\"{with}\" names a group that the expression does not have: it has $0 to ${last}, and $$ \
                 is a dollar sign"
            ));
        }
        pieces.push(Piece::Group(number));
        rest = &after[digits..];
    }
    pieces.push(Piece::Text(rest.into()));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(name: &str, arguments: &[&str], value: &str) -> Vec<String> {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).into()).collect();
        let step = Step::of(&Function::of(name, &arguments).unwrap());
        let mut into = Values::default();
        step.apply(value, &mut into, &mut String::new());
        into.iter().map(str::to_owned).collect()
    }

    #[test]
    fn functions_do_what_the_page_says() {
        assert_eq!(apply("upper", &[], "straße é"), ["STRASSE É"]);
        assert_eq!(apply("lower", &[], "ANA É"), ["ana é"]);
        assert_eq!(apply("trim", &[], " a "), ["a"]);
        assert_eq!(apply("digits", &[], "+49 (30) 12-3"), ["4930123"]);
        assert_eq!(apply("digits", &[], "none"), [""; 0], "no value is left");
        assert_eq!(apply("domain", &["Partner.example"], "SMTP:a@PARTNER.example").len(), 1);
        assert_eq!(apply("domain", &["partner.example"], "a@sub.partner.example").len(), 0);
        assert_eq!(apply("limit", &["3"], "äöüß"), ["äöü"]);
        assert_eq!(apply("limit", &["3"], "ab cd"), ["ab"]);
        assert_eq!(apply("split", &[";"], "a; b;;c "), ["a", "b", "c"]);
        assert_eq!(apply("postal", &[], "Gasse 1\r\n\nHof $2\\"), ["Gasse 1$Hof \\242\\5C"]);
        assert_eq!(apply("replace", &["^0", "+49 "], "030 030"), ["+49 30 030"]);
        for (pattern, value, expected) in [
            ("^0", "30", "30"),
            ("^0*3", "30", "-0"),
            ("^0?3", "30", "-0"),
            ("^0{0,1}3", "30", "-0"),
            ("^0|3", "30", "-0"),
            ("^/.*", "/o=x", "-"),
            ("^ä", "ä", "-"),
        ] {
            assert_eq!(apply("replace", &[pattern, "-"], value), [expected], "{pattern}");
        }
        assert_eq!(apply("replace", &["(a)|(b)", "[$2$$]"], "ab"), ["[$][b$]"]);
        assert_eq!(apply("replace", &["x*", "-"], "äx"), ["-ä-"]);
        assert_eq!(apply("replace", &[".*", ""], "gone"), [""; 0]);
    }

    #[test]
    fn a_chain_of_replacements_makes_no_value_of_any_length() {
        let mut value = "n1".to_owned();
        for _ in 0..12 {
            value = apply("replace", &["", "xxxxxxxxxx"], &value).remove(0);
        }
        assert!(value.len() > VALUE_BYTES_MAX, "an entry with it is refused, not shortened");
        assert!(value.len() < 2 * VALUE_BYTES_MAX, "{} bytes", value.len());
    }

    #[test]
    fn mistakes_say_what_is_expected() {
        let mistake = |name: &str, arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(|text| (*text).into()).collect();
            Function::of(name, &arguments).unwrap_err()
        };
        assert!(mistake("lwer", &[]).contains("did you mean \"lower\"?"));
        assert!(mistake("upper", &["x"]).contains("no argument"));
        assert!(mistake("limit", &["0"]).contains("limit 64"));
        assert!(mistake("limit", &["x"]).contains("limit 64"));
        assert!(mistake("split", &[""]).contains("split \";\""));
        assert!(mistake("replace", &["a"]).contains("two arguments"));
        assert!(mistake("replace", &["(", ""]).contains("not a regular expression"));
        assert!(mistake("replace", &["(a)", "$2"]).contains("$0 to $1"));
        assert!(mistake("replace", &["(a)", "$x"]).contains("$0 to $1"));
        assert!(mistake("lookup", &["units.csv"]).contains("a file and a column"));
    }
}
