//! Sources: files that are read row by row, with a reason for each row that cannot be used.

use std::fs::File;
use std::io::{self, BufRead};
use std::path::Path;

use crate::csv_file::{CsvSource, usual_encoding};
use crate::error::{OpenError, ReadError};
use crate::format::Format;
use crate::ldif::LdifSource;
use crate::map::{LeftOut, Map, NamedMap, RowMade};
use crate::private::{Private, PrivateCount, PrivateCounts};
use crate::row::Item;
use crate::text::{Text, TextError, TextOptions, Usual};
use crate::vcard::VcardSource;

/// Options for reading a file.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The encoding, by a name of the WHATWG Encoding Standard. A byte order mark takes precedence, and
    /// `None` means UTF-8.
    pub encoding: Option<String>,
    /// The map from columns to entries. Without one, the file's own names of columns decide.
    pub map: Option<Map>,
    /// The maps of which the first that fits a CSV file is used if there is no other.
    pub known: &'static [NamedMap],
    /// What is done with private things, unless a person's map takes them over.
    pub private: Private,
    /// The number of rows of which [`Source::take_trace`] says what each line of the map made.
    pub traced: usize,
}

impl OpenOptions {
    /// What is done with private things in a file of another program.
    pub(crate) fn private(&self) -> Private {
        match &self.map {
            Some(map) if !map.built_in => Private::Keep,
            _ => self.private,
        }
    }
}

/// A file that is being read, in constant memory.
///
/// The iteration ends after an error. If it ends without one, the whole file was read; only then may the
/// absence of an entry mean anything.
pub struct Source {
    rows: Rows,
    notes: Vec<String>,
    usual: Option<Usual>,
    /// A reader is not asked again after its end or an error.
    ended: bool,
}

enum Rows {
    Csv(Box<CsvSource>),
    Ldif(Box<LdifSource>),
    Vcard(Box<VcardSource>),
}

/// Makes a source of an open file. `path` is used in messages only.
///
/// # Errors
///
/// See [`OpenError`].
pub fn open(
    file: File,
    path: &Path,
    format: Format,
    options: &OpenOptions,
) -> Result<Source, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    let text = text_of(file, path, format, options)?;
    let usual = text.usual();
    let mut notes = vec![format!("encoding: {}", text.encoding())];
    let charset = text.charset();
    let mut reader = text.into_reader();
    if reader.fill_buf().map_err(io)?.is_empty() {
        return Err(OpenError::Empty { path: path.to_owned() });
    }
    let rows = match format {
        Format::Csv => {
            let source = CsvSource::open(path, reader, options, &mut notes)?;
            Rows::Csv(Box::new(source))
        }
        Format::Ldif => Rows::Ldif(Box::new(LdifSource::open(path, reader, options)?)),
        Format::Vcard => Rows::Vcard(Box::new(VcardSource::open(path, reader, charset, options)?)),
    };
    Ok(Source { rows, notes, usual, ended: false })
}

/// The text of a file, whose encoding is known.
pub(crate) fn text_of(
    file: File,
    path: &Path,
    format: Format,
    options: &OpenOptions,
) -> Result<Text, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    if file.metadata().map_err(io)?.is_dir() {
        return Err(io(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    let usual = |start: &[u8]| usual_encoding(start, options);
    let text = Text::new(
        file,
        TextOptions {
            encoding: options.encoding.as_deref(),
            keeps_bytes: format == Format::Vcard,
            usual: if format == Format::Csv { Some(&usual) } else { None },
        },
    );
    text.map_err(|error| match error {
        TextError::Encoding(error) => OpenError::Encoding { path: path.to_owned(), error },
        TextError::Utf16(name) => OpenError::Utf16 { path: path.to_owned(), name },
        TextError::Io(source) => io(source),
    })
}

impl Source {
    /// Remarks on the file as a whole: its encoding, unused columns, the choice of keys. At the end of
    /// the file they include the number of values and records that were left out.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The built-in map by which the file is read because it fits.
    pub fn known(&self) -> Option<&'static str> {
        match &self.rows {
            Rows::Csv(source) => source.known(),
            Rows::Ldif(_) | Rows::Vcard(_) => None,
        }
    }

    /// The rows that the map left out so far.
    pub fn left_out(&self) -> Vec<LeftOut> {
        match &self.rows {
            Rows::Csv(source) => source.left_out(),
            Rows::Ldif(source) => source.left_out(),
            Rows::Vcard(source) => source.left_out(),
        }
    }

    /// The private values that were left out so far.
    pub fn private(&self) -> Vec<PrivateCount> {
        self.private_counts().counts()
    }

    fn private_counts(&self) -> &PrivateCounts {
        match &self.rows {
            Rows::Csv(source) => source.private(),
            Rows::Ldif(source) => source.private(),
            Rows::Vcard(source) => source.private(),
        }
    }

    /// What the map made of the rows since the last call, as long as rows are traced.
    pub fn take_trace(&mut self) -> Vec<RowMade> {
        match &mut self.rows {
            Rows::Csv(source) => source.take_trace(),
            Rows::Ldif(source) => source.take_trace(),
            Rows::Vcard(source) => source.take_trace(),
        }
    }
}

impl Iterator for Source {
    type Item = Result<Item, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = match &mut self.rows {
            Rows::Csv(source) => source.next(),
            Rows::Ldif(source) => source.next(),
            Rows::Vcard(source) => source.next(),
        };
        if matches!(item, None | Some(Err(_))) {
            self.ended = true;
            match &mut self.rows {
                Rows::Csv(source) => source.summarize(&mut self.notes),
                Rows::Ldif(source) => source.summarize(&mut self.notes),
                Rows::Vcard(source) => source.summarize(&mut self.notes),
            }
            self.notes.extend(self.private_counts().note());
            if let Some(encoding) = self.usual.as_ref().and_then(Usual::used) {
                self.notes.retain(|note| !note.starts_with("encoding:"));
                self.notes.push(format!(
                    "encoding: {encoding}, which is usual for such files; --encoding names another (of a \
                     source: encoding = \"…\")"
                ));
            }
        }
        item
    }
}
