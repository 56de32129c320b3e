//! Why a sealed file is refused. Each kind of forgery and damage has its own variant.

use std::fmt;
use std::io;

use dirsync_directory::PostofficeName;
use thiserror::Error;

use crate::key::{Fingerprint, KeyError};
use crate::rotation::RotationError;
use crate::signature::SignatureError;

/// A part of a sealed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The lines, with the signature.
    Lines,
    /// The head.
    Head,
    /// The body.
    Body,
    /// The piece of a body that a fragment carries.
    Piece,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lines => "lines",
            Self::Head => "head",
            Self::Body => "body",
            Self::Piece => "piece",
        })
    }
}

/// Why a sealed file is refused, or could not be made. No variant repeats a secret.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The file does not begin like the expected one.
    #[error("it does not begin with \"{0}\"")]
    OtherFile(&'static str),
    /// The file is a message of version 1, which is neither signed nor encrypted.
    #[error("it is not sealed: anybody could have written it. Update the program of its sender")]
    Unsealed,
    /// The file was made by a newer version of the program.
    #[error("it has version {found}, this program understands {known}: update this program")]
    NewerVersion {
        /// The version found.
        found: u32,
        /// The version that is understood.
        known: u32,
    },
    /// The file ends too early. A transfer may still be under way.
    #[error("it is cut off: {have} bytes are there, at least {need} are expected")]
    CutOff {
        /// The size of the file.
        have: u64,
        /// The size that the file must have at least.
        need: u64,
    },
    /// Bytes follow the end that the lines state.
    #[error("it is longer than its lines state")]
    Trailing,
    /// A part is over its limit.
    #[error("its {part} may have at most {limit} bytes")]
    TooLarge {
        /// The part.
        part: Part,
        /// The limit, in bytes.
        limit: u64,
    },
    /// Another line stands where a certain one is expected: an unknown, missing, doubled or misplaced line.
    #[error("the line \"{found}\" stands where \"{expected}\" is expected")]
    UnexpectedLine {
        /// The name of the expected line.
        expected: &'static str,
        /// The beginning of the line found.
        found: String,
    },
    /// The value of a line is wrong.
    #[error("its line \"{line}\" is wrong: {reason}")]
    WrongLine {
        /// The name of the line.
        line: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// There are too many lines of a kind, or too many values in one.
    #[error("its lines \"{line}\" have more than {limit} values")]
    TooMany {
        /// The name of the lines.
        line: &'static str,
        /// The limit.
        limit: usize,
    },
    /// There is no signature.
    #[error("its signature is missing")]
    Unsigned,
    /// The file is for another postoffice.
    #[error("it is addressed to {0}")]
    OtherAddressee(PostofficeName),
    /// The file is sealed to a key that this postoffice does not have, or no longer has.
    #[error("it is sealed to the key {0}, which is not here")]
    OtherAddresseeKey(Fingerprint),
    /// The file is from another postoffice than the one whose keys were given.
    #[error("it is from {0}, whose key was not looked up")]
    OtherSender(PostofficeName),
    /// The file is signed by a key that may not sign for its sender (now).
    #[error("it is signed by the key {key}, which is not (or no longer) the key of {from}")]
    OtherSigner {
        /// The sender.
        from: PostofficeName,
        /// The key that the lines name.
        key: Fingerprint,
    },
    /// The signature is not in the right form, or does not fit the lines.
    #[error("its signature is not accepted: {0}")]
    Signature(#[from] SignatureError),
    /// A change of the sender's key is not accepted.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The proof of an invitation is not accepted.
    #[error("it proves no open invitation for {0}")]
    NotAdmitted(PostofficeName),
    /// A part is not the one that was signed.
    #[error("its {0} was altered on its way: the hash does not match")]
    WrongHash(Part),
    /// A part cannot be decrypted, although the sender signed it.
    #[error("its {0} cannot be decrypted with the key that it names")]
    CannotDecrypt(Part),
    /// The decrypted head does not begin with the key of the body, or is no text.
    #[error("its head has not the form of a sealed head")]
    WrongHead,
    /// The head says something else than the lines.
    #[error("its head and its lines disagree about the {0}")]
    Disagrees(&'static str),
    /// The body is not where it is looked for: inline, or in a file of its own.
    #[error("its body travels {0}")]
    BodyIs(crate::envelope::BodyPlace),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A level of compression is not allowed.
    #[error("compression level {0} is not allowed: the highest is 19")]
    Level(i32),
    /// Encryption failed.
    #[error("the {0} could not be encrypted")]
    CannotEncrypt(Part),
    /// Reading or writing failed.
    #[error("it could not be read or written: {0}")]
    Io(#[from] io::Error),
}
