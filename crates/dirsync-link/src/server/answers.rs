//! Answers that go out in slices. Each keeps its room in memory, and its requestor's turn, until it is out.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::body::Bytes;
use hyper::body::{Frame, SizeHint};

/// The size of a slice, in bytes: a connection has few of them in hand, and the answer knows when the last one left.
const SLICE_BYTES: usize = 16 * 1024;

/// Bytes that go out slice by slice.
struct Slices(Bytes);

impl hyper::body::Body for Slices {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.0.len().min(SLICE_BYTES);
        let slice = self.0.split_to(bytes);
        Poll::Ready((bytes > 0).then_some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// An answer, and what it holds until it is out.
struct Holding<T> {
    body: Body,
    _held: T,
}

impl<T: Unpin> hyper::body::Body for Holding<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer with these bytes.
pub(super) fn slices(bytes: Vec<u8>) -> Body {
    Body::new(Slices(bytes.into()))
}

/// An answer that holds something until it is out, or its connection ends.
pub(super) fn holding<T: Unpin + Send + 'static>(body: Body, held: T) -> Body {
    Body::new(Holding { body, _held: held })
}
