//! File systems on which a database would be damaged, because their locks and shared memory do not work
//! between machines.

use std::path::{Path, PathBuf};

/// The types of network file systems, as `/proc/self/mountinfo` names them.
const SHARED: [&str; 10] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "fuse.sshfs",
    "9p",
    "ceph",
    "fuse.glusterfs",
    "glusterfs",
];

/// The type of the network file system that a path is on. `None` if it is a local one, or if the
/// operating system does not say.
pub(super) fn network_filesystem(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = std::fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    shared_mount(&mounts, &folder).map(str::to_owned)
}

/// The type of the file system of a path, if it is one of [`SHARED`]. The longest mount point that
/// the path begins with decides, and of several at the same mount point the last one, which covers
/// the others.
///
/// The lines are `ID PARENT MAJOR:MINOR ROOT MOUNT-POINT OPTIONS [TAGS…] - TYPE SOURCE OPTIONS`
/// (proc_pid_mountinfo(5)); blanks and backslashes in paths are octal escapes.
fn shared_mount<'m>(mounts: &'m str, path: &Path) -> Option<&'m str> {
    let mount = |line: &'m str| {
        let (left, right) = line.split_once(" - ")?;
        let point = unescaped(left.split(' ').nth(4)?);
        Some((point, right.split(' ').next()?))
    };
    let covering = mounts.lines().filter_map(mount).filter(|(point, _)| path.starts_with(point));
    let (_, kind) = covering.max_by_key(|(point, _)| point.components().count())?;
    SHARED.contains(&kind).then_some(kind)
}

fn unescaped(text: &str) -> PathBuf {
    let unescaped = text
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\");
    unescaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /srv rw - nfs4 files:/srv rw,vers=4.2
31 30 8:2 / /srv/local rw shared:7 master:2 - xfs /dev/sdb rw
32 22 0:41 / /mnt/two\\040words rw - cifs //files/share rw
33 22 0:42 / /mnt/over rw - ext4 /dev/sdc rw
34 33 0:43 / /mnt/over rw - fuse.sshfs host: rw
broken line
";

    #[test]
    fn the_longest_mount_point_decides() {
        for (path, kind) in [
            ("/var/lib/dirsync", None),
            ("/srv", Some("nfs4")),
            ("/srv/dirsync", Some("nfs4")),
            ("/srv/local/dirsync", None),
            ("/srv/localhost", Some("nfs4")),
            ("/srvx", None),
            ("/mnt/two words/x", Some("cifs")),
            ("/mnt/over/x", Some("fuse.sshfs")),
        ] {
            assert_eq!(shared_mount(MOUNTS, Path::new(path)), kind, "{path}");
        }
        assert_eq!(shared_mount("", Path::new("/srv")), None);
    }
}
