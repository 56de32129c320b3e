//! Views: the part of the list that one requestor may see and wants to see.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use thiserror::Error;

use crate::{
    Address, AttributeName, EntryKind, FILTER_TERMS_MAX, Filter, PostofficeName, Record, RecordRef,
    escape, excerpt, unescape,
};

/// The longest view of one party, in bytes of its text. The view in force joins those of two parties, so
/// it may be twice as long.
pub const VIEW_BYTES_MAX: usize = 64 * 1024;
/// The most values of one line of a view.
pub const VIEW_VALUES_MAX: usize = 1000;

/// The hash of a view's definition. Equal definitions have equal hashes at every postoffice, so a sync
/// point names the view of its list by the hash alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewHash([u8; 16]);

/// The entries and details that one requestor may see, or wants to see. A part that is `None` sets no
/// limit.
///
/// The text form has one line for each part: a word and its values, separated by tabs, such as
/// `types`, `SMTP`, `X400`. The hash is made of this text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct View {
    /// Address types, in capitals. An entry is visible if it has an address of one of them.
    pub types: Option<BTreeSet<String>>,
    /// The postoffices whose entries are visible.
    pub origins: Option<BTreeSet<PostofficeName>>,
    /// The kinds of entries that are visible.
    pub kinds: Option<BTreeSet<EntryKind>>,
    /// A condition that visible entries satisfy. It is tested on the whole entry, including details that
    /// are not shown.
    pub filter: Option<Filter>,
    /// The attributes that are shown of a visible entry. Kind, name and addresses are always shown.
    pub attributes: Option<BTreeSet<AttributeName>>,
}

/// A condition of a view that decides whether an entry is visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// [`View::origins`].
    Origins,
    /// [`View::kinds`].
    Kinds,
    /// [`View::types`].
    Types,
    /// [`View::filter`].
    Filter,
}

/// Why a text is not a view, or a view is too large.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ViewError {
    /// A line of the view cannot be read.
    #[error("the view line \"{line}\" is wrong: {reason}")]
    Line {
        /// The beginning of the line.
        line: String,
        /// The problem of the line.
        reason: String,
    },
    /// The view is too long.
    #[error("the view has {bytes} bytes, {VIEW_BYTES_MAX} are allowed")]
    Length {
        /// Its length.
        bytes: usize,
    },
    /// The filter of the view has too many terms.
    #[error(
        "the filter of the view has {terms} terms, {FILTER_TERMS_MAX} are allowed: give the entries an \
         attribute for this purpose, and filter by that"
    )]
    Terms {
        /// The number of its terms.
        terms: usize,
    },
}

impl View {
    /// Whether the view shows everything.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the size of a view that one party allows or wants. The parser accepts twice as much, so
    /// that the intersection of two views of this size can be read back from an update.
    ///
    /// # Errors
    ///
    /// If the view, or its filter, is too large.
    pub fn check_size(&self) -> Result<(), ViewError> {
        let bytes = self.to_string().len();
        if bytes > VIEW_BYTES_MAX {
            return Err(ViewError::Length { bytes });
        }
        match self.filter.as_ref().map_or(0, Filter::terms) {
            terms if terms > FILTER_TERMS_MAX => Err(ViewError::Terms { terms }),
            _ => Ok(()),
        }
    }

    /// Whether this entry of `owner` is visible. An invalid record is compared as it is.
    pub fn shows(&self, owner: &PostofficeName, record: RecordRef<'_>) -> bool {
        self.hidden_by(owner, record).is_none()
    }

    /// The first condition that hides this entry of `owner`; `None` if it is visible.
    pub fn hidden_by(&self, owner: &PostofficeName, record: RecordRef<'_>) -> Option<Condition> {
        let is_origin = self.origins.as_ref().is_none_or(|origins| origins.contains(owner));
        if !is_origin {
            return Some(Condition::Origins);
        }
        let has_kind =
            |kinds: &BTreeSet<EntryKind>| kinds.iter().any(|kind| kind.as_str() == record.kind);
        if !self.kinds.as_ref().is_none_or(has_kind) {
            return Some(Condition::Kinds);
        }
        let has_type = |types: &BTreeSet<String>| {
            record
                .address_texts()
                .any(|text| text.split(':').next().is_some_and(|kind| types.contains(kind)))
        };
        if !self.types.as_ref().is_none_or(has_type) {
            return Some(Condition::Types);
        }
        let matches = self.filter.as_ref().is_none_or(|filter| filter.matches(record));
        (!matches).then_some(Condition::Filter)
    }

