//! The formats of targets, and what may be said of each.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use dirsync_directory::fold;
use thiserror::Error;

use crate::dn;
use crate::format::{Format, UnknownFormat};

/// A file format of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetFormat {
    /// Our own CSV, which is read back exactly.
    Csv,
    /// LDIF: our own, which is read back exactly, or that of an LDAP server below a base.
    Ldif,
    /// vCard 3.0.
    Vcard,
    /// vCard 4.0.
    Vcard4,
    /// The CSV that Outlook imports.
    Outlook,
    /// The CSV that Google Contacts imports.
    Google,
    /// The CSV that Thunderbird imports.
    Thunderbird,
    /// A table of `virtual_alias_maps` of Postfix.
    PostfixVirtual,
    /// A table of `relay_recipient_maps` of Postfix.
    PostfixRelayRecipient,
}

/// A word that does not name a format of targets.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not a format of targets: {words}", words = TargetFormat::WORDS.join(", "))]
pub struct UnknownTargetFormat(String);

impl TargetFormat {
    /// All formats.
    pub const ALL: [Self; 9] = [
        Self::Csv,
        Self::Ldif,
        Self::Vcard,
        Self::Vcard4,
        Self::Outlook,
        Self::Google,
        Self::Thunderbird,
        Self::PostfixVirtual,
        Self::PostfixRelayRecipient,
    ];
    /// Their words, in the same order.
    pub const WORDS: [&'static str; 9] = [
        "csv",
        "ldif",
        "vcard",
        "vcard4",
        "outlook",
        "google",
        "thunderbird",
        "postfix-virtual",
        "postfix-relay-recipient",
    ];

    /// The format that the extension of a file stands for.
    ///
    /// # Errors
    ///
    /// If the extension is not known.
    pub fn of_path(path: &Path) -> Result<Self, UnknownFormat> {
        Ok(match Format::of_path(path)? {
            Format::Csv => Self::Csv,
            Format::Ldif => Self::Ldif,
            Format::Vcard => Self::Vcard,
        })
    }

    /// The word of the format.
    pub fn word(self) -> &'static str {
        let mut words = Self::ALL.into_iter().zip(Self::WORDS);
        words.find(|(format, _)| *format == self).map_or("", |(_, word)| word)
    }

    /// Whether the file is a table of Postfix.
    pub fn is_postfix(self) -> bool {
        matches!(self, Self::PostfixVirtual | Self::PostfixRelayRecipient)
    }

    fn is_csv(self) -> bool {
        matches!(self, Self::Csv | Self::Outlook | Self::Google | Self::Thunderbird)
    }
}

impl FromStr for TargetFormat {
    type Err = UnknownTargetFormat;

    fn from_str(text: &str) -> Result<Self, UnknownTargetFormat> {
        let mut words = Self::ALL.into_iter().zip(Self::WORDS);
        let known = words.find(|(_, word)| word.eq_ignore_ascii_case(text));
        known.map(|(format, _)| format).ok_or_else(|| UnknownTargetFormat(text.into()))
    }
}

impl fmt::Display for TargetFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The format of a target with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetOptions {
    /// The format.
    pub format: TargetFormat,
    /// Whether a CSV file is for people: values that a spreadsheet would run as formulas are marked.
    pub for_people: bool,
    /// The distinguished name below which an LDAP server has the entries. LDIF without one is our own.
    pub base: Option<String>,
    /// Whether LDIF has our own attributes, too. Without a base it always has.
    pub dirsync: bool,
    /// The mail domains of a table of Postfix.
    pub domains: Vec<String>,
}

/// An option of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetOption {
    /// [`TargetOptions::for_people`].
    ForPeople,
    /// [`TargetOptions::base`].
    Base,
    /// [`TargetOptions::dirsync`].
    Dirsync,
    /// [`TargetOptions::domains`].
    Domains,
}

/// Why options are wrong.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TargetOptionError {
    /// The format has no such option.
    #[error("this option is for {formats}, and the format is {format}", formats = formats(.option))]
    NotOf {
        /// The option.
        option: TargetOption,
        /// The format.
        format: TargetFormat,
    },
    /// A base is not a distinguished name.
    #[error("\"{0}\" is not a distinguished name, for example dc=example,dc=org")]
    Base(String),
    /// A text is not a mail domain.
    #[error("\"{0}\" is not a mail domain, for example example.org")]
    Domain(String),
    /// A table of Postfix needs to know its domains.
    #[error("the format {0} needs the mail domains for which Postfix asks this table")]
    NoDomain(TargetFormat),
}

impl TargetOptionError {
    /// The option that is wrong.
    pub fn option(&self) -> TargetOption {
        match self {
            Self::NotOf { option, .. } => *option,
            Self::Base(_) => TargetOption::Base,
            Self::Domain(_) | Self::NoDomain(_) => TargetOption::Domains,
        }
    }
}

