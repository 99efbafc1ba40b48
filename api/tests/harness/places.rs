//! A country of three square towns in a row, from west to east.
//!
//! ```text
//!   2.2       2.3       2.4       2.5  degrees east
//!    | WEST    | MIDDLE  | EAST    |   48.9
//!    |         |  [ex]   |         |   the exclusion zone: 2.36 to 2.37, 48.86 to 48.87
//!    |         |         |         |   48.8 degrees north
//!      `-- one ZUPC --'
//! ```

use serde_json::{Value, json};

/// INSEE code of the town in the west.
pub(crate) const WEST: &str = "92012";
/// INSEE code of the town in the middle.
pub(crate) const MIDDLE: &str = "75056";
/// INSEE code of the town in the east.
pub(crate) const EAST: &str = "94080";

/// The towns as a file of GeoJSON.
pub(crate) fn towns() -> Value {
    let town = |insee, west, east| {
        json!({"type": "Feature", "properties": {"insee": insee, "nom": format!("Town {insee}")},
               "geometry": rectangle((west, east), (48.8, 48.9))})
    };
    collection(&[town(WEST, 2.2, 2.3), town(MIDDLE, 2.3, 2.4), town(EAST, 2.4, 2.5)])
}

/// Features as a file.
pub(crate) fn collection(features: &[Value]) -> Value {
    json!({"type": "FeatureCollection", "features": features})
}

/// A rectangle as a GeoJSON geometry.
pub(crate) fn rectangle((west, east): (f64, f64), (south, north): (f64, f64)) -> Value {
    json!({"type": "Polygon", "coordinates":
           [[[west, south], [east, south], [east, north], [west, north], [west, south]]]})
}
