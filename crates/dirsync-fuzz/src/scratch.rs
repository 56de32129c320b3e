//! Files for parsers that read files.

use std::cell::RefCell;
use std::io::{Seek, Write};
use std::path::Path;

use tempfile::NamedTempFile;

thread_local! {
    static FILE: RefCell<Option<NamedTempFile>> = const { RefCell::new(None) };
}

/// Calls `read` with the path of a file with this content.
pub(crate) fn with_file<R>(content: &[u8], read: impl FnOnce(&Path) -> R) -> R {
    FILE.with_borrow_mut(|place| {
        let file = place.get_or_insert_with(|| NamedTempFile::new().expect("a temporary file"));
        file.as_file().set_len(0).expect("it can be emptied");
        file.rewind().expect("it can be written again");
        file.write_all(content).expect("it can be written");
        read(file.path())
    })
}
