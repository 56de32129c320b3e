//! How many files the process may have open: a connection is one.

/// What the rest of the program may need meanwhile.
const RESERVED: usize = 256;

/// Lets the process have so many connections, if the operating system does. Returns how many it may have, so that a
/// crowd at the link never keeps the steps from opening their files.
#[cfg(unix)]
pub(super) fn room_for(connections: usize) -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return connections };
    let wanted = connections.saturating_add(RESERVED) as u64;
    let raised = wanted.min(hard);
    let may_have = match soft < raised && setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_ok() {
        true => raised,
        false => soft,
    };
    within(connections, may_have)
}

#[cfg(not(unix))]
pub(super) fn room_for(connections: usize) -> usize {
    connections
}

/// The connections that are possible with so many open files. Of few files, connections have half.
#[cfg(any(unix, test))]
fn within(connections: usize, files: u64) -> usize {
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    connections.min(files.saturating_sub(RESERVED).max(files / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_have_files_too() {
        assert_eq!(within(4096, u64::MAX), 4096);
        assert_eq!(within(4096, 4096 + 256), 4096);
        assert_eq!(within(4096, 1024), 768);
        assert_eq!(within(4096, 256), 128);
    }
}
