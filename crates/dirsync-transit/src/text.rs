//! The forms in which the state of bodies is kept.

/// A [`Content`](dirsync_seal::Content) as `BYTES SHA256`.
pub(crate) mod content {
    use dirsync_seal::Content;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        content: &Content,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{} {}", content.bytes, content.hash))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Content, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (bytes, hash) = text.split_once(' ').unwrap_or_default();
        match (bytes.parse(), hash.parse()) {
            (Ok(bytes), Ok(hash)) => Ok(Content { bytes, hash }),
            _ => Err(D::Error::custom("BYTES SHA256 is meant")),
        }
    }
}

/// A [`BodyKey`](dirsync_seal::BodyKey) as `AGE-SECRET-KEY-1…`.
pub(crate) mod key {
    use dirsync_seal::BodyKey;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        key: &BodyKey,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&key.to_secret_text())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BodyKey, D::Error> {
        let text = String::deserialize(deserializer)?;
        BodyKey::from_secret_text(&text).ok_or_else(|| D::Error::custom("a secret key is meant"))
    }
}
