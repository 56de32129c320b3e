//! The text of heads.
