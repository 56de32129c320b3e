//! Filters on entries, in the text form of LDAP filters (RFC 4515).
//!
//! The subset needs no schema: `(&…)`, `(|…)`, `(!…)`, presence `(a=*)`, equality `(a=v)` and
//! substrings `(a=x*y*z)`, with `\HH` escapes. Values are compared by [`crate::fold`]. Besides the
//! details, a filter can name `kind`, `name` (also `cn` and `displayName`), `address`, and `mail`,
//! which stands for SMTP addresses too.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::view::VIEW_BYTES_MAX;
use crate::{AttributeName, RecordRef, excerpt, fold, unescape};

/// The largest number of terms in the filter of one party: each comparison is a term, and so is each
/// further part between asterisks. Every entry is compared with all of them.
///
/// The view in force joins the filters of two parties, so it may have twice as many.
pub const FILTER_TERMS_MAX: usize = 256;
/// The deepest nesting of a filter. The parser recurses, so deeper filters are refused before they can
/// overflow the stack.
///
/// An `(&…)` around the whole filter is not counted, because [`Filter::and`] adds one, and the parser
/// has to accept the result again.
const DEPTH_MAX: usize = 32;

/// A condition on entries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Filter {
    node: Node,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Node<A = String> {
    And(Vec<Node<A>>),
    Or(Vec<Node<A>>),
    Not(Box<Node<A>>),
    /// `(attribute=first*middle*…*last)`. One part alone means equality, several a substring match.
    Match {
        attribute: A,
        /// The folded texts between the asterisks; never empty.
        parts: Vec<String>,
    },
}

/// A test of a value, which is folded.
pub type ValueTest<'a> = &'a dyn Fn(&str) -> bool;

/// A condition on the rows of a file, whose columns have numbers.
#[derive(Clone, Debug)]
pub struct RowFilter {
    node: Node<usize>,
}

