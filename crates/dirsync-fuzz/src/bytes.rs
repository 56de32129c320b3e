//! Choices that are made by the bytes of an input.

/// Reads choices from the beginning of an input. At its end every choice is 0.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// A number below `count`, which is not 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let wide = usize::from(self.byte()) << 8 | usize::from(self.byte());
        wide % count.max(1)
    }

    /// One of `values`, or `None` if there are none.
    pub(crate) fn of<'v, T>(&mut self, values: &'v [T]) -> Option<&'v T> {
        let at = usize::from(self.byte());
        values.get(at % values.len().max(1))
    }

    /// Up to 255 bytes. The first byte is their number.
    pub(crate) fn short(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (part, rest) = self.0.split_at(length);
        self.0 = rest;
        part
    }

    /// All bytes that are left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// The first `N` parts of an input between zero bytes, as text. The last one includes everything that is
/// left.
pub(crate) fn parts<const N: usize>(data: &[u8]) -> Option<[&str; N]> {
    let text = std::str::from_utf8(data).ok()?;
    let mut parts = text.splitn(N, '\0');
    Some(std::array::from_fn(|_| parts.next().unwrap_or_default()))
}