fn formats(option: &TargetOption) -> &'static str {
    match option {
        TargetOption::ForPeople => "csv, outlook, google and thunderbird",
        TargetOption::Base | TargetOption::Dirsync => "ldif",
        TargetOption::Domains => "postfix-virtual and postfix-relay-recipient",
    }
}

impl TargetOptions {
    /// A format without options.
    pub fn new(format: TargetFormat) -> Self {
        Self { format, for_people: false, base: None, dirsync: false, domains: Vec::new() }
    }

    /// Checks that the options belong to the format and are complete.
    ///
    /// # Errors
    ///
    /// Returns the first that is wrong.
    pub fn check(&self) -> Result<(), TargetOptionError> {
        let format = self.format;
        let is_ldif = format == TargetFormat::Ldif;
        for (option, is_set, is_allowed) in [
            (TargetOption::ForPeople, self.for_people, format.is_csv()),
            (TargetOption::Base, self.base.is_some(), is_ldif),
            (TargetOption::Dirsync, self.dirsync, is_ldif),
            (TargetOption::Domains, !self.domains.is_empty(), format.is_postfix()),
        ] {
            if is_set && !is_allowed {
                return Err(TargetOptionError::NotOf { option, format });
            }
        }
        if let Some(base) = &self.base
            && dn::parse(base).is_none_or(|parts| parts.is_empty())
        {
            return Err(TargetOptionError::Base(base.clone()));
        }
        if format.is_postfix() && self.domains.is_empty() {
            return Err(TargetOptionError::NoDomain(format));
        }
        match self.domains.iter().find(|domain| !is_domain(domain)) {
            Some(domain) => Err(TargetOptionError::Domain(domain.clone())),
            None => Ok(()),
        }
    }

    /// Whether a file has a column for each attribute that occurs.
    pub fn needs_attributes(&self) -> bool {
        self.format == TargetFormat::Csv
    }

    /// Whether a file names entries as members of lists.
    pub fn needs_members(&self) -> bool {
        match self.format {
            TargetFormat::Vcard | TargetFormat::Vcard4 => true,
            TargetFormat::Ldif => self.base.is_some(),
            _ => false,
        }
    }

    /// Whether a mail domain, in any case, is among the domains.
    pub(super) fn has_domain(&self, domain: &str) -> bool {
        self.domains.iter().any(|known| fold(known) == fold(domain))
    }
}

/// Whether a text can stand after the `@` of an address in a table of Postfix.
pub(super) fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        let allowed = |character: char| {
            !character.is_ascii() && !character.is_whitespace() && !character.is_control()
                || character.is_ascii_alphanumeric()
                || matches!(character, '-' | '_')
        };
        !label.is_empty() && label.chars().all(allowed)
    };
    text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_its_word() {
        for (format, word) in TargetFormat::ALL.into_iter().zip(TargetFormat::WORDS) {
            assert_eq!((word.parse(), format.to_string().as_str()), (Ok(format), word));
        }
        let error = "xlsx".parse::<TargetFormat>().unwrap_err().to_string();
        assert!(error.contains("\"xlsx\"") && error.contains("csv, ldif"), "{error}");
    }

    #[test]
    fn options_belong_to_their_formats() {
        use TargetFormat::{Google, Ldif, PostfixVirtual, Vcard};
        let check = |format, change: fn(&mut TargetOptions)| {
            let mut options = TargetOptions::new(format);
            change(&mut options);
            options.check().map_err(|error| error.option())
        };
        assert_eq!(check(Google, |options| options.for_people = true), Ok(()));
        assert_eq!(check(Vcard, |options| options.for_people = true), Err(TargetOption::ForPeople));
        assert_eq!(check(Ldif, |options| options.base = Some("dc=x,dc=org".into())), Ok(()));
        for base in ["", "example.org", "dc=x,"] {
            let options = TargetOptions { base: Some(base.into()), ..TargetOptions::new(Ldif) };
            assert_eq!(options.check(), Err(TargetOptionError::Base(base.into())));
        }
        assert_eq!(check(Google, |options| options.dirsync = true), Err(TargetOption::Dirsync));
        assert_eq!(check(PostfixVirtual, |_| ()), Err(TargetOption::Domains));
        assert_eq!(check(PostfixVirtual, |options| options.domains = vec!["x.org".into()]), Ok(()));
        for domain in ["", "a b", "@x.org", "x..org", "x.org\n", "x,y"] {
            let domains = vec!["x.org".into(), domain.into()];
            let options = TargetOptions { domains, ..TargetOptions::new(PostfixVirtual) };
            assert_eq!(options.check(), Err(TargetOptionError::Domain(domain.into())));
        }
    }
}
