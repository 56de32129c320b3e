//! The vocabulary of a directory: names of postoffices, entries with their keys, ids and addresses,
//! views and filters, and the digests by which two postoffices find that their lists are equal.
//!
//! This crate never does I/O, reads no clock and draws no random numbers. It does not know the protocol
//! either: sequence numbers and messages are in `dirsync-message`, decisions in `dirsync-protocol`.
//!
//! Begin with [`Record`], the one textual form of an entry's content. Stores keep it, messages carry
//! it and digests hash it, all byte for byte. [`Entry`] is the same content as values, for the code
//! that reads or edits it.
//!
//! ```
//! use dirsync_directory::{Entry, EntryId, PostofficeName, Record, SetDigest, list_element};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ana = Entry {
//!     name: "Ana Souza".into(),
//!     addresses: vec!["smtp:ana@north.example".parse()?],
//!     ..Entry::default()
//! };
//! let record = Record::from(&ana);
//! assert_eq!(record.addresses, "SMTP:ana@north.example");
//! assert_eq!(record.as_ref().to_entry()?, ana);
//!
//! // Owner and key give the entry its id, and id, owner and record an element of the list's digest.
//! let north: PostofficeName = "NORTH/HQ".parse()?;
//! let id = EntryId::derive(&north, "4711");
//! let digest = SetDigest::one(list_element(id, &north, record.as_ref()));
//! assert_eq!(digest.count, 1);
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs)]

mod address;
mod attribute;
mod digest;
mod entry;
mod filter;
mod fold;
mod id;
mod postoffice;
mod record;
mod shown;
mod view;

pub use address::{Address, AddressError, SmtpError, check_smtp};
pub use attribute::{AttributeName, AttributeNameError};
pub use digest::{Bucket, BucketSums, SetDigest, list_element, own_element};
pub use entry::{Entry, EntryKind, UnknownKind};
pub use filter::{FILTER_TERMS_MAX, Filter, FilterError, RowFilter, ValueTest};
pub use fold::{fold, fold_into};
pub use id::{EntryId, IdDeriver, Key, KeyError, ParseIdError, composed};
pub use postoffice::{PostofficeName, PostofficeNameError};
pub use record::{
    ADDRESSES_MAX, DETAILS_BYTES_MAX, NAME_BYTES_MAX, Record, RecordError, RecordRef,
    VALUE_BYTES_MAX, escape, unescape,
};
pub use shown::{excerpt, is_hidden, plural, shown};
pub use view::{Condition, VIEW_BYTES_MAX, VIEW_VALUES_MAX, View, ViewError, ViewHash};
