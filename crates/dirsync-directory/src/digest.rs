//! Set digests: the proof that two lists hold the same content.
//!
//! Each element is hashed with keyed BLAKE3 to 128 bits and the hashes are *added* modulo 2^128: a
//! change costs one subtraction and one addition, digests of disjoint sets add up, and unlike XOR
//! a sum cannot be forged by linear algebra. Elements are content, never numbers or stamps
//! (`protocol.md` §1; trace T-CONTENT).

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{AddAssign, SubAssign};
use std::str::FromStr;
use std::sync::LazyLock;

use crate::{EntryId, PostofficeName, RecordRef};

/// Counts and sums of a set, or of one bucket of it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SetDigest {
    /// How many elements the set has.
    pub count: u64,
    /// The sum of their hashes, modulo 2^128.
    pub sum: u128,
}

impl SetDigest {
    /// The digest of one element.
    pub fn one(element: u128) -> Self {
        Self { count: 1, sum: element }
    }
}

impl AddAssign for SetDigest {
    fn add_assign(&mut self, other: Self) {
        self.count = self.count.wrapping_add(other.count);
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

impl SubAssign for SetDigest {
    fn sub_assign(&mut self, other: Self) {
        self.count = self.count.wrapping_sub(other.count);
        self.sum = self.sum.wrapping_sub(other.sum);
    }
}

/// `COUNT-SUM`, the sum as 32 hexadecimal digits.
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
        // Thousands of buckets are read at a time: no detour over a formatted text.
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
        Ok(Self {
            count: count.parse().map_err(|_| ())?,
            sum: u128::from(half(high)?) << 64 | u128::from(half(low)?),
        })
    }
}

/// The number of a bucket: an entry id's top 12 bits. Ids are hashes, so buckets fill evenly.
pub type Bucket = u16;

/// The digests of a set's buckets; buckets without an element are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketSums(pub BTreeMap<Bucket, SetDigest>);

impl BucketSums {
    /// How many bits of the id number a bucket at the finest level.
    pub const BITS: u32 = 12;

    /// The bucket of an entry.
    pub fn bucket(id: EntryId) -> Bucket {
        (id.prefix() >> (64 - Self::BITS)) as Bucket
    }

    /// Adds an element.
    pub fn add(&mut self, id: EntryId, element: u128) {
        *self.0.entry(Self::bucket(id)).or_default() += SetDigest::one(element);
    }

    /// Takes an element away.
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

    /// The buckets with `bits` instead of [`Self::BITS`] bits: neighbours folded together.
    pub fn folded(&self, bits: u32) -> Self {
        assert!(bits <= Self::BITS, "buckets can be folded, not split");
        let mut folded = Self::default();
        for (bucket, digest) in &self.0 {
            if *digest != SetDigest::default() {
                *folded.0.entry(bucket >> (Self::BITS - bits)).or_default() += *digest;
            }
        }
        folded
    }

    /// How many bits suit a set of `count` entries: about 256 entries a bucket.
    pub fn bits_for(count: u64) -> u32 {
        (count / 256).max(1).next_power_of_two().ilog2().min(Self::BITS)
    }
}

static LIST_KEY: LazyLock<[u8; 32]> =
    LazyLock::new(|| blake3::derive_key("dirsync 1 element of a list digest", &[]));
static OWN_KEY: LazyLock<[u8; 32]> =
    LazyLock::new(|| blake3::derive_key("dirsync 1 element of an own digest", &[]));

/// The element of an entry in a *list* digest: id, owner and visible content.
pub fn list_element(id: EntryId, owner: &PostofficeName, visible: RecordRef<'_>) -> u128 {
    element(&LIST_KEY, id, owner.folded(), visible)
}

/// The element of an entry in an *own* digest: id, whom it is released to, and content.
pub fn own_element(
    id: EntryId,
    released_to: Option<&PostofficeName>,
    content: RecordRef<'_>,
) -> u128 {
    element(&OWN_KEY, id, released_to.map_or("", PostofficeName::folded), content)
}

/// Records are escaped, so newline and tab separate their parts without ambiguity. Entries of
/// usual size are hashed from one buffer on the stack: one call, no allocation.
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
    u128::from_be_bytes(hash.as_bytes()[..16].try_into().expect("sixteen bytes"))
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
