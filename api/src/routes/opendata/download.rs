//! A file that is downloaded: whole or in part, compressed or not, or not again.

use std::ops::Range;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::publication::Packed;

/// How long a copy may be used without asking again.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// Bytes of one kind, as they are and compressed.
#[derive(Clone, Debug)]
pub(super) struct Download {
    media_type: &'static str,
    plain: Bytes,
    gzip: Bytes,
    sha256: String,
}

impl Download {
    /// Compresses and hashes: not for an asynchronous thread.
    pub(super) fn new(media_type: &'static str, plain: Vec<u8>) -> std::io::Result<Self> {
        let Packed { plain, gzip, sha256 } = Packed::new(plain)?;
        Ok(Self { media_type, plain: plain.into(), gzip: gzip.into(), sha256 })
    }

    /// One that was compressed and hashed before.
    pub(super) fn of(media_type: &'static str, (plain, gzip): (Vec<u8>, Vec<u8>), sha256: String) -> Self {
        Self { media_type, plain: plain.into(), gzip: gzip.into(), sha256 }
    }

    /// What a GET or HEAD with these headers is answered. A part is one of the bytes as they are.
    pub(super) fn answer(&self, asked: &HeaderMap) -> Response {
        let file = Wanted { media_type: self.media_type, sha256: &self.sha256, asked };
        if let Some(same) = file.same() {
            return same;
        }
        let part = file.part(self.plain.len());
        let bytes = match &part {
            Part::Whole if file.is_gzip() => self.gzip.clone(),
            Part::Whole => self.plain.clone(),
            Part::Some(part) => self.plain.slice(part.clone()),
            Part::None => Bytes::new(),
        };
        file.answer(part, bytes, self.plain.len())
    }
}

/// A file as it is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// What it is.
    pub media_type: &'static str,
    /// The SHA-256 of it as it is, in hexadecimal digits.
    pub sha256: &'a str,
    /// The headers of the GET or HEAD.
    pub asked: &'a HeaderMap,
}

impl Wanted<'_> {
    /// Whether it is to be compressed: not where a part is asked for, which is one of the bytes as they are.
    pub(super) fn is_gzip(self) -> bool {
        range(self.asked).is_none() && takes_gzip(self.asked)
    }

    /// Two encodings of the same are two things to whoever keeps copies.
    fn tag(self) -> String {
        format!("\"{}{}\"", &self.sha256[..32], if self.is_gzip() { "-gzip" } else { "" })
    }

    /// The answer that it is still what the client has, if it is.
    pub(super) fn same(self) -> Option<Response> {
        let is_same = matches(self.asked, &header::IF_NONE_MATCH, &self.tag());
        is_same.then(|| self.with_headers(StatusCode::NOT_MODIFIED.into_response()))
    }

    /// What is asked for of a file of so many bytes.
    pub(super) fn part(self, length: usize) -> Part {
        let is_same =
            !self.asked.contains_key(header::IF_RANGE) || matches(self.asked, &header::IF_RANGE, &self.tag());
        range(self.asked).filter(|_| is_same).map_or(Part::Whole, |range| Part::of(range, length))
    }

    /// The answer with the bytes of what is asked for of a file of this length: all of it is compressed if it is to be.
    pub(super) fn answer(self, part: Part, bytes: Bytes, length: usize) -> Response {
        self.with_headers(match part {
            Part::Whole => bytes.into_response(),
            Part::Some(part) => {
                let told = format!("bytes {}-{}/{length}", part.start, part.end - 1);
                (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, told)], bytes).into_response()
            }
            Part::None => {
                let told = format!("bytes */{length}");
                (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, told)]).into_response()
            }
        })
    }

    fn with_headers(self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding, range"));
        if self.is_gzip() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Ok(tag) = HeaderValue::try_from(self.tag()) {
            headers.insert(header::ETAG, tag);
        }
        response
    }
}

fn range(asked: &HeaderMap) -> Option<&str> {
    asked.get(header::RANGE).and_then(|range| range.to_str().ok())
}

/// What a range is of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it: the range is none that is understood, or several.
    Whole,
    /// These bytes.
    Some(Range<usize>),
    /// Nothing: it begins beyond the end.
    None,
}

impl Part {
    fn of(range: &str, length: usize) -> Self {
        let ends = range.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-'));
        let number = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().unwrap_or(usize::MAX))
        };
        let part = match ends {
            Some(("", last)) if !last.is_empty() => {
                number(last).map(|last| length.saturating_sub(last)..length)
            }
            Some((first, "")) if !first.is_empty() => number(first).map(|first| first..length),
            Some((first, last)) if !first.is_empty() => number(first)
                .zip(number(last))
                .filter(|(first, last)| first <= last)
                .map(|(first, last)| first..last.saturating_add(1).min(length)),
            _ => None,
        };
        match part {
            None => Self::Whole,
            Some(part) if part.is_empty() => Self::None,
            Some(part) => Self::Some(part),
        }
    }
}

/// Whether a list of tags names this one.
fn matches(asked: &HeaderMap, name: &HeaderName, tag: &str) -> bool {
    let values = asked.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag)
}

/// Whether the client says that it takes gzip.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let values = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut codings = values.flat_map(|value| value.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().trim_start_matches("q=").parse::<f32>().unwrap_or(0.0);
        name.trim().eq_ignore_ascii_case("gzip") && weight > 0.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_some_bytes_all_or_none() {
        for (range, expected) in [
            ("bytes=0-3", Part::Some(0..4)),
            ("bytes=4-", Part::Some(4..10)),
            ("bytes=-3", Part::Some(7..10)),
            ("bytes=-30", Part::Some(0..10)),
            ("bytes=8-99999999999999999999", Part::Some(8..10)),
            ("bytes=10-", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=3-1", Part::Whole),
            ("bytes=0-1,4-5", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("lines=0-3", Part::Whole),
        ] {
            assert_eq!(Part::of(range, 10), expected, "{range}");
        }
        assert_eq!(Part::of("bytes=0-", 0), Part::None);
    }

    #[test]
    fn gzip_is_for_who_takes_it() {
        let takes = |value: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        assert!(takes("gzip") && takes("br, GZIP;q=0.5") && takes("deflate , gzip; q=1"));
        assert!(!takes("br") && !takes("gzip;q=0") && !takes(""));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
