//! The rows of a source, which a thread parses ahead, so that parsing a file and comparing its rows with
//! the state happen at the same time.
//!
//! It changes nothing but the time: the rows and their order are the same without it.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use dirsync_connect::{Item, ReadError, SourceRow};

/// The largest number of rows that are handed over at a time.
const BATCH_ROWS: usize = 256;
/// The number of bytes from which on a batch is handed over, whatever its number of rows.
const BATCH_BYTES: usize = 256 * 1024;
/// The largest number of batches that wait to be taken.
const BATCHES_AHEAD: usize = 2;

/// The rows of a source, until its end or the first error.
pub(crate) struct RowsAhead<'scope> {
    ahead: Receiver<Vec<Item>>,
    /// The way back for batches. Rows are freed by the thread that made them, because an allocator is
    /// slowed down by others.
    used: SyncSender<Vec<Item>>,
    thread: ScopedJoinHandle<'scope, Result<(), ReadError>>,
}

impl<'scope> RowsAhead<'scope> {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If there is no thread to be had.
    pub(crate) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        source: &'scope mut (impl Iterator<Item = Result<Item, ReadError>> + Send),
    ) -> io::Result<Self> {
        let (filled, ahead) = sync_channel(BATCHES_AHEAD);
        // Besides the batches that wait, one is being taken and one is being filled. With room for all of
        // them, giving one back never blocks.
        let (used, spare) = sync_channel(BATCHES_AHEAD + 2);
        let thread = Builder::new()
            .name("rows ahead".into())
            .spawn_scoped(scope, move || parse(source, &filled, &spare))?;
        Ok(Self { ahead, used, thread })
    }

    /// Hands all rows to `take`. Returns the error that ended the source, or `None` if it was read to its
    /// end. If `take` fails, nothing more is parsed.
    ///
    /// # Errors
    ///
    /// The error of `take`.
    ///
    /// # Panics
    ///
    /// If the source did: the rows so far must not be taken for the whole.
    pub(crate) fn each<E>(
        self,
        mut take: impl FnMut(&Item) -> Result<(), E>,
    ) -> Result<Option<ReadError>, E> {
        for batch in self.ahead {
            batch.iter().try_for_each(&mut take)?;
            // If the thread has ended, it needs no batch.
            let _ = self.used.try_send(batch);
        }
        match self.thread.join() {
            Ok(read) => Ok(read.err()),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn parse(
    source: &mut impl Iterator<Item = Result<Item, ReadError>>,
    filled: &SyncSender<Vec<Item>>,
    spare: &Receiver<Vec<Item>>,
) -> Result<(), ReadError> {
    let mut batch = Vec::with_capacity(BATCH_ROWS);
    let mut bytes = 0;
    let mut read = Ok(());
    for item in source {
        match item {
            Ok(item) => {
                bytes += bytes_of(&item);
                batch.push(item);
            }
            Err(error) => {
                read = Err(error);
                break;
            }
        }
        if batch.len() == BATCH_ROWS || bytes >= BATCH_BYTES {
            if filled.send(batch).is_err() {
                // Nobody takes rows any more.
                return read;
            }
            batch = spare.try_recv().unwrap_or_default();
            batch.clear();
            bytes = 0;
        }
    }
    // The rows before an error are valid. If nobody takes them, nobody asks for the error either.
    let _ = filled.send(batch);
    read
}

fn bytes_of(item: &Item) -> usize {
    match item {
        Item::Row(SourceRow { key, record, .. }) => {
            key.len() + record.name.len() + record.addresses.len() + record.details.len()
        }
        Item::WithoutAddress(row) => row.key.len() + row.name.len(),
        Item::Rejected(row) => row.text.len() + row.reason.len(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use dirsync_connect::AddresslessRow;

    use super::*;

    fn row(line: u64, name: &str) -> Result<Item, ReadError> {
        Ok(Item::WithoutAddress(AddresslessRow { line, key: String::new(), name: name.into() }))
    }

    fn cut_off() -> ReadError {
        ReadError::CutOff { path: "a.csv".into(), line: 1, what: "a quoted value" }
    }

    fn lines_of(
        mut source: impl Iterator<Item = Result<Item, ReadError>> + Send,
    ) -> (Vec<u64>, Option<ReadError>) {
        let mut lines = Vec::new();
        let ended = thread::scope(|scope| {
            RowsAhead::start(scope, &mut source).unwrap().each(|item| {
                let Item::WithoutAddress(row) = item else { panic!("another row") };
                lines.push(row.line);
                Ok::<_, ()>(())
            })
        });
        (lines, ended.unwrap())
    }

    #[test]
    fn the_rows_and_their_order_are_the_same() {
        for count in [0, 1, 255, 256, 257, 512, 2000] {
            let (lines, ended) = lines_of((0..count).map(|line| row(line, "")));
            assert_eq!(lines, Vec::from_iter(0..count));
            assert!(ended.is_none(), "{count}");
        }
    }

    #[test]
    fn an_error_comes_after_the_rows_before_it() {
        for count in [0, 3, 256, 300] {
            let source = (0..count).map(|line| row(line, "")).chain([Err(cut_off())]);
            let (lines, ended) = lines_of(source);
            assert_eq!(lines.len() as u64, count);
            assert!(matches!(ended, Some(ReadError::CutOff { .. })), "{count}");
        }
    }

    #[test]
    fn a_source_is_not_read_far_ahead_of_rows_that_are_refused() {
        let parsed = AtomicUsize::new(0);
        let long = "x".repeat(BATCH_BYTES);
        for (name, most) in [("", BATCH_ROWS), (&*long, 1)] {
            parsed.store(0, Ordering::SeqCst);
            let mut endless = (0..).map(|line| {
                parsed.fetch_add(1, Ordering::SeqCst);
                row(line, name)
            });
            let taken = Cell::new(0);
            let failed = thread::scope(|scope| {
                RowsAhead::start(scope, &mut endless).unwrap().each(|_| {
                    taken.set(taken.get() + 1);
                    if taken.get() == 5 { Err("refused") } else { Ok(()) }
                })
            });
            assert_eq!(failed.unwrap_err(), "refused");
            let ahead = (BATCHES_AHEAD + 2) * most + 5;
            assert!(parsed.load(Ordering::SeqCst) <= ahead, "{name:.1}: at most {ahead}");
        }
    }

    #[test]
    #[should_panic = "the source panics"]
    fn a_panic_never_passes_for_the_end() {
        lines_of((0..300).map(|line| {
            assert!(line < 280, "the source panics");
            row(line, "")
        }));
    }
}
