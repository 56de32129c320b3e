//! Runs work for several items in several threads.

use std::thread;

/// Runs `work` for each item, and returns the results in the order of the items.
///
/// The items are divided among this number of threads. A single thread is the caller's own. A panic is
/// passed on to the caller.
pub fn together<T: Send, R: Send>(
    items: Vec<T>,
    threads: usize,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    if threads <= 1 || items.len() <= 1 {
        return items.into_iter().map(work).collect();
    }
    let share = items.len().div_ceil(threads);
    let run = |items: Vec<T>| -> Vec<R> { items.into_iter().map(&work).collect() };
    let run = &run;
    thread::scope(|scope| {
        let mut running = Vec::with_capacity(threads);
        let mut items = items.into_iter();
        while items.len() > 0 {
            let share = items.by_ref().take(share).collect();
            running.push(scope.spawn(move || run(share)));
        }
        running
            .into_iter()
            .flat_map(|thread| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_the_order_of_the_items() {
        for count in [0_usize, 1, 7, 8, 9, 100] {
            let items: Vec<usize> = (0..count).collect();
            let doubled: Vec<usize> = items.iter().map(|item| item * 2).collect();
            for threads in [0, 1, 8] {
                assert_eq!(together(items.clone(), threads, |item| item * 2), doubled);
            }
        }
    }

    #[test]
    fn a_panic_is_not_lost() {
        let panics = || together(vec![1, 2, 3], 2, |item| assert_ne!(item, 3));
        assert!(std::panic::catch_unwind(panics).is_err());
    }
}
