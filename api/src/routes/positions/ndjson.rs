//! Lines, as their bytes come in.

use crate::limits::LINE_MAX_BYTES;

/// A body as far as it has come: at most one line of it is held beside the piece that came last.
#[derive(Debug, Default)]
pub(super) struct Lines {
    held: Vec<u8>,
    /// Where the next line begins.
    at: usize,
    /// Whether the line that is coming is too long already, and what comes of it is dropped.
    is_too_long: bool,
}

/// A line that is not empty.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Without its end.
    Whole(&'a [u8]),
    /// It has more bytes than [`LINE_MAX_BYTES`].
    TooLong,
}

impl Lines {
    /// Takes the next bytes. Call [`Lines::next`] until there is nothing more before more of them.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.held.drain(..self.at);
        self.at = 0;
        self.held.extend_from_slice(bytes);
    }

    /// The next line that has come whole.
    pub(super) fn next(&mut self) -> Option<Line<'_>> {
        loop {
            let rest = &self.held[self.at..];
            let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
                if self.is_too_long || rest.len() > LINE_MAX_BYTES {
                    self.is_too_long = true;
                    self.at = self.held.len();
                }
                return None;
            };
            let line = line(&rest[..length], std::mem::take(&mut self.is_too_long));
            self.at += length + 1;
            if line.is_some() {
                return line;
            }
        }
    }

    /// The last line, which may come without an end.
    pub(super) fn last(&self) -> Option<Line<'_>> {
        line(&self.held[self.at..], self.is_too_long)
    }
}

fn line(bytes: &[u8], is_too_long: bool) -> Option<Line<'_>> {
    let bytes = bytes.trim_ascii();
    match (is_too_long || bytes.len() > LINE_MAX_BYTES, bytes.is_empty()) {
        (true, _) => Some(Line::TooLong),
        (false, true) => None,
        (false, false) => Some(Line::Whole(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines of a body that comes in these pieces; None for one that is too long.
    fn lines<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Option<Vec<u8>>> {
        let owned = |line: Line<'_>| match line {
            Line::Whole(bytes) => Some(bytes.to_vec()),
            Line::TooLong => None,
        };
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.push(piece);
            while let Some(line) = lines.next() {
                found.push(owned(line));
            }
            assert!(lines.held.len() - lines.at <= LINE_MAX_BYTES, "no more than a line is held");
        }
        found.extend(lines.last().map(owned));
        found
    }

    #[test]
    fn a_line_that_is_too_long_is_one_line_and_the_next_is_read() {
        let long = vec![b'x'; 3 * LINE_MAX_BYTES];
        let body = [&long[..], b"\n{}\r\n\n \nlast"].concat();
        let expected = [None, Some(b"{}".to_vec()), Some(b"last".to_vec())];
        assert_eq!(lines([body.as_slice()]), expected);
        assert_eq!(lines(body.chunks(100)), expected);
        assert_eq!(lines([long.as_slice()]), [None]);
        assert_eq!(lines([&long[..LINE_MAX_BYTES]]), [Some(long[..LINE_MAX_BYTES].to_vec())]);
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_the_body_is_cut(body in "[ab{}\n\r ]{0,200}", size in 1_usize..50) {
            let whole = body.split('\n').map(str::trim_ascii).filter(|line| !line.is_empty());
            let whole: Vec<_> = whole.map(|line| Some(line.as_bytes().to_vec())).collect();
            prop_assert_eq!(lines(body.as_bytes().chunks(size)), whole);
        }
    }
}
