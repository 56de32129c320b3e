//! Set digests, by which two postoffices find that their lists have the same content.
//!
//! Each element is hashed to 128 bits with keyed BLAKE3, and the hashes are *added* modulo 2^128. A
//! change of an entry then costs one subtraction and one addition, and the digests of disjoint sets
//! add up to that of their union. XOR would do the same, but linear algebra then finds a set with a
//! given digest, which it does not for a sum.
//!
//! An element is made from content, never from sequence numbers or change stamps. Lists that came to the
//! same content by different routes, such as after a restore, must have equal digests.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{AddAssign, SubAssign};
use std::str::FromStr;
use std::sync::LazyLock;

use crate::{EntryId, PostofficeName, RecordRef};

/// The digest of a set, or of one bucket of it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SetDigest {
    /// The number of elements.
    pub count: u64,
    /// The sum of the elements' hashes, modulo 2^128.
    pub sum: u128,
}

impl SetDigest {
    /// The digest of one element.
    pub fn one(element: u128) -> Self {
        Self { count: 1, sum: element }
    }
}

/// The digest of the union of two disjoint sets. The count wraps like the sum, because digests also come
/// from messages: an absurd count must not panic, it only has to differ.
impl AddAssign for SetDigest {
    fn add_assign(&mut self, other: Self) {
        self.count = self.count.wrapping_add(other.count);
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// The digest of a set without one of its subsets; the inverse of the addition.
impl SubAssign for SetDigest {
    fn sub_assign(&mut self, other: Self) {
        self.count = self.count.wrapping_sub(other.count);
        self.sum = self.sum.wrapping_sub(other.sum);
    }
}

/// `COUNT-SUM`, with the sum as 32 hexadecimal digits.
impl fmt::Display for SetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:032x}", self.count, self.sum)
    }
}

impl fmt::Debug for SetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SetDigest {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // A message may bring thousands of buckets, so the one form is checked digit by digit, instead
        // of printing the result and comparing it with the text.
        let (count, sum) = text.split_once('-').ok_or(())?;
        let canonical = count == "0" || count.starts_with(|first: char| matches!(first, '1'..='9'));
        if !canonical || sum.len() != 32 {
            return Err(());
        }
        let half = |digits: &[u8]| {
            digits.iter().try_fold(0u64, |half, digit| {
                let value = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return Err(()),
                };
                Ok(half << 4 | u64::from(value))
            })
        };
        let (high, low) = sum.as_bytes().split_at(16);
        let digest = Self {
            count: count.parse().map_err(|_| ())?,
            sum: u128::from(half(high)?) << 64 | u128::from(half(low)?),
        };
        debug_assert_eq!(digest.to_string(), text, "a digest has one text");
        Ok(digest)
    }
}

/// The number of a bucket: the first bits of an entry's id. Ids are hashes, so buckets fill evenly.
pub type Bucket = u16;

/// The digest of each bucket of a set.
///
/// Two postoffices whose lists differ compare these to find the buckets that differ, and exchange only
/// those. A bucket without elements is left out, or is the default digest if it had some once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketSums(pub BTreeMap<Bucket, SetDigest>);

const _: () = assert!(BucketSums::BITS <= Bucket::BITS, "the number of a bucket fits its type");

impl BucketSums {
    /// The number of bits of an id that number a bucket at the finest level.
    pub const BITS: u32 = 12;

    /// The bucket of an entry, at the finest level.
    pub fn bucket(id: EntryId) -> Bucket {
        (id.prefix() >> (64 - Self::BITS)) as Bucket
    }

    /// Adds an element.
    pub fn add(&mut self, id: EntryId, element: u128) {
        *self.0.entry(Self::bucket(id)).or_default() += SetDigest::one(element);
    }

    /// Removes an element.
    pub fn remove(&mut self, id: EntryId, element: u128) {
        *self.0.entry(Self::bucket(id)).or_default() -= SetDigest::one(element);
    }

    /// The digest of the whole set.
    pub fn total(&self) -> SetDigest {
        let mut total = SetDigest::default();
        for digest in self.0.values() {
            total += *digest;
        }
        total
    }

    /// The same set in 2^`bits` buckets instead of 2^[`Self::BITS`]: neighbouring buckets are added up,
    /// and empty ones left out.
    ///
    /// # Panics
    ///
    /// If `bits` is larger than [`Self::BITS`]. A message with more bits is refused where it is parsed.
    pub fn folded(&self, bits: u32) -> Self {
        assert!(bits <= Self::BITS, "buckets can be folded, not split");
        let mut folded = Self::default();
        for (bucket, digest) in &self.0 {
            if *digest != SetDigest::default() {
                *folded.0.entry(bucket >> (Self::BITS - bits)).or_default() += *digest;
            }
        }
        debug_assert_eq!(folded.total(), self.total(), "folding moves elements, and loses none");
        folded
    }

    /// The number of bits that suits a set of `count` entries: about 256 entries a bucket.
    ///
    /// The sums themselves travel in a message, so a small list gets few buckets; and a bucket that
    /// differs is sent whole, so a large list gets many.
    pub fn bits_for(count: u64) -> u32 {
        let bits = (count / 256).max(1).next_power_of_two().ilog2().min(Self::BITS);
        debug_assert!(bits == Self::BITS || count >> bits <= 2 * 256, "a bucket is cheap to send");
        bits
    }
}