    /// The part of a visible entry that is shown, or `None` if all of it is.
    pub fn disclosed(&self, record: RecordRef<'_>) -> Option<Record> {
        let attributes = self.attributes.as_ref()?;
        Some(record.with_attributes(|name| attributes.contains(name)))
    }

    /// The view that shows what both show. The view in force is the intersection of the one that the
    /// server allows and the one that the requestor wants.
    pub fn intersect(&self, other: &Self) -> Self {
        fn both<T: Ord + Clone>(
            left: &Option<BTreeSet<T>>,
            right: &Option<BTreeSet<T>>,
        ) -> Option<BTreeSet<T>> {
            match (left, right) {
                (Some(left), Some(right)) => Some(left.intersection(right).cloned().collect()),
                (one, other) => one.clone().or_else(|| other.clone()),
            }
        }
        Self {
            types: both(&self.types, &other.types),
            origins: both(&self.origins, &other.origins),
            kinds: both(&self.kinds, &other.kinds),
            filter: match (self.filter.clone(), other.filter.clone()) {
                (Some(left), Some(right)) => Some(left.and(right)),
                (one, other) => one.or(other),
            },
            attributes: both(&self.attributes, &other.attributes),
        }
    }

    /// The hash of the definition. Origins are hashed folded, because names that differ in case are one
    /// postoffice.
    pub fn hash(&self) -> ViewHash {
        let mut hasher = blake3::Hasher::new_derive_key("dirsync 1 view definition");
        // The folds are written as texts: a fold can be longer than a name is allowed to be, so it does
        // not always parse as a name.
        hasher.update(Lines { view: self, origin: PostofficeName::folded }.to_string().as_bytes());
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        ViewHash(bytes)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Lines { view: self, origin: PostofficeName::as_str }.fmt(f)
    }
}

/// Prints the lines of a view, with `origin` as the text of an origin.
struct Lines<'a> {
    view: &'a View,
    origin: fn(&PostofficeName) -> &str,
}

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn line<T>(
            f: &mut fmt::Formatter<'_>,
            word: &str,
            values: &Option<BTreeSet<T>>,
            text: impl Fn(&T) -> &str,
        ) -> fmt::Result {
            let Some(values) = values else { return Ok(()) };
            f.write_str(word)?;
            for value in values {
                write!(f, "\t{}", escape(text(value)))?;
            }
            f.write_str("\n")
        }
        let View { types, origins, kinds, filter, attributes } = self.view;
        line(f, "types", types, String::as_str)?;
        line(f, "origins", origins, self.origin)?;
        line(f, "kinds", kinds, |kind| kind.as_str())?;
        line(f, "attributes", attributes, AttributeName::as_str)?;
        if let Some(filter) = filter {
            writeln!(f, "filter\t{}", escape(&filter.to_string()))?;
        }
        Ok(())
    }
}

