//! Permissions of the files that dirsync makes, and safe opening of files that others may have made.
//!
//! The mode is set when a file is made, so that no umask makes it wider, and there is no moment in which
//! it is wider.
//!
//! A path from outside may be anything by the time it is opened. Reading from a named pipe, for example,
//! may wait for ever. So a file is opened without waiting, and only then checked to be a regular file.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// The people for whom a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only the user that runs dirsync, whatever the permissions of the replaced file: keys,
    /// invitations, databases.
    Own,
    /// The user may write, and the group may read. A file that is replaced keeps its permissions.
    Settings,
    /// As the umask says, but others may never write. A file that is replaced keeps its permissions.
    Export,
    /// All who may write to the folder of the file.
    Shared,
}

/// Whether a link is followed when a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Follow it, because an administrator named the file.
    Follow,
    /// Refuse it, because others may write to the folder of the file.
    Refuse,
}

/// Opens a file that comes from outside for reading. Anything but a regular file is refused at
/// once, with an error that says what it is.
///
/// # Errors
///
/// If the file cannot be opened, or with [`io::ErrorKind::InvalidInput`] if it is not a regular file.
pub fn open_file(path: &Path, links: Links) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let opened = without_waiting(options.read(true), links).open(path);
    let file = opened.map_err(|error| describe(path, links).unwrap_or(error))?;
    require_regular(&file)?;
    Ok(file)
}

/// Sets the options so that opening never waits, whatever is opened.
pub(crate) fn without_waiting(options: &mut OpenOptions, links: Links) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let refuse = if links == Links::Refuse { libc::O_NOFOLLOW } else { 0 };
        options.custom_flags(libc::O_NONBLOCK | refuse);
    }
    options
}

/// Fails if an open file is not a regular file.
pub(crate) fn require_regular(file: &File) -> io::Result<()> {
    irregular(file.metadata()?.file_type()).map_or(Ok(()), Err)
}

/// Fails if `path` is something that must not be replaced, such as a device. A link may be replaced; the
/// file that it leads to is not touched.
pub(crate) fn require_replaceable(path: &Path) -> io::Result<()> {
    let Ok(data) = fs::symlink_metadata(path) else { return Ok(()) };
    let kind = data.file_type();
    irregular(kind).filter(|_| !kind.is_symlink()).map_or(Ok(()), Err)
}

/// The error for something that is not a regular file and cannot even be opened.
fn describe(path: &Path, links: Links) -> Option<io::Error> {
    let data = match links {
        Links::Follow => fs::metadata(path),
        Links::Refuse => fs::symlink_metadata(path),
    };
    irregular(data.ok()?.file_type())
}

fn irregular(kind: fs::FileType) -> Option<io::Error> {
    let what = if kind.is_file() {
        return None;
    } else if kind.is_symlink() {
        "it is a link, and links are not followed here"
    } else if kind.is_dir() {
        "it is a folder, not a file"
    } else {
        special(kind)
    };
    Some(io::Error::new(io::ErrorKind::InvalidInput, what))
}

#[cfg(unix)]
fn special(kind: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_fifo() {
        "it is a named pipe, not a file"
    } else if kind.is_socket() {
        "it is a socket, not a file"
    } else {
        "it is a device, not a file"
    }
}

#[cfg(not(unix))]
fn special(_: fs::FileType) -> &'static str {
    "it is not a regular file"
}

/// Opens a folder, so that it can be synced.
pub(crate) fn open_folder(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_DIRECTORY | libc::O_NONBLOCK);
    }
    options.open(folder)
}

/// Sets the options so that a new file is for the user alone.
pub(crate) fn own(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

/// Makes a temporary file. At no time may anybody do more with it than `access` says.
pub(crate) fn make_temporary(
    builder: &mut tempfile::Builder<'_, '_>,
    folder: &Path,
    access: Access,
) -> io::Result<NamedTempFile> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = if access == Access::Export { 0o644 } else { 0o600 };
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    builder.tempfile_in(folder)
}

