//! Why a command did not succeed, and its exit code.

use std::fmt;
use std::path::Path;

/// Why a command did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// It was called wrongly, or asks for what is not there: exit code 2.
    Usage(String),
    /// It ran and the answer is no: exit code 1.
    Failed(String),
}

impl Failure {
    pub fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// A file operation that went wrong: what was attempted, where, and what the system said.
    pub fn file(attempt: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::Failed(format!("could not {attempt} {}: {error}", path.display()))
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(text) | Self::Failed(text)) = self;
        f.write_str(text)
    }
}
