//! How the values of operations appear in JSON: domain values as text, times in RFC 3339.
//!
//! A field names its function, and the type that its documentation shows:
//!
//! ```
//! use dirsync_directory::PostofficeName;
//! use dirsync_agent::json;
//! use schemars::JsonSchema;
//! use serde::Serialize;
//!
//! /// A postoffice that was heard.
//! #[derive(Serialize, JsonSchema)]
//! struct Heard {
//!     /// Its name.
//!     #[serde(serialize_with = "json::text")]
//!     #[schemars(with = "String")]
//!     name: PostofficeName,
//!     /// When; null for never.
//!     #[serde(serialize_with = "json::time")]
//!     #[schemars(with = "Option<json::Time>")]
//!     at: u64,
//! }
//!
//! let heard = Heard { name: "NORTH/HQ".parse().unwrap(), at: 1_764_355_479_000 };
//! let text = serde_json::to_string(&heard).unwrap();
//! assert_eq!(text, r#"{"name":"NORTH/HQ","at":"2025-11-28T18:44:39Z"}"#);
//! ```

use std::borrow::Cow;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serializer;

/// A time in RFC 3339, in UTC, to the second.
pub struct Time;

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// A value as the text that it is displayed as.
pub fn text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Values as the texts that they are displayed as.
pub fn texts<'a, T, L, S>(values: &'a L, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Display + 'a,
    &'a L: IntoIterator<Item = &'a T>,
    S: Serializer,
{
    serializer.collect_seq(values.into_iter().map(ToString::to_string))
}

/// A value as the text that it is displayed as, or null.
pub fn text_or_null<T: Display, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// Milliseconds since 1970 as a [`Time`], or null for 0, which stands for never.
pub fn time<S: Serializer>(ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    match *ms {
        0 => serializer.serialize_none(),
        ms => serializer.serialize_str(&rfc3339(ms)),
    }
}

/// Milliseconds since 1970 as [`Time`]s.
pub fn times<S: Serializer>(times: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(times.iter().map(|ms| rfc3339(*ms)))
}

/// A path, in which bytes that are not UTF-8 are replaced.
pub fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// Paths, in which bytes that are not UTF-8 are replaced.
pub fn paths<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.display().to_string()))
}

/// RFC 3339, in UTC, to the second.
pub fn rfc3339(ms: u64) -> String {
    Timestamp::from_second((ms / 1000) as i64).map_or_else(|_| "?".into(), |at| at.to_string())
}