impl FromStr for View {
    type Err = ViewError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        fn values<T: FromStr + Ord>(words: &[String]) -> Result<Option<BTreeSet<T>>, String>
        where
            T::Err: ToString,
        {
            let values = words.iter().map(|word| word.parse().map_err(|e: T::Err| e.to_string()));
            values.collect::<Result<_, _>>().map(Some)
        }
        if text.len() > 2 * VIEW_BYTES_MAX {
            return Err(ViewError::Length { bytes: text.len() });
        }
        let mut view = Self::default();
        for line in text.lines() {
            let error = |reason: String| ViewError::Line { line: excerpt(line), reason };
            let mut fields = line.split('\t');
            let word = fields.next().unwrap_or_default();
            if fields.clone().count() > VIEW_VALUES_MAX {
                return Err(error(format!("it has more than {VIEW_VALUES_MAX} values")));
            }
            let words = fields
                .map(|field| unescape(field).map(String::from))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| error("it contains a wrong escape".into()))?;
            match word {
                "types" => {
                    let types = words.iter().map(|word| Address::kind_of(word));
                    let types = types.collect::<Result<_, _>>();
                    view.types = Some(types.map_err(|e| error(e.to_string()))?);
                }
                "origins" => view.origins = values(&words).map_err(error)?,
                "kinds" => view.kinds = values(&words).map_err(error)?,
                "attributes" => view.attributes = values(&words).map_err(error)?,
                "filter" if words.len() == 1 => {
                    view.filter = Some(
                        words[0].parse().map_err(|e: crate::FilterError| error(e.to_string()))?,
                    );
                }
                _ => {
                    let expected =
                        "it does not begin with types, origins, kinds, attributes or filter";
                    return Err(error(expected.into()));
                }
            }
        }
        // The printed form can be longer than the text, because it is folded and escaped again, and
        // it is the printed form that travels. Only a long text can exceed the limit, so only it is
        // printed.
        match text.len() {
            bytes if bytes < VIEW_BYTES_MAX / 4 => Ok(view),
            _ => match view.to_string().len() {
                bytes if bytes > 2 * VIEW_BYTES_MAX => Err(ViewError::Length { bytes }),
                _ => Ok(view),
            },
        }
    }
}

impl ViewHash {
    /// The hash with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for ViewHash {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| ())?;
        Ok(Self(bytes.try_into().map_err(|_| ())?))
    }
}

