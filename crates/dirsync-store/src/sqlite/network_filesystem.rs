//! Whether a path lies on a network file system.
//!
//! SQLite's write-ahead log needs memory shared by all processes of the database, and locks that
//! hold; over a network both fail silently and the database becomes malformed (sqlite.org,
//! "Write-Ahead Logging", 1). The kernel says in `/proc/self/mountinfo` what is mounted where
//! (proc_pid_mountinfo(5)).

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Types of file systems whose files are on other machines. `fuse.` and `fuseblk.` types are those
/// of well-known network programs; a plain `fuse` does not say what it is.
const NETWORK_TYPES: &[&str] = &[
    "9p",
    "afs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fuse.ceph",
    "fuse.ceph-fuse",
    "fuse.curlftpfs",
    "fuse.davfs",
    "fuse.gcsfuse",
    "fuse.glusterfs",
    "fuse.juicefs",
    "fuse.mount.davfs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.smbnetfs",
    "fuse.sshfs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb2",
    "smb3",
    "smbfs",
    "vboxsf",
    "vmhgfs",
];

/// What is mounted where on a machine.
#[derive(Clone, Debug)]
pub struct Mounts(Vec<Mount>);

#[derive(Clone, Debug)]
struct Mount {
    place: PathBuf,
    kind: String,
}

impl Mounts {
    /// What is mounted on this machine; nothing where the kernel does not say.
    pub fn of_this_machine() -> Self {
        Self::parse(&fs::read("/proc/self/mountinfo").unwrap_or_default())
    }

    /// Reads the text of a `mountinfo` file; lines that are none are passed over.
    pub fn parse(mountinfo: &[u8]) -> Self {
        let lines = mountinfo.split(|byte| *byte == b'\n');
        Self(lines.filter_map(Mount::parse).collect())
    }

    /// The type of the network file system that a path lies on, and where that is mounted; none
    /// when it lies on a disk of this machine.
    ///
    /// `path` is absolute and without symbolic links.
    pub fn network(&self, path: &Path) -> Option<(&str, &Path)> {
        // What is mounted last covers what was there before.
        let above = self.0.iter().rev().filter(|mount| path.starts_with(&mount.place));
        let deepest = above.fold(None::<&Mount>, |found, mount| match found {
            Some(found) if found.depth() >= mount.depth() => Some(found),
            _ => Some(mount),
        })?;
        let network = NETWORK_TYPES.contains(&deepest.kind.as_str());
        network.then_some((&*deepest.kind, &*deepest.place))
    }
}

impl Mount {
    /// `36 35 98:0 /root /place rw,noatime shared:1 - type source options`
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let place = fields.nth(4)?;
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        Some(Self {
            place: PathBuf::from(std::ffi::OsStr::from_bytes(&unescape(place))),
            kind: String::from_utf8_lossy(kind).into_owned(),
        })
    }

    fn depth(&self) -> usize {
        self.place.components().count()
    }
}

/// Blanks, tabs, line feeds and backslashes are written as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) if byte == b'\\' => {
                bytes.push(code);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &[u8] = b"\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:35 / /srv rw,relatime shared:20 master:3 - nfs4 server:/export rw,vers=4.2
41 40 254:1 / /srv/local rw - xfs /dev/vdb rw
42 22 0:36 / /mnt/a\\040b\\134c rw - cifs //server/share rw
43 22 0:37 / /data rw - nfs server:/data rw
44 22 254:2 / /data rw - ext4 /dev/vdc rw
not a line
";

    #[test]
    fn the_deepest_and_last_mount_counts() {
        let mounts = Mounts::parse(MOUNTINFO);
        let kind = |path: &str| mounts.network(Path::new(path)).map(|(kind, _)| kind);
        assert_eq!(kind("/home/postoffice"), None);
        assert_eq!(kind("/srv/postoffice"), Some("nfs4"));
        assert_eq!(kind("/srvx"), None, "a name that only begins alike");
        assert_eq!(kind("/srv/local/postoffice"), None);
        assert_eq!(kind("/mnt/a b\\c/x"), Some("cifs"), "blanks and backslashes are escaped");
        assert_eq!(kind("/data/x"), None, "covered by a later mount");
        assert_eq!(Mounts::parse(b"").network(Path::new("/srv")), None);
    }
}
