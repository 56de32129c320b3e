//! Synthetic directories: the same people for the same seed, on every machine.
//!
//! A person is a row of CSV with the columns of [`HEADER`], and about 260 bytes as LDIF. Names,
//! titles and departments are skewed as in a real company; addresses are unique.

mod names;
mod random;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::number;
use random::Random;

pub const EXAMPLES: &str = "\
Examples:
  cargo xtask generate --entries 100000 -o people.csv
  cargo xtask generate --entries 100000 --change 1000 --shuffle -o changed.csv";

/// The columns, in order.
pub const HEADER: &str = "employee_no,first,last,mail,phone,title,department";

/// A map for `dirsync import --map` that reads the columns.
#[cfg(unix)]
pub const MAP: &str = r#"key = "{employee_no}"
name = "{first} {last}"
address = ["SMTP:{mail}"]
kind = "mailbox"

[details]
givenName = "{first}"
sn = "{last}"
telephoneNumber = "{phone}"
title = "{title}"
departmentNumber = "{department}"
"#;

/// A map that makes the same of the columns as [`MAP`], with conditions, alternatives and functions: ten
/// lines, four functions.
#[cfg(unix)]
pub const MAP_OF_FUNCTIONS: &str = r#"key = "{employee_no}"
name = ["{first} {last}", "{mail}"]
address = ["SMTP:{mail|lower}"]
kind = [{ value = "resource", if = "(title=Room)" }, "mailbox"]
skip = { value = "guests", if = "(title=Guest)" }

[details]
givenName = "{first|trim}"
sn = "{last}"
telephoneNumber = '{phone|replace "^0" "+49 "}'
title = "{title|limit 64}"
departmentNumber = "{department}"
"#;

/// Numbers are drawn from the seed of the people with this added, so that a change of some leaves
/// the others alone.
const CHANGE_SEED: u64 = 0x6368_616e_6765;
const SHUFFLE_SEED: u64 = 0x7368_7566_666c_6531;

/// What to generate.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// People to write
    #[arg(long, value_name = "N", default_value = "1000", value_parser = number::<u32>)]
    pub entries: u32,
    /// The same seed gives the same people
    #[arg(long, value_name = "S", default_value = "1", value_parser = number::<u64>)]
    pub seed: u64,
    /// Prefix of employee numbers, and the mail domain under `.example`
    #[arg(long, value_name = "P", default_value = "north", value_parser = prefix)]
    pub origin_prefix: String,
    /// Give K of them another telephone number or title
    #[arg(long, value_name = "K", default_value = "0", value_parser = number::<u32>)]
    pub change: u32,
    /// Write the rows in another order
    #[arg(long)]
    pub shuffle: bool,
}

/// The options of `generate`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Write to FILE instead of standard output
    #[arg(short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// One person as indices into the lists of words: 24 bytes, so that a million fit anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Person {
    number: u32,
    first: u16,
    last: u16,
    /// How many before have the same name: 0 for the first.
    namesakes: u32,
    site: u8,
    extension: u16,
    title: u8,
    area: u8,
    branch: u8,
}

/// A generated directory.
pub struct Directory {
    first: Vec<Name>,
    last: Vec<Name>,
    origin_prefix: String,
    people: Vec<Person>,
}

/// A name and its form in mail addresses.
struct Name {
    text: String,
    ascii: String,
}

impl Directory {
    pub fn generate(options: &Options) -> Self {
        let first = word_list(names::FIRST);
        let last = word_list(names::LAST);
        let mut namesakes = vec![0_u32; first.len() * last.len()];
        let mut random = Random::new(options.seed);
        let mut people: Vec<Person> = (1..=options.entries)
            .map(|number| {
                let first_index = random.skewed(first.len());
                let last_index = random.skewed(last.len());
                let same = &mut namesakes[first_index * last.len() + last_index];
                let before = *same;
                *same += 1;
                person(number, first_index, last_index, before, &mut random)
            })
            .collect();
        change(&mut people, options.change, &mut Random::new(options.seed ^ CHANGE_SEED));
        if options.shuffle {
            Random::new(options.seed ^ SHUFFLE_SEED).shuffle(&mut people);
        }
        Self { first, last, origin_prefix: options.origin_prefix.clone(), people }
    }

