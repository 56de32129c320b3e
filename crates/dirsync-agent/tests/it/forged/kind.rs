//! The kinds of forgeries.

use dirsync_testing::SERVER;

/// A kind of forgery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A bit of the lines is flipped.
    FlippedLines,
    /// A bit of the signature is flipped.
    FlippedSignature,
    /// A bit of the encrypted head is flipped.
    FlippedHead,
    /// A bit of the encrypted body is flipped.
    FlippedBody,
    /// It is cut off, a while ago.
    Cut,
    /// It is cut off, and may still be written.
    HalfWritten,
    /// Bytes are inserted.
    Inserted,
    /// Bytes are appended.
    Appended,
    /// It is for somebody else, and lies in the wrong folder.
    Misdelivered,
    /// It is for somebody else, and its lines name the victim instead.
    Readdressed,
    /// Genuine lines are signed by another key, which they do not name.
    Resigned,
    /// Genuine lines are signed by another key, which they name.
    ResignedNamed,
    /// The message of another postoffice is said to be from the sender.
    OtherSender,
    /// A postoffice sends the head and the body of another one in its own name.
    OwnName,
    /// The head of another message is in it.
    SplicedHead,
    /// The body of another message is in it.
    SplicedBody,
    /// It is not sealed, as in tests.
    Plain,
    /// Its first line gives another version of the envelope.
    OtherVersion,
    /// A stranger copies the proof of another postoffice's invitation.
    ForeignProof,
    /// A stranger copies the genuine proof of the sender, which covers the sender's key.
    StolenProof,
    /// A stranger joins the genuine proof of the sender to a key of its own.
    ProofForOtherKey,
    /// A stranger makes a proof with a secret that is not that of the invitation.
    GuessedProof,
    /// Another postoffice's change of key is in it, and its new key signs.
    ForeignRotation,
    /// A change from the sender's key to the forger's, which the sender's key has not signed.
    UnprovedRotation,
    /// A change of the sender's key, signed by another postoffice with its own key.
    RotationByOther,
    /// The key that the sender has given up signs, alone or with a change to the forger's key.
    RetiredKey,
    /// It is from a postoffice that nobody knows, sealed and signed as it should be.
    Stranger,
    /// The sender itself signs, and head and lines disagree.
    Disagreeing,
    /// The sender itself signs, and the head cannot be decrypted.
    Unreadable,
    /// A message that was taken before comes once more.
    Replayed,
}

impl Kind {
    pub const ALL: [Self; 30] = [
        Self::FlippedLines,
        Self::FlippedSignature,
        Self::FlippedHead,
        Self::FlippedBody,
        Self::Cut,
        Self::HalfWritten,
        Self::Inserted,
        Self::Appended,
        Self::Misdelivered,
        Self::Readdressed,
        Self::Resigned,
        Self::ResignedNamed,
        Self::OtherSender,
        Self::OwnName,
        Self::SplicedHead,
        Self::SplicedBody,
        Self::Plain,
        Self::OtherVersion,
        Self::ForeignProof,
        Self::StolenProof,
        Self::ProofForOtherKey,
        Self::GuessedProof,
        Self::ForeignRotation,
        Self::UnprovedRotation,
        Self::RotationByOther,
        Self::RetiredKey,
        Self::Stranger,
        Self::Disagreeing,
        Self::Unreadable,
        Self::Replayed,
    ];

    /// The number of decryptions that one costs `victim` at most. Only a peer that signs with its own key, or a
    /// message that it has signed, comes as far as that.
    pub fn decryptions_max(self, victim: &str) -> u64 {
        match self {
            Self::OwnName if victim == SERVER => 2,
            Self::Disagreeing | Self::Replayed => 2,
            // The library counts before it tries.
            Self::Unreadable => 1,
            _ => 0,
        }
    }

    /// Whether no signature of it is verified, because its sender is not known.
    pub fn is_of_stranger(self) -> bool {
        self == Self::Stranger
    }
}