// The two kinds of digest have keys of their own, so that an element of one is never one of the other.
static LIST_KEY: LazyLock<[u8; 32]> =
    LazyLock::new(|| blake3::derive_key("dirsync 1 element of a list digest", &[]));
static OWN_KEY: LazyLock<[u8; 32]> =
    LazyLock::new(|| blake3::derive_key("dirsync 1 element of an own digest", &[]));

/// The element of an entry in the digest of a *list*: its id, owner, and visible content.
pub fn list_element(id: EntryId, owner: &PostofficeName, visible: RecordRef<'_>) -> u128 {
    element(&LIST_KEY, id, owner.folded(), visible)
}

/// The element of an entry in the digest of a postoffice's *own* entries: its id, the postoffice it is
/// released to, and its content.
pub fn own_element(
    id: EntryId,
    released_to: Option<&PostofficeName>,
    content: RecordRef<'_>,
) -> u128 {
    element(&OWN_KEY, id, released_to.map_or("", PostofficeName::folded), content)
}

/// Hashes one entry. Records are escaped, so newline and tab separate the parts without ambiguity.
///
/// An entry of usual size is copied into a buffer on the stack and hashed with one call, because a first
/// fill hashes every entry of the list. Only a larger entry needs the incremental hasher.
fn element(key: &[u8; 32], id: EntryId, party: &str, record: RecordRef<'_>) -> u128 {
    let parts: [&[u8]; 8] = [
        party.as_bytes(),
        b"\n",
        record.kind.as_bytes(),
        b"\t",
        record.name.as_bytes(),
        b"\t",
        record.addresses.as_bytes(),
        b"\n",
    ];
    let mut buffer = [0u8; 1024];
    let length = 16 + parts.iter().map(|part| part.len()).sum::<usize>() + record.details.len();
    let hash = if length <= buffer.len() {
        buffer[..16].copy_from_slice(id.as_bytes());
        let mut at = 16;
        for part in parts.iter().copied().chain([record.details.as_bytes()]) {
            buffer[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        assert_eq!(at, length, "both ways hash the same bytes");
        blake3::keyed_hash(key, &buffer[..at])
    } else {
        let mut hasher = blake3::Hasher::new_keyed(key);
        hasher.update(id.as_bytes());
        for part in parts {
            hasher.update(part);
        }
        hasher.update(record.details.as_bytes());
        hasher.finalize()
    };
    u128::from_be_bytes(std::array::from_fn(|at| hash.as_bytes()[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> RecordRef<'_> {
        RecordRef { kind: "mailbox", name, addresses: "SMTP:a@b", details: "title/x\n" }
    }

    #[test]
    fn sums_add_up_and_fold() {
        let north: PostofficeName = "NORTH/HQ".parse().unwrap();
        let mut sums = BucketSums::default();
        let mut total = SetDigest::default();
        for number in 0..1000 {
            let id = EntryId::derive(&north, &number.to_string());
            let element = list_element(id, &north, record("Ana"));
            sums.add(id, element);
            total += SetDigest::one(element);
        }
        assert_eq!(sums.total(), total);
        assert_eq!(sums.folded(2).total(), total);
        assert!(sums.folded(2).0.len() <= 4);
        assert_eq!(sums.folded(0).0[&0], total);
        assert_eq!(total.to_string().parse(), Ok(total));
    }

    #[test]
    fn every_part_of_an_element_counts_and_long_ones_hash_alike() {
        let north: PostofficeName = "NORTH/HQ".parse().unwrap();
        let south: PostofficeName = "SOUTH/HQ".parse().unwrap();
        let id = EntryId::derive(&north, "1");
        let other = EntryId::derive(&north, "2");
        let base = list_element(id, &north, record("Ana"));
        assert_eq!(base, list_element(id, &"north/hq".parse().unwrap(), record("Ana")));
        assert_ne!(base, list_element(other, &north, record("Ana")));
        assert_ne!(base, list_element(id, &south, record("Ana")));
        assert_ne!(base, list_element(id, &north, record("Anb")));
        assert_ne!(base, own_element(id, Some(&north), record("Ana")));
        let long = "x".repeat(5000);
        assert_ne!(
            list_element(id, &north, record(&long)),
            list_element(id, &north, record(&long[1..]))
        );
    }

    #[test]
    fn a_digest_has_one_text() {
        let sum = "0123456789abcdef".repeat(2);
        let read = |text: &str| text.parse::<SetDigest>();
        let whole = u128::from_str_radix(&sum, 16).unwrap();
        for count in [0, 1, 10, u64::MAX] {
            let digest = SetDigest { count, sum: whole };
            assert_eq!(read(&digest.to_string()), Ok(digest));
        }
        for count in ["", "00", "01", "+1", "-1", " 1", "18446744073709551616"] {
            assert_eq!(read(&format!("{count}-{sum}")), Err(()), "{count}");
        }
        let upper = sum.to_uppercase();
        let cut = &sum[1..];
        let foreign = format!("{}\u{e9}", &sum[2..]);
        for wrong in [&*upper, cut, &format!("{sum}0"), &format!("+{cut}"), &foreign, ""] {
            assert_eq!(read(&format!("1-{wrong}")), Err(()), "{wrong}");
        }
    }

    #[test]
    fn bucket_counts_suit_the_set() {
        assert_eq!(BucketSums::bits_for(0), 0);
        assert_eq!(BucketSums::bits_for(1_000), 2);
        assert_eq!(BucketSums::bits_for(10_000_000), 12);
    }
}
