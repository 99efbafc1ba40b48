//! The stylesheet and the modules, each under an address that changes with it.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse as _;
use sha2::{Digest as _, Sha256};

use super::refusal::Shown;
use crate::error::Problem;
use crate::secrets::hex;

/// Digits of the hash in an address: enough that no two contents ever share one.
const DIGITS: usize = 16;
/// A year, as caches take it for ever.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// A file that pages load.
#[derive(Debug)]
pub(super) struct Asset {
    name: String,
    kind: &'static str,
    text: &'static str,
}

impl Asset {
    fn new(stem: &str, extension: &str, kind: &'static str, text: &'static str) -> Self {
        let hash = hex(&Sha256::digest(text));
        Self { name: format!("{stem}.{}.{extension}", &hash[..DIGITS]), kind, text }
    }

    /// Where it is.
    pub(super) fn address(&self) -> String {
        format!("/console/assets/{}", self.name)
    }
}

/// How every page looks.
pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("console", "css", "text/css; charset=utf-8", include_str!("console.css")));
/// Copies a key where its button is pressed.
pub(super) static COPY: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("copy", "js", "text/javascript; charset=utf-8", include_str!("copy.js")));

/// One of them.
pub(super) async fn read(Path(name): Path<String>) -> Shown {
    let found = [&*STYLE, &*COPY].into_iter().find(|asset| asset.name == name);
    let asset = found.ok_or_else(Problem::unknown_path)?;
    let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, FOR_EVER)];
    Ok((headers, asset.text).into_response())
}
