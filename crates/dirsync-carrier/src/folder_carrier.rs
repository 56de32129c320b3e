//! The carrier of a shared folder that is used in windows, or at a limited rate.

use std::io::{ErrorKind, Read as _};

use dirsync_directory::PostofficeName;

use crate::access::{Links, open_file};
use crate::carrier::{Carrier, CarrierError, CarrierErrorKind, CarrierFile};
use crate::durable::{self, FileError};
use crate::folder::{FolderTransit, in_words};
use crate::transit::{MessageFile, TransitError};

/// Moves files through a shared folder. Messages lie there as [`FolderTransit`] leaves them, and pieces of bodies
/// and signals beside them.
#[derive(Clone, Debug)]
pub struct FolderCarrier {
    folder: FolderTransit,
    with_messages: bool,
}

impl FolderCarrier {
    /// The access of a postoffice to its folder.
    pub fn new(folder: FolderTransit) -> Self {
        Self { folder, with_messages: true }
    }

    /// The same without messages: the steps take them by themselves.
    pub fn beside_messages(folder: FolderTransit) -> Self {
        Self { folder, with_messages: false }
    }

    /// `None` if the file is gone.
    fn not_read<T>(&self, error: FileError) -> Result<Option<T>, CarrierError> {
        // Of a share that went away meanwhile nothing is known to be gone.
        self.folder.reach().map_err(|error| self.failed(error))?;
        match error.source.kind() {
            ErrorKind::NotFound => Ok(None),
            _ => Err(self.failed(error.into())),
        }
    }

    fn failed(&self, error: TransitError) -> CarrierError {
        let kind = match &error {
            TransitError::Unreachable { .. } => CarrierErrorKind::Unreachable,
            TransitError::File(error) => match error.source.kind() {
                // Also something in the way that is not a file, or not a folder.
                ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::InvalidInput => CarrierErrorKind::Refused,
                _ => CarrierErrorKind::Unreachable,
            },
        };
        let said = match error {
            TransitError::Unreachable { source, .. } => source.to_string(),
            TransitError::File(error) => error.to_string(),
        };
        CarrierError { kind, place: self.place(), said }
    }
}

impl Carrier for FolderCarrier {
    fn place(&self) -> String {
        in_words(self.folder.root())
    }

    fn file_bytes_max(&self) -> Option<u64> {
        None
    }

    fn continues(&self) -> bool {
        false
    }

    fn put(&self, to: &PostofficeName, name: &str, bytes: &[u8]) -> Result<(), CarrierError> {
        self.folder.put_file(to, name, &mut &*bytes).map_err(|error| self.failed(error))
    }

    fn list(&self) -> Result<Vec<CarrierFile>, CarrierError> {
        let files = self.folder.files(self.with_messages).map_err(|error| self.failed(error))?;
        Ok(files
            .into_iter()
            .map(|(name, bytes)| CarrierFile { name, bytes: Some(bytes) })
            .collect())
    }

    fn fetch(&self, file: &CarrierFile, bytes_max: u64) -> Result<Option<Vec<u8>>, CarrierError> {
        let path = self.folder.own_file(&file.name).map_err(|error| self.failed(error))?;
        let Some(path) = path else { return Ok(None) };
        let read = || {
            let mut bytes = Vec::new();
            let file = open_file(&path, Links::Refuse)?;
            file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match durable::step("read", &path, read) {
            Ok(bytes) if bytes.len() as u64 > bytes_max => {
                let said = format!("\"{}\" has more than {bytes_max} bytes", path.display());
                let (kind, place) = (CarrierErrorKind::TooLarge, self.place());
                Err(CarrierError { kind, place, said })
            }
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => self.not_read(error),
        }
    }

    fn open(&self, file: &CarrierFile) -> Result<Option<Box<dyn MessageFile>>, CarrierError> {
        let path = self.folder.own_file(&file.name).map_err(|error| self.failed(error))?;
        let Some(path) = path else { return Ok(None) };
        match durable::step("open", &path, || open_file(&path, Links::Refuse)) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) => self.not_read(error),
        }
    }

    fn taken(&self, file: &CarrierFile) -> Result<(), CarrierError> {
        let path = self.folder.own_file(&file.name).map_err(|error| self.failed(error))?;
        let Some(path) = path else { return Ok(()) };
        let removed = durable::remove_file(&path);
        self.folder.reach().map_err(|error| self.failed(error))?;
        removed.map(drop).map_err(|error| self.failed(error.into()))
    }
}
