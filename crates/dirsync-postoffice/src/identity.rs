//! Whose database a folder or a copy is: name, role and installation. A copy that differs in one of
//! them is another postoffice's, and is not put in the place of a database.

use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use dirsync_directory::PostofficeName;
use dirsync_message::Instance;
use dirsync_protocol::tables::{Stored, Tables};

use crate::failure::{Failure, Result};
use crate::keys::{has_instance, installation_key, read_instance};

/// The name of the note that says with which key a database was made.
pub const INSTALLATION_NOTE: &str = "installation";

/// Who a postoffice is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    name: PostofficeName,
    /// The server installation; `None` for a requestor.
    instance: Option<Instance>,
    /// Its first public key, which each installation makes anew.
    key: String,
}

impl Identity {
    /// Of a folder, by its keys: they tell also where the database cannot be read any more.
    pub fn of_folder(folder: &Path) -> Result<Self> {
        let key = installation_key(folder)?;
        let name = key.splitn(3, ' ').nth(2).unwrap_or_default();
        let name = name.parse().with_context(|| {
            format!("the key in \"{}\" does not name its postoffice", folder.display())
        })?;
        let instance = has_instance(folder).then(|| read_instance(folder)).transpose()?;
        Ok(Self { name, instance, key })
    }

    /// Of a database, by its own tables.
    pub fn of_database(tables: &mut dyn Tables) -> Stored<Self> {
        Ok(Self {
            name: tables.requestor()?.name,
            instance: tables.server()?.map(|server| server.epoch.instance),
            key: tables.note(INSTALLATION_NOTE)?.unwrap_or_default(),
        })
    }

    /// Refuses the copy in `file` where it is not one of the postoffice in `folder`.
    pub fn require_same(&self, folder: &Path, copy: &Self, file: &Path) -> Result<()> {
        if self == copy {
            return Ok(());
        }
        let (folder, file) = (folder.display(), file.display());
        let same_role = self.instance.is_some() == copy.instance.is_some();
        let (text, hint) = if self.name == copy.name && same_role {
            (
                format!(
                    "\"{file}\" is a copy of another installation of {copy}, not of the one in \
                     \"{folder}\""
                ),
                "a copy goes back into the folder whose keys/ it belongs to; a copy of the server that \
                 is to become the server in another folder needs `server promote` there",
            )
        } else {
            (
                format!("\"{file}\" is a copy of {copy}; \"{folder}\" is {self}"),
                "name the right copy, or the right folder with -C",
            )
        };
        Err(Failure::usage(format!("{text}: nothing was changed")).hint(hint))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, output: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.instance.is_some() { "a directory server" } else { "a requestor" };
        write!(output, "{}, {role}", self.name)
    }
}
