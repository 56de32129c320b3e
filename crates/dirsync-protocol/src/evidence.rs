//! Evidence: tags by which a server recognises its own epochs and points.
//!
//! A server puts a tag of its epoch and of the list's point into each update, and the requestor repeats them
//! when it states that epoch or point. Only a right tag shows that a claim is true, so that nobody can fence
//! a server (S4, S5a) or make it begin a new epoch (S5, S14) by a number that he made up.
//!
//! A tag is the beginning of a keyed BLAKE3 hash of `dirsync 1 server epoch` or `dirsync 1 sync point`, LF,
//! and the text of the epoch or point. It is not bound to a requestor. It proves that a server with the
//! secret issued that epoch or point, and the rows conclude nothing else from it: the claim is as true when
//! another requestor repeats it. So all requestors that share a body also share its tag.

use std::fmt;

use dirsync_message::{Evidence, ServerEpoch, SyncPoint};

use crate::simulation::Rule;

/// The text that is hashed before an epoch. The other one keeps a tag of an epoch from being one of a point.
const EPOCH: &str = "dirsync 1 server epoch";
/// The text that is hashed before a point.
const POINT: &str = "dirsync 1 sync point";

/// The secret under which a server makes evidence. The server and its copies share it; a restore of the
/// database does not change it, so that the tags of lost epochs and points stay right.
#[derive(Clone, PartialEq, Eq)]
pub struct EvidenceKey(Option<[u8; 32]>);

impl EvidenceKey {
    /// The length of the secret, in bytes.
    pub const BYTES: usize = 32;
    /// No secret, under which no tag is right: for a postoffice that is no server, and for decisions that
    /// take no request and make no answer.
    pub const NONE: Self = Self(None);

    /// A key with a secret, which has to be random.
    pub const fn new(secret: [u8; Self::BYTES]) -> Self {
        Self(Some(secret))
    }

    /// The tag of a server epoch.
    pub fn of_epoch(&self, epoch: &ServerEpoch) -> Evidence {
        self.tag(EPOCH, epoch)
    }

    /// The tag of a point.
    pub fn of_point(&self, point: &SyncPoint) -> Evidence {
        self.tag(POINT, point)
    }

    /// Whether a server with this secret issued an epoch, by the tag that came with the claim.
    pub fn proves_epoch(&self, epoch: &ServerEpoch, tag: Option<Evidence>) -> bool {
        self.is_right(self.of_epoch(epoch), tag)
    }

    /// Whether a server with this secret issued a point, by the tag that came with the claim.
    pub fn proves_point(&self, point: &SyncPoint, tag: Option<Evidence>) -> bool {
        self.is_right(self.of_point(point), tag)
    }

    fn tag(&self, kind: &str, of: &dyn fmt::Display) -> Evidence {
        let mut tag = [0; 16];
        if let Some(secret) = &self.0 {
            let text = format!("{kind}\n{of}");
            blake3::Hasher::new_keyed(secret).update(text.as_bytes()).finalize_xof().fill(&mut tag);
        }
        Evidence(tag)
    }

    /// Compares in a time that does not tell how much of a tag is right.
    fn is_right(&self, right: Evidence, tag: Option<Evidence>) -> bool {
        if !Rule::Evidence.holds() {
            return true;
        }
        let differs = |tag: Evidence| {
            right.0.iter().zip(tag.0).fold(0, |differs, (right, byte)| differs | (right ^ byte))
        };
        self.0.is_some() && tag.is_some_and(|tag| differs(tag) == 0)
    }
}

/// Without the secret.
impl fmt::Debug for EvidenceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "EvidenceKey(..)" } else { "EvidenceKey::NONE" })
    }
}

#[cfg(test)]
mod tests {
    use dirsync_directory::ViewHash;
    use dirsync_message::{Instance, Mark, SrvSeq};

    use super::*;

    const EPOCH: ServerEpoch = ServerEpoch { generation: 2, instance: Instance(0xaa), random: 1 };

    fn point() -> SyncPoint {
        SyncPoint {
            epoch: EPOCH,
            srv_seq: SrvSeq(7),
            mark: Mark(5),
            view: ViewHash::from_bytes([3; 16]),
            complete: true,
        }
    }

    #[test]
    fn a_tag_proves_its_own_epoch_or_point_only() {
        let key = EvidenceKey::new([1; 32]);
        let (of_epoch, of_point) = (Some(key.of_epoch(&EPOCH)), Some(key.of_point(&point())));
        assert!(key.proves_epoch(&EPOCH, of_epoch) && key.proves_point(&point(), of_point));
        assert!(!key.proves_epoch(&EPOCH, of_point) && !key.proves_point(&point(), of_epoch));
        assert!(!key.proves_epoch(&EPOCH, None) && !key.proves_point(&point(), None));
        let others = [
            ServerEpoch { generation: 3, ..EPOCH },
            ServerEpoch { instance: Instance(0xab), ..EPOCH },
            ServerEpoch { random: 2, ..EPOCH },
        ];
        for epoch in others {
            assert!(!key.proves_epoch(&epoch, of_epoch));
            assert!(!key.proves_point(&SyncPoint { epoch, ..point() }, of_point));
        }
        let others = [
            SyncPoint { srv_seq: SrvSeq(8), ..point() },
            SyncPoint { mark: Mark(6), ..point() },
            SyncPoint { view: ViewHash::from_bytes([4; 16]), ..point() },
            SyncPoint { complete: false, ..point() },
        ];
        for other in others {
            assert!(!key.proves_point(&other, of_point), "{other}");
        }
    }

    #[test]
    fn each_byte_of_a_tag_counts() {
        let key = EvidenceKey::new([1; 32]);
        for byte in 0..16 {
            let mut tag = key.of_epoch(&EPOCH);
            tag.0[byte] ^= 0x80;
            assert!(!key.proves_epoch(&EPOCH, Some(tag)), "{byte}");
        }
    }

    #[test]
    fn nothing_is_proved_under_another_secret_or_without_one() {
        let key = EvidenceKey::new([1; 32]);
        let other = EvidenceKey::new([2; 32]);
        assert!(!other.proves_epoch(&EPOCH, Some(key.of_epoch(&EPOCH))));
        let none = EvidenceKey::NONE;
        assert!(!none.proves_epoch(&EPOCH, Some(none.of_epoch(&EPOCH))));
        assert!(!none.proves_point(&point(), Some(none.of_point(&point()))));
    }

    /// The tags of a server that is updated stay right, so their text never changes.
    #[test]
    fn a_tag_is_a_keyed_hash_of_the_text_that_the_page_names() {
        let hash =
            |text: &str| blake3::keyed_hash(&[1; 32], text.as_bytes()).as_bytes()[..16].to_vec();
        let key = EvidenceKey::new([1; 32]);
        let epoch = "2.00000000000000aa.0000000000000001";
        assert_eq!(key.of_epoch(&EPOCH).0[..], hash(&format!("dirsync 1 server epoch\n{epoch}")));
        let view = "03".repeat(16);
        let text = format!("dirsync 1 sync point\n{epoch}/7/0000000000000005/{view}/complete");
        assert_eq!(key.of_point(&point()).0[..], hash(&text));
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", EvidenceKey::new([7; 32])), "EvidenceKey(..)");
    }
}
