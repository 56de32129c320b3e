//! What a directory is made of: postoffice names, addresses, entries and their keys, comparison
//! keys, and the digests that prove two lists equal.
//!
//! *Never:* numbers of the protocol (they live in `dirsync-message`), I/O, clocks, randomness.
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

pub use address::{Address, AddressError};
pub use attribute::{AttributeName, AttributeNameError};
pub use digest::{Bucket, BucketSums, SetDigest, list_element, own_element};
pub use entry::{Entry, EntryKind, UnknownKind};
pub use filter::{FILTER_TERMS_MAX, Filter, FilterError};
pub use fold::fold;
pub use id::{EntryId, IdDeriver, Key, KeyError, ParseIdError, composed};
pub use postoffice::{PostofficeName, PostofficeNameError};
pub use record::{
    ADDRESSES_MAX, DETAILS_BYTES_MAX, NAME_BYTES_MAX, Record, RecordError, RecordRef,
    VALUE_BYTES_MAX, escape, unescape,
};
pub use shown::{excerpt, is_hidden, shown};
pub use view::{VIEW_BYTES_MAX, VIEW_VALUES_MAX, View, ViewError, ViewHash};
