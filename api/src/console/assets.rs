//! The stylesheet and the modules, each under an address that changes with it.

use std::io::{self, Write as _};
use std::sync::{LazyLock, OnceLock};

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, header};
use axum::response::{AppendHeaders, IntoResponse as _};
use flate2::Compression;
use flate2::write::GzEncoder;
use plotly::Plot;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use super::refusal::Shown;
use crate::error::Problem;
use crate::secrets::hex;

/// Digits of the hash in an address: enough that no two contents ever share one.
const DIGITS: usize = 16;
/// A year, as caches take it for ever.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// A file that pages load.
#[derive(Debug)]
pub(super) struct Asset {
    name: String,
    kind: &'static str,
    text: Bytes,
    /// The same, compressed as soon as somebody asks for that.
    gzip: OnceLock<Bytes>,
}

impl Asset {
    fn new(stem: &str, extension: &str, kind: &'static str, text: Bytes) -> Self {
        let hash = hex(&Sha256::digest(&text));
        let name = format!("{stem}.{}.{extension}", &hash[..DIGITS]);
        Self { name, kind, text, gzip: OnceLock::new() }
    }

    /// Where it is.
    pub(super) fn address(&self) -> String {
        format!("/console/assets/{}", self.name)
    }

    /// It, compressed. A quarter of a second for the largest, once: not for an asynchronous thread.
    fn compressed(&self) -> io::Result<Bytes> {
        if let Some(gzip) = self.gzip.get() {
            return Ok(gzip.clone());
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&self.text)?;
        let gzip = gzip.finish()?;
        Ok(self.gzip.get_or_init(|| gzip.into()).clone())
    }
}

/// How every page looks.
pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("console", "css", CSS, Bytes::from_static(include_bytes!("console.css"))));
/// Copies a key where its button is pressed.
pub(super) static COPY: LazyLock<Asset> = LazyLock::new(|| module("copy", include_str!("copy.js")));
/// Draws a page's charts.
pub(super) static CHART: LazyLock<Asset> = LazyLock::new(|| module("chart", include_str!("chart.js")));
/// What draws charts and maps: `plotly.js`, 4.6 MB, a third of that compressed.
pub(super) static PLOTLY: LazyLock<Asset> = LazyLock::new(|| {
    let sources = Plot::offline_js_sources();
    Asset::new("plotly", "js", JS, Bytes::copy_from_slice(first_script(&sources).as_bytes()))
});

/// What maps are drawn on.
static GROUND: LazyLock<Asset> = LazyLock::new(|| module("ground", include_str!("ground.js")));
/// Draws the map.
pub(super) static MAP: LazyLock<Asset> = LazyLock::new(|| over_ground("map", include_str!("map.js")));
/// What simulators do by themselves.
pub(super) static SIMULATOR: LazyLock<Asset> =
    LazyLock::new(|| over_ground("simulator", include_str!("simulator.js")));

fn module(stem: &str, text: &str) -> Asset {
    Asset::new(stem, "js", JS, Bytes::copy_from_slice(text.as_bytes()))
}

/// A module that imports [`GROUND`], by the address that changes with it.
fn over_ground(stem: &str, text: &str) -> Asset {
    module(stem, &text.replace("./ground.js", &format!("./{}", GROUND.name)))
}

/// The text of the first script of a page; `MathJax` is the second, and typesets formulae that we have none of.
fn first_script(page: &str) -> &str {
    let script = page.split_once("</script>").map_or(page, |(first, _)| first);
    script.split_once('>').map_or(script, |(_, text)| text)
}

/// All of them, by how their names begin: what nobody asks for is not made.
static ALL: [(&str, &LazyLock<Asset>); 7] = [
    ("console", &STYLE),
    ("copy", &COPY),
    ("chart", &CHART),
    ("plotly", &PLOTLY),
    ("ground", &GROUND),
    ("map", &MAP),
    ("simulator", &SIMULATOR),
];

/// One of them.
pub(super) async fn read(Path(name): Path<String>, headers: HeaderMap) -> Shown {
    let stem = name.split('.').next();
    let (_, asset) = ALL.iter().find(|(of, _)| Some(*of) == stem).ok_or_else(Problem::unknown_path)?;
    let is_compressed = takes_gzip(&headers);
    let made = spawn_blocking(move || {
        let asset: &Asset = asset;
        let body = if is_compressed { asset.compressed()? } else { asset.text.clone() };
        Ok::<_, io::Error>((asset, body))
    });
    let made = made.await.map_err(|error| Problem::internal().because(&error))?;
    let (asset, body) = made.map_err(|error| Problem::internal().because(&error))?;
    if asset.name != name {
        return Err(Problem::unknown_path().into());
    }
    let headers = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, FOR_EVER),
        (header::VARY, "Accept-Encoding"),
    ];
    let coding = is_compressed.then_some(AppendHeaders([(header::CONTENT_ENCODING, "gzip")]));
    Ok((headers, coding, body).into_response())
}

/// Whether a client reads gzip.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let codings =
        headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    codings.flat_map(|codings| codings.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next() == Some("gzip")
            && parts.all(|part| !matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn plotly_comes_without_what_surrounds_it() {
        let text = std::str::from_utf8(&PLOTLY.text).unwrap();
        assert!(text.trim_start().starts_with("/**\n* plotly.js v3."), "{:?}", &text[..100]);
        assert!(text.len() > 4_000_000 && !text.contains("</script>") && !text.contains("MathJax.js"));
    }

    #[test]
    fn what_a_module_imports_is_there() {
        for asset in [&MAP, &SIMULATOR] {
            let text = std::str::from_utf8(&asset.text).unwrap();
            let from = format!("from \"./{}\";", GROUND.name);
            assert!(text.contains(&from) && !text.contains("./ground.js"), "{}", asset.name);
        }
    }

    #[test]
    fn who_reads_gzip_says_so() {
        let takes = |text| {
            takes_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(text))]))
        };
        assert!(takes("gzip") && takes("br, gzip;q=0.5") && takes("deflate,gzip"));
        assert!(!takes("br") && !takes("gzip;q=0, br") && !takes("x-gzip") && !takes(""));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
