//! Texts in frames, as long as they may be.

use bytes::{BufMut, BytesMut};

/// As much of a text as fits into this many bytes.
pub(super) fn clip(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// A text after its length.
pub(super) fn put_text(out: &mut BytesMut, text: &str) {
    let text = clip(text, usize::from(u16::MAX));
    out.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.put_slice(text.as_bytes());
}
