//! The text of buckets in a field: `BITS:BUCKET=DIGEST,…` with digests, `BITS:BUCKET,…` without.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_directory::{Bucket, BucketSums};

/// The form of buckets with digests, for errors.
pub(super) const SUMS_FORM: &str = "BITS:BUCKET=DIGEST,… with buckets below 2^BITS, sorted";
/// The form of buckets without digests, for errors.
pub(super) const SET_FORM: &str = "BITS:BUCKET,… with buckets below 2^BITS, sorted";

pub(super) fn print_sums(bits: u32, sums: &BucketSums) -> String {
    print(bits, &sums.0, |(bucket, digest)| format!("{bucket}={digest}"))
}

pub(super) fn parse_sums(text: &str) -> Option<(u32, BucketSums)> {
    let mut sums = BTreeMap::new();
    let bits = parse(text, |item| {
        let (bucket, digest) = item.split_once('=')?;
        let bucket = bucket.parse().ok()?;
        sums.insert(bucket, digest.parse().ok()?).is_none().then_some(bucket)
    })?;
    Some((bits, BucketSums(sums)))
}

pub(super) fn print_set(bits: u32, buckets: &BTreeSet<Bucket>) -> String {
    print(bits, buckets, Bucket::to_string)
}

pub(super) fn parse_set(text: &str) -> Option<(u32, BTreeSet<Bucket>)> {
    let mut buckets = BTreeSet::new();
    let bits = parse(text, |item| {
        let bucket = item.parse().ok()?;
        buckets.insert(bucket).then_some(bucket)
    })?;
    Some((bits, buckets))
}

fn print<T>(bits: u32, items: impl IntoIterator<Item = T>, item: impl Fn(T) -> String) -> String {
    debug_assert!(bits <= BucketSums::BITS, "{bits}");
    let mut text = format!("{bits}:");
    for (place, value) in items.into_iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&item(value));
    }
    text
}

/// Passes each item to `item`, which returns its bucket or refuses it. Returns the number of bits.
fn parse(text: &str, mut item: impl FnMut(&str) -> Option<Bucket>) -> Option<u32> {
    let (bits, items) = text.split_once(':')?;
    let bits = bits.parse().ok().filter(|bits| *bits <= BucketSums::BITS)?;
    for text in items.split(',').filter(|_| !items.is_empty()) {
        if u32::from(item(text)?) >= 1u32 << bits {
            return None;
        }
    }
    Some(bits)
}
