//! The binary form of an envelope: a version byte, then fields of `tag: u8, length: u32, value`,
//! big-endian.
//!
//! A field that holds nothing is not written; an unknown tag is skipped, so that an older reader
//! understands a newer writer. Text is UTF-8, times are microseconds, ids are 16 bytes.

mod decode;
mod encode;
mod form;
mod tag;

pub use self::decode::DecodeError;
