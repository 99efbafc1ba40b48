//! What maps are drawn over.

use std::str::FromStr;

use reqwest::Url;

/// Raster tiles of somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiles {
    /// Where one is: `{z}`, `{x}` and `{y}` stand for its numbers.
    pub url: String,
    /// The scheme, host and port that browsers ask for them.
    pub origin: String,
    /// Whose they are, in words that are shown.
    pub attribution: String,
}

impl FromStr for Tiles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let needed =
            || "a URL of http or https with {z}, {x} and {y}, a space, and whose the tiles are".to_owned();
        let (url, attribution) = text.trim().split_once(char::is_whitespace).ok_or_else(needed)?;
        let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
        let is_whole = path.is_some_and(|path| ["{z}", "{x}", "{y}"].iter().all(|part| path.contains(part)));
        let read = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let origin = read.filter(|_| is_whole).ok_or_else(needed)?.origin().ascii_serialization();
        Ok(Self { url: url.to_owned(), origin, attribution: attribution.trim().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_an_address_and_whose_they_are() {
        let tiles: Tiles = "https://tiles.example:8443/a/{z}/{x}/{y}.png?k=1  © Some One".parse().unwrap();
        assert_eq!(tiles.url, "https://tiles.example:8443/a/{z}/{x}/{y}.png?k=1");
        assert_eq!((&*tiles.origin, &*tiles.attribution), ("https://tiles.example:8443", "© Some One"));
        for wrong in [
            "https://tiles.example/{z}/{x}/{y}.png",
            "ftp://tiles.example/{z}/{x}/{y}.png A",
            "https://tiles.example/{z}/{x}.png A",
            "https://{z}.tiles.example/{x}/{y} A",
            "tiles A",
        ] {
            assert!(wrong.parse::<Tiles>().is_err(), "{wrong}");
        }
    }
}