/// Gives the temporary file of `path`, which is in `folder`, its final permissions.
#[cfg(unix)]
pub(crate) fn set_permissions(
    file: &File,
    path: &Path,
    folder: &Path,
    access: Access,
) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let old = || match fs::symlink_metadata(path) {
        Ok(old) if old.is_file() => Some(old.permissions().mode() & 0o777),
        _ => None,
    };
    let mode = match access {
        Access::Own => Some(0o600),
        Access::Settings => Some(old().unwrap_or(0o640)),
        // A new file was already made with the mode that the umask gives.
        Access::Export => old(),
        Access::Shared => Some(0o600 | fs::metadata(folder)?.permissions().mode() & 0o060),
    };
    mode.map_or(Ok(()), |mode| file.set_permissions(fs::Permissions::from_mode(mode)))
}

/// Does nothing: on other systems a file inherits the permissions of its folder.
#[cfg(not(unix))]
pub(crate) fn set_permissions(_: &File, _: &Path, _: &Path, _: Access) -> io::Result<()> {
    Ok(())
}

/// Makes a folder for the user and the group.
pub(crate) fn create_own_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o750);
    }
    builder.create(folder)
}

/// Makes a folder that the user and the group may use as the folder around it, and nobody else may. If
/// that is not one of ours (`None`), both may write.
pub(crate) fn create_shared_folder(folder: &Path, within: Option<&Path>) -> io::Result<()> {
    create_own_folder(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |folder: &Path| fs::metadata(folder).map(|data| data.permissions().mode());
        let as_open = within.map_or(Ok(0o770), mode)? & 0o770;
        // The set-group-ID bit: new files get the group of the folder.
        let handed_down = mode(folder)? & 0o2000;
        let set = |bits| {
            let permissions = fs::Permissions::from_mode(0o700 | as_open | bits);
            fs::set_permissions(folder, permissions)
        };
        // A service manager may forbid setting that bit, even if it is set already.
        match set(handed_down) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => set(0)?,
            outcome => outcome?,
        }
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    /// A named pipe, a socket, a device, a folder and a link each give an error that names it, at once.
    #[test]
    fn only_a_regular_file_is_opened() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::write(at("file"), "text").unwrap();
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let _socket = UnixListener::bind(at("socket")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink(at("pipe"), at("link to pipe")).unwrap();
        for links in [Links::Follow, Links::Refuse] {
            assert!(open_file(&at("file"), links).is_ok());
            for (name, what) in [("pipe", "named pipe"), ("socket", "socket"), ("folder", "folder")]
            {
                let error = open_file(&at(name), links).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                assert!(error.to_string().contains(what), "{error}");
            }
            let device = open_file(Path::new("/dev/zero"), links).unwrap_err();
            assert!(device.to_string().contains("device"), "{device}");
            let missing = open_file(&at("missing"), links).unwrap_err();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        }
        assert!(open_file(&at("link"), Links::Follow).is_ok());
        let error = open_file(&at("link"), Links::Refuse).unwrap_err();
        assert!(error.to_string().contains("link"), "{error}");
        let error = open_file(&at("link to pipe"), Links::Follow).unwrap_err();
        assert!(error.to_string().contains("named pipe"), "{error}");
    }

    #[test]
    fn a_shared_folder_is_as_open_as_the_one_above_and_never_to_others() {
        let place = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        for (above, below) in [(0o777, 0o770), (0o2770, 0o2770), (0o750, 0o750), (0o755, 0o750)] {
            fs::set_permissions(place.path(), fs::Permissions::from_mode(above)).unwrap();
            let folder = place.path().join(format!("{above:o}"));
            create_shared_folder(&folder, Some(place.path())).unwrap();
            assert_eq!(mode(&folder), below, "in {above:o}");
        }
        let root = place.path().join("root");
        create_shared_folder(&root, None).unwrap();
        assert_eq!(mode(&root) & 0o777, 0o770);
    }
}
