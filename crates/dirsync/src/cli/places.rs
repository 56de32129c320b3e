//! `--folder DIR`, `--link URL` and `--mail ADDRESS`, in any order: the order in which places are named is that in which they are
//! preferred.

use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use dirsync_postoffice::places::NamedPlace;

use crate::failure::Failure;

const FOLDER: &str = "folder";
const LINK: &str = "link";
const MAIL: &str = "mail";

/// The places that a command names, in their order.
#[derive(Clone, Debug, Default)]
pub struct PlacesArgs {
    /// The places.
    pub places: Vec<NamedPlace>,
}

impl PlacesArgs {
    /// The places, of which there has to be one.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn named(&self) -> Result<&[NamedPlace], Failure> {
        if self.places.is_empty() {
            let hint = "--folder DIR names a shared folder, --link URL the link of the server, --mail ADDRESS a mailbox";
            return Err(
                Failure::usage("no place is named through which messages travel").hint(hint)
            );
        }
        Ok(&self.places)
    }
}

impl Args for PlacesArgs {
    fn augment_args(command: Command) -> Command {
        command
            .arg(
                Arg::new(FOLDER)
                    .long(FOLDER)
                    .value_name("DIR")
                    .action(ArgAction::Append)
                    .value_parser(ValueParser::path_buf())
                    .help("A shared folder through which messages travel; of several places the first one that works is used"),
            )
            .arg(
                Arg::new(LINK)
                    .long(LINK)
                    .value_name("URL")
                    .action(ArgAction::Append)
                    .help("The link of the server through which messages travel, https://HOST:PORT"),
            )
            .arg(
                Arg::new(MAIL)
                    .long(MAIL)
                    .value_name("ADDRESS")
                    .action(ArgAction::Append)
                    .help("The mailbox of the other side, to which messages are mailed"),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for PlacesArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut named: Vec<(usize, NamedPlace)> = Vec::new();
        if let (Some(at), Some(folders)) =
            (matches.indices_of(FOLDER), matches.get_many::<PathBuf>(FOLDER))
        {
            named.extend(at.zip(folders.cloned().map(NamedPlace::Folder)));
        }
        let mut add = |name: &str, kind: fn(String) -> NamedPlace| {
            if let (Some(at), Some(texts)) =
                (matches.indices_of(name), matches.get_many::<String>(name))
            {
                named.extend(at.zip(texts.cloned().map(kind)));
            }
        };
        add(LINK, NamedPlace::Link);
        add(MAIL, NamedPlace::Mail);
        named.sort_by_key(|(at, _)| *at);
        Ok(Self { places: named.into_iter().map(|(_, place)| place).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_keep_the_order_in_which_they_were_named() {
        let command = PlacesArgs::augment_args(Command::new("x"));
        let words = ["x", "--folder", "a", "--link", "https://hub", "--folder=b"];
        let matches = command.try_get_matches_from(words).unwrap();
        let named = PlacesArgs::from_arg_matches(&matches).unwrap().places;
        let (a, b) = (NamedPlace::Folder("a".into()), NamedPlace::Folder("b".into()));
        assert_eq!(named, [a, NamedPlace::Link("https://hub".into()), b]);
    }
}