impl RowFilter {
    /// Whether a row satisfies the filter. `any` is asked whether any value of a column passes a test; the
    /// test takes a value as [`fold`] returns it.
    pub fn matches(&self, any: &mut dyn FnMut(usize, ValueTest<'_>) -> bool) -> bool {
        row_matches(&self.node, any)
    }
}

fn row_matches(node: &Node<usize>, any: &mut dyn FnMut(usize, ValueTest<'_>) -> bool) -> bool {
    match node {
        Node::And(nodes) => nodes.iter().all(|node| row_matches(node, any)),
        Node::Or(nodes) => nodes.iter().any(|node| row_matches(node, any)),
        Node::Not(node) => !row_matches(node, any),
        Node::Match { attribute, parts } => any(*attribute, &|value| value_matches(value, parts)),
    }
}

/// A text that is not a filter.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the filter \"{text}\" is wrong at character {position}: {expected}")]
pub struct FilterError {
    text: String,
    /// The position of the mistake in bytes, from 1.
    pub position: usize,
    /// What is expected there, or what else is wrong.
    pub expected: &'static str,
}

impl Filter {
    /// Whether an entry satisfies the filter.
    pub fn matches(&self, record: RecordRef<'_>) -> bool {
        matches(&self.node, record)
    }

    /// The number of terms; [`FILTER_TERMS_MAX`] says what counts as one.
    pub fn terms(&self) -> usize {
        terms(&self.node)
    }

    /// Reads a filter that names columns of a file instead of attributes. A column's name may have any
    /// characters except `=`, `(`, `)`, `*` and `\`.
    ///
    /// # Errors
    ///
    /// If the text is not a filter.
    pub fn over_columns(text: &str) -> Result<Self, FilterError> {
        parse(text, true)
    }

    /// The filter over numbered columns, with the number that `number` returns for each name.
    ///
    /// # Errors
    ///
    /// The first of `number`.
    pub fn numbered<E>(
        &self,
        mut number: impl FnMut(&str) -> Result<usize, E>,
    ) -> Result<RowFilter, E> {
        Ok(RowFilter { node: numbered(&self.node, &mut number)? })
    }

    /// A filter that is satisfied if both are.
    ///
    /// Filters that are conjunctions already are merged into one, so that joining a third does not nest
    /// deeper than the parser reads.
    pub fn and(self, other: Self) -> Self {
        if self == other {
            return self;
        }
        let count = self.terms() + other.terms();
        let parts = [self.node, other.node].into_iter().flat_map(|node| match node {
            Node::And(nodes) => nodes,
            node => vec![node],
        });
        let both = Self { node: Node::And(parts.collect()) };
        debug_assert_eq!(both.terms(), count, "no term is lost");
        both
    }
}

fn numbered<E>(
    node: &Node,
    number: &mut impl FnMut(&str) -> Result<usize, E>,
) -> Result<Node<usize>, E> {
    let mut all = |nodes: &[Node]| -> Result<Vec<_>, E> {
        nodes.iter().map(|node| numbered(node, number)).collect()
    };
    Ok(match node {
        Node::And(nodes) => Node::And(all(nodes)?),
        Node::Or(nodes) => Node::Or(all(nodes)?),
        Node::Not(node) => Node::Not(Box::new(numbered(node, number)?)),
        Node::Match { attribute, parts } => {
            Node::Match { attribute: number(attribute)?, parts: parts.clone() }
        }
    })
}

fn terms(node: &Node) -> usize {
    match node {
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().map(terms).sum(),
        Node::Not(node) => terms(node),
        Node::Match { parts, .. } => parts.len(),
    }
}

fn matches(node: &Node, record: RecordRef<'_>) -> bool {
    match node {
        Node::And(nodes) => nodes.iter().all(|node| matches(node, record)),
        Node::Or(nodes) => nodes.iter().any(|node| matches(node, record)),
        Node::Not(node) => !matches(node, record),
        Node::Match { attribute, parts } => {
            // A record may be invalid; a text with a broken escape matches nothing.
            let meets = |text: &str| {
                unescape(text).is_some_and(|value| value_matches(&fold(&value), parts))
            };
            match attribute.as_str() {
                "kind" => meets(record.kind),
                "name" | "cn" | "displayName" => meets(record.name),
                "address" => record.address_texts().any(meets),
                "mail" => record
                    .address_texts()
                    .filter_map(|text| text.strip_prefix("SMTP:"))
                    .chain(record.detail_lines().filter(|line| line.0 == "mail").map(|line| line.1))
                    .any(meets),
                other => record.detail_lines().any(|(name, value)| name == other && meets(value)),
            }
        }
    }
}

/// Whether a folded value begins with the first part, ends with the last, and has the others between
/// them in their order, without overlap.
///
/// Taking the earliest place of each middle part is enough: a later place leaves less for the rest.
fn value_matches(value: &str, parts: &[String]) -> bool {
    debug_assert!(!parts.is_empty(), "the parser makes at least one part");
    let [first, middle @ .., last] = parts else {
        return parts.first().is_some_and(|only| only == value);
    };
    let Some(mut rest) = value.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

/// A recursive descent parser over the text of a filter.
struct Parser<'a> {
    text: &'a str,
    /// The position of the next character, in bytes.
    at: usize,
    /// The number of terms so far.
    terms: usize,
    /// Whether names are those of columns.
    columns: bool,
}

impl Parser<'_> {
    fn error<T>(&self, expected: &'static str) -> Result<T, FilterError> {
        Err(FilterError { text: excerpt(self.text), position: self.at + 1, expected })
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// Takes one character, or fails with `otherwise` if another one comes next.
    fn take(&mut self, expected: char, otherwise: &'static str) -> Result<(), FilterError> {
        if !self.rest().starts_with(expected) {
            return self.error(otherwise);
        }
        self.at += expected.len_utf8();
        Ok(())
    }

    /// A filter in parentheses, inside `depth` others.
    fn filter(&mut self, depth: usize) -> Result<Node, FilterError> {
        if depth > DEPTH_MAX + 1 {
            return self.error("it is nested too deeply");
        }
        self.take('(', "\"(\" is expected")?;
        let node = match self.rest().chars().next() {
            Some('&') => Node::And(self.list(depth)?),
            Some('|') => Node::Or(self.list(depth)?),
            Some('!') => {
                self.at += 1;
                Node::Not(Box::new(self.filter(depth + 1)?))
            }
            _ => self.comparison()?,
        };
        self.take(')', "\")\" is expected")?;
        Ok(node)
    }

    /// The filters after `&` or `|`: at least one.
    fn list(&mut self, depth: usize) -> Result<Vec<Node>, FilterError> {
        self.at += 1;
        let mut nodes = Vec::new();
        while self.rest().starts_with('(') {
            nodes.push(self.filter(depth + 1)?);
        }
        if nodes.is_empty() { self.error("a filter in \"( )\" is expected") } else { Ok(nodes) }
    }

    /// `attribute=value`, without the parentheses around it.
    fn comparison(&mut self) -> Result<Node, FilterError> {
        let Some(length) = self.rest().find('=') else {
            return self.error("ATTRIBUTE=VALUE is expected");
        };
        let name = &self.rest()[..length];
        let attribute = if self.columns {
            match name.trim() {
                "" => return self.error("a column's name is expected"),
                name if name.contains(['(', ')', '*', '\\']) => {
                    return self.error("a column's name is expected");
                }
                name => name.to_owned(),
            }
        } else {
            match name.parse::<AttributeName>() {
                Ok(attribute) => attribute.as_str().to_owned(),
                Err(_) => return self.error("an attribute name is expected"),
            }
        };
        self.at += length + 1;
        let Some(length) = self.rest().find(['(', ')']) else {
            return self.error("\")\" is missing");
        };
        let value = &self.text[self.at..self.at + length];
        let mut parts = Vec::new();
        for part in value.split('*') {
            self.terms += 1;
            // Checked before the part is kept, so that a hostile filter is not held in memory.
            if self.terms > 2 * FILTER_TERMS_MAX {
                return self.error("it has too many terms");
            }
            match unescape_hex(part) {
                Some(part) => parts.push(fold(&part).into_owned()),
                None => return self.error("\"\\\" needs two hexadecimal digits"),
            }
        }
        self.at += length;
        Ok(Node::Match { attribute, parts })
    }
}

/// Replaces each `\HH` by its byte. `None` if digits are missing, or the bytes are not UTF-8.
fn unescape_hex(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'\\' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            bytes.push((digit(rest.next()?)? << 4 | digit(rest.next()?)?) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text, false)
    }
}

fn parse(text: &str, columns: bool) -> Result<Filter, FilterError> {
    if text.len() > 2 * VIEW_BYTES_MAX {
        let expected = "it is too long";
        return Err(FilterError { text: excerpt(text), position: 1, expected });
    }
    let mut parser = Parser { text, at: 0, terms: 0, columns };
    let node = parser.filter(usize::from(!text.starts_with("(&")))?;
    if parser.at != text.len() {
        return parser.error("nothing more is expected");
    }
    let filter = Filter { node };
    debug_assert_eq!(filter.terms(), parser.terms, "the limit counted all terms");
    // The printed form can be longer than the text, because it is folded and escaped again; and the
    // printed form is what travels. Only a long text can exceed the limit, so only it is printed.
    if text.len() > VIEW_BYTES_MAX / 2 && filter.to_string().len() > 2 * VIEW_BYTES_MAX {
        parser.at = 0;
        return parser.error("it is too long");
    }
    Ok(filter)
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        match self {
            Self::And(nodes) | Self::Or(nodes) => {
                f.write_str(if matches!(self, Self::And(_)) { "&" } else { "|" })?;
                nodes.iter().try_for_each(|node| node.fmt(f))?;
            }
            Self::Not(node) => write!(f, "!{node}")?,
            Self::Match { attribute, parts } => {
                write!(f, "{attribute}=")?;
                for (number, part) in parts.iter().enumerate() {
                    if number > 0 {
                        f.write_str("*")?;
                    }
                    for character in part.chars() {
                        match character {
                            '*' | '(' | ')' | '\\' | '\0'..='\x1f' => {
                                write!(f, "\\{:02x}", character as u32)?;
                            }
                            other => write!(f, "{other}")?,
                        }
                    }
                }
            }
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: RecordRef<'_> = RecordRef {
        kind: "mailbox",
        name: "Ana (Acting) Souza",
        addresses: "SMTP:ana@north.example\tX400:/c=BR",
        details: "ou/Navigation\ntitle/Straße 5*\n",
    };

    #[test]
    fn filters_match_as_rfc_4515_says() {
        let yes = [
            "(ou=navigation)",
            "(OU=Nav*)",
            "(name=*souza)",
            "(name=ana \\28acting\\29*)",
            "(title=strasse 5\\2a)",
            "(&(kind=mailbox)(!(ou=Bridge)))",
            "(|(ou=Bridge)(mail=ana@north.example))",
            "(address=x400:*)",
            "(title=*)",
        ];
        let no = ["(ou=Bridge)", "(telephoneNumber=*)", "(name=ana*ana*)", "(!(kind=mailbox))"];
        for text in yes {
            assert!(text.parse::<Filter>().unwrap().matches(ANA), "{text}");
        }
        for text in no {
            assert!(!text.parse::<Filter>().unwrap().matches(ANA), "{text}");
        }
    }

    #[test]
    fn rows_are_filtered_by_the_names_of_their_columns() {
        let row = [("job title", ["Pilot", ""]), ("e-mail 1 - value", ["ana@north.example", "a"])];
        let meets = |text: &str| {
            let filter = Filter::over_columns(text).unwrap();
            let number = |name: &str| row.iter().position(|column| column.0 == name).ok_or(());
            let filter = filter.numbered(|name| number(&name.to_lowercase())).unwrap();
            filter.matches(&mut |column, test| row[column].1.iter().any(|value| test(&fold(value))))
        };
        assert!(meets("(&(Job Title=pilot)(E-mail 1 - Value=A))"));
        assert!(!meets("(!(Job Title=p*))"));
        let unknown = Filter::over_columns("(|(Job Title=x)(!(y=z)))").unwrap();
        assert_eq!(
            unknown.numbered(|name| Err::<usize, _>(name.to_owned())).err(),
            Some("Job Title".into())
        );
        for (text, position) in [("(=x)", 2), ("( =x)", 2), ("(a)b=c)", 2), ("(a", 2)] {
            assert_eq!(Filter::over_columns(text).unwrap_err().position, position, "{text}");
        }
    }

    #[test]
    fn printing_is_the_inverse_of_parsing() {
        for text in ["(&(ou=a*b)(!(title=x\\2a)))", "(|(name=*)(address=a))"] {
            let filter: Filter = text.parse().unwrap();
            assert_eq!(filter.to_string(), text);
            assert_eq!(filter.to_string().parse(), Ok(filter));
        }
    }

    /// The filter of a view in force joins those of two parties, and travels as text.
    #[test]
    fn what_two_filters_come_to_can_be_read() {
        let deepest = |inner: &str| {
            let text = format!("{}{inner}{}", "(!".repeat(DEPTH_MAX), ")".repeat(DEPTH_MAX));
            assert!(format!("(!{text})").parse::<Filter>().is_err());
            text.parse::<Filter>().unwrap()
        };
        let (left, right, third) = (deepest("(a=b)"), deepest("(c=d*)"), deepest("(g=h)"));
        for both in [left.clone().and(right.clone()), left.and(right).and(third)] {
            assert_eq!(both.to_string().parse(), Ok(both));
        }
    }

    #[test]
    fn mistakes_are_pointed_at() {
        for (text, position) in [
            ("ou=x", 1),
            ("(ou=x", 5),
            ("(&)", 3),
            ("(ou=\\zz)", 5),
            ("(o=\\+f)", 4),
            ("(a=b)c", 6),
        ] {
            assert_eq!(text.parse::<Filter>().unwrap_err().position, position, "{text}");
        }
        let deep = format!("{}(a=b){}", "(!".repeat(10_000), ")".repeat(10_000));
        assert!(deep.parse::<Filter>().is_err());
    }
}
