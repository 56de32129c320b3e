//! Bodies for tests.

use dirsync_seal::{BodyKey, BodySealer, Content};

use crate::queue::FrozenBody;

fn key() -> BodyKey {
    BodySealer::new(Vec::new(), 1).unwrap().finish().unwrap().0.key
}

/// A body that was made for a message. Nobody here opens it, so it need not be sealed.
pub(crate) fn frozen(bytes: &[u8]) -> FrozenBody {
    let content = Content::of(bytes);
    FrozenBody { content, key: key(), made_for: "head".into(), made_at: 0 }
}