    /// Writes header and rows. No value holds a comma, a quote or a newline, so none is quoted.
    pub fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{HEADER}")?;
        let prefix = &self.origin_prefix;
        for person in &self.people {
            let (first, last) =
                (&self.first[usize::from(person.first)], &self.last[usize::from(person.last)]);
            write!(
                out,
                "{prefix}-{:07},{},{},{}.{}",
                person.number, first.text, last.text, first.ascii, last.ascii
            )?;
            if person.namesakes > 0 {
                write!(out, "{}", person.namesakes + 1)?;
            }
            writeln!(
                out,
                "@{prefix}.example,{} {:04},{},{} {}",
                names::SITE_PREFIXES[usize::from(person.site)],
                person.extension,
                names::TITLES[usize::from(person.title)],
                names::AREAS[usize::from(person.area)],
                names::BRANCHES[usize::from(person.branch)],
            )?;
        }
        Ok(())
    }

    /// Writes the CSV to a new file, or over an old one.
    pub fn write_csv_file(&self, path: &Path) -> Result<(), Failure> {
        let write = || {
            let mut out = BufWriter::new(File::create(path)?);
            self.write_csv(&mut out)?;
            out.flush()
        };
        write().map_err(|error| Failure::file("write", path, &error))
    }
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { options, output } = arguments;
    if options.change > options.entries {
        return Err(Failure::usage("\"--change\" cannot be more than \"--entries\""));
    }
    let directory = Directory::generate(options);
    match output {
        Some(path) => directory.write_csv_file(path),
        None => write_to_standard_output(&directory),
    }
}

fn prefix(text: &str) -> Result<String, &'static str> {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    match !text.is_empty() && text.chars().all(is_letter) {
        true => Ok(text.to_owned()),
        false => Err("use lower-case letters and digits"),
    }
}

/// A closed pipe is no failure: `generate | head` has got what it wanted.
fn write_to_standard_output(directory: &Directory) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    match directory.write_csv(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::file("write", Path::new("standard output"), &error))
        }
        _ => Ok(()),
    }
}

fn person(number: u32, first: usize, last: usize, namesakes: u32, random: &mut Random) -> Person {
    Person {
        number,
        first: index(first),
        last: index(last),
        namesakes,
        site: index(random.skewed(names::SITE_PREFIXES.len())),
        extension: index(random.below(10_000)),
        title: index(random.skewed(names::TITLES.len())),
        area: index(random.skewed(names::AREAS.len())),
        branch: index(random.below(names::BRANCHES.len())),
    }
}

/// An index below the length of a short list.
fn index<N: TryFrom<usize>>(value: usize) -> N {
    N::try_from(value).ok().expect("the lists are shorter than the index type's range")
}

/// Gives `count` different people another extension or another title.
fn change(people: &mut [Person], count: u32, random: &mut Random) {
    let mut order: Vec<usize> = (0..people.len()).collect();
    random.shuffle(&mut order);
    for (turn, at) in order.into_iter().take(count as usize).enumerate() {
        let person = &mut people[at];
        if turn % 2 == 0 {
            let step = 1 + random.below(9_999);
            person.extension = index((usize::from(person.extension) + step) % 10_000);
        } else {
            let step = 1 + random.below(names::TITLES.len() - 1);
            person.title = index((usize::from(person.title) + step) % names::TITLES.len());
        }
    }
}

fn word_list(words: &str) -> Vec<Name> {
    words
        .split_whitespace()
        .map(|word| {
            let text = word.replace('_', " ");
            let ascii = text.chars().filter_map(ascii_letter).collect();
            Name { text, ascii }
        })
        .collect()
}

/// What a letter becomes in a mail address; `None` for a blank, a hyphen or an apostrophe.
fn ascii_letter(letter: char) -> Option<char> {
    Some(match letter {
        'à' | 'á' | 'ã' | 'ä' | 'ą' => 'a',
        'ç' | 'ć' | 'č' | 'Ç' => 'c',
        'è' | 'é' | 'ë' | 'ę' | 'É' => 'e',
        'ğ' => 'g',
        'í' | 'ı' => 'i',
        'ł' | 'Ł' => 'l',
        'ñ' | 'ń' => 'n',
        'ó' | 'ö' | 'õ' | 'ø' | 'Ö' => 'o',
        'ř' => 'r',
        'ş' | 'ś' | 'ß' | 'Ş' => 's',
        'ú' | 'ü' => 'u',
        'ý' => 'y',
        'ź' | 'ż' => 'z',
        'ê' => 'e',
        other if other.is_ascii_alphabetic() => other.to_ascii_lowercase(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