impl fmt::Display for ViewHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ViewHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(text: &str) -> View {
        text.parse().unwrap()
    }

    #[test]
    fn text_form_and_hash_are_one_per_definition() {
        let text = "types\tSMTP\tX400\norigins\tNORTH/HQ\nkinds\tmailbox\nattributes\ttitle\n\
                    filter\t(ou=a*)\n";
        assert_eq!(view(text).to_string(), text);
        assert_eq!(view("origins\tnorth/hq\n").hash(), view("origins\tNORTH/HQ\n").hash());
        assert_ne!(view("").hash(), view("types\n").hash());
        assert!("colour\tred\n".parse::<View>().is_err());
    }

    /// The view of one party costs the server work for every entry, so it is limited. The
    /// intersection of two such views must be readable as the view of an update.
    #[test]
    fn a_view_has_limits_and_two_views_come_to_one_that_can_be_read() {
        let terms = |attribute: &str, count: usize| {
            view(&format!("filter\t(|{})\n", format!("({attribute}=b)").repeat(count)))
        };
        let (left, right) = (terms("a", FILTER_TERMS_MAX), terms("c", FILTER_TERMS_MAX));
        assert_eq!(left.check_size(), Ok(()));
        let both = left.intersect(&right);
        assert_eq!(both.to_string().parse(), Ok(both.clone()));
        assert_eq!(both.check_size(), Err(ViewError::Terms { terms: 2 * FILTER_TERMS_MAX }));
        let more = format!("filter\t(|{})\n", "(a=b)".repeat(2 * FILTER_TERMS_MAX + 1));
        assert!(more.parse::<View>().unwrap_err().to_string().contains("too many terms"));
        let parts = format!("filter\t(a={}*)\n", "*b".repeat(2 * FILTER_TERMS_MAX));
        assert!(parts.parse::<View>().is_err(), "each part is looked for");
        let longest =
            |letter: &str| view(&format!("filter\t(a={})\n", letter.repeat(VIEW_BYTES_MAX - 13)));
        let (left, right) = (longest("a"), longest("b"));
        assert_eq!(left.check_size(), Ok(()));
        assert_eq!(left.intersect(&right).to_string().parse(), Ok(left.intersect(&right)));
        let longer = view(&format!("filter\t(a={})\n", "a".repeat(VIEW_BYTES_MAX - 11)));
        assert_eq!(longer.check_size(), Err(ViewError::Length { bytes: VIEW_BYTES_MAX + 1 }));
        assert!(format!("{left}{left}").parse::<View>().is_ok());
        assert!(format!("{left}{left}kinds\tlist\n").parse::<View>().is_err());
        let folds = format!("filter\t(a={})\n", "ŉ".repeat(VIEW_BYTES_MAX - 10));
        assert!(folds.parse::<View>().is_err(), "what is printed can be read");
        let folds = &folds["filter\t".len()..folds.len() - 1];
        assert!(folds.parse::<Filter>().is_err(), "of a filter alone too");
        let folds = format!("filter\t(a={})\n", "ŉ".repeat(VIEW_BYTES_MAX * 2 / 3 - 100));
        assert!(folds.parse::<View>().is_ok());
        let attributes: String = (0..100).map(|number| format!("\tattribute{number}")).collect();
        let both = format!("{folds}attributes{attributes}\n");
        assert!(both.parse::<View>().is_err(), "the lines together");
        let escaped = format!("(a={})", "\\61".repeat(VIEW_BYTES_MAX));
        assert!(escaped.parse::<Filter>().is_err(), "it is not even looked at");
        let values = |count: usize| format!("attributes{}\n", "\tou".repeat(count)).parse::<View>();
        assert!(values(VIEW_VALUES_MAX).is_ok() && values(VIEW_VALUES_MAX + 1).is_err());
        assert!("types\tno type\n".parse::<View>().is_err());
    }

    /// "İ" folds to two characters of three bytes.
    #[test]
    fn a_view_of_origins_with_long_folds_has_a_hash() {
        let name = format!("{0}/{0}", "İ".repeat(32));
        let longest: PostofficeName = name.parse().unwrap();
        assert!(longest.folded().parse::<PostofficeName>().is_err(), "its fold is no name");
        let origins = format!("origins\t{name}\n");
        assert_eq!(view(&origins).to_string(), origins);
        assert_eq!(view(&origins).hash(), view(&origins).hash());
        assert_ne!(view(&origins).hash(), view("").hash());
    }

    #[test]
    fn the_condition_that_hides_an_entry_is_named() {
        let origin = "NORTH/HQ".parse().unwrap();
        let ana = RecordRef {
            kind: "mailbox",
            name: "Ana",
            addresses: "SMTP:ana@north.example",
            details: "ou/Bridge\n",
        };
        for (text, condition) in [
            ("", None),
            ("origins\tnorth/hq\nkinds\tmailbox\ntypes\tSMTP\nfilter\t(ou=bridge)\n", None),
            ("origins\tSOUTH/HQ\nkinds\tlist\n", Some(Condition::Origins)),
            ("kinds\tlist\ntypes\tX400\n", Some(Condition::Kinds)),
            ("types\tX400\nfilter\t(ou=Deck)\n", Some(Condition::Types)),
            ("filter\t(ou=Deck)\n", Some(Condition::Filter)),
        ] {
            assert_eq!(view(text).hidden_by(&origin, ana), condition, "{text}");
            assert_eq!(view(text).shows(&origin, ana), condition.is_none(), "{text}");
        }
    }

    #[test]
    fn the_view_in_force_is_the_intersection() {
        let allowed = view("types\tSMTP\tX400\nfilter\t(ou=a)\n");
        let wanted = view("types\tSMTP\tPCM\nkinds\tlist\n");
        let force = allowed.intersect(&wanted);
        assert_eq!(force, view("types\tSMTP\nkinds\tlist\nfilter\t(ou=a)\n"));
        assert_eq!(allowed.intersect(&View::default()), allowed);
    }

    #[test]
    fn what_a_view_shows() {
        let north: PostofficeName = "NORTH/HQ".parse().unwrap();
        let record = RecordRef {
            kind: "mailbox",
            name: "Ana",
            addresses: "SMTP:a@b",
            details: "ou/a\ntitle/x\n",
        };
        assert!(view("types\tSMTP\n").shows(&north, record));
        assert!(!view("types\tX400\n").shows(&north, record));
        assert!(!view("origins\tSOUTH/HQ\n").shows(&north, record));
        assert!(view("filter\t(ou=a)\nattributes\ttitle\n").shows(&north, record));
        assert_eq!(view("attributes\ttitle\n").disclosed(record).unwrap().details, "title/x\n");
    }
}
