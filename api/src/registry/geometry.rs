//! GeoJSON geometries and the territory made of them.

use engine::territory::{Exclusion, Territory, Town, Zupc};
use geo::orient::{Direction, Orient as _};
use geo::{
    Area as _, Coord, CoordsIter as _, InteriorPoint as _, MapCoords as _, MultiPolygon, Simplify as _,
    unary_union,
};
use geojson::GeometryValue;
use ingest::position::LatLon;

use crate::store::places::Places;
use crate::store::{Result, StoreError};

/// The territory of every place.
pub fn territory(places: Places) -> Result<Territory> {
    let damaged =
        |table, key: &str, reason: String| StoreError::Damaged { table, key: key.to_owned(), reason };
    let mut towns = Vec::with_capacity(places.towns.len());
    for row in places.towns {
        let insee =
            row.key.parse().map_err(|_| damaged("towns", &row.key, "not an INSEE code".to_owned()))?;
        let shape = parse_shape(&row.shape).map_err(|reason| damaged("towns", &row.key, reason))?;
        towns.push(Town { insee, name: row.name, shape });
    }
    let mut zupc = Vec::with_capacity(places.zupc.len());
    for row in places.zupc {
        let area = row.shape.as_deref().map(parse_shape).transpose();
        zupc.push(Zupc {
            area: area.map_err(|reason| damaged("zupc", &row.id, reason))?,
            allowed: row.insee.iter().filter_map(|insee| insee.parse().ok()).collect(),
            id: row.id,
            name: row.name,
        });
    }
    let mut exclusions = Vec::with_capacity(places.exclusions.len());
    for row in places.exclusions {
        let shape = parse_shape(&row.shape).map_err(|reason| damaged("exclusion_zones", &row.key, reason))?;
        exclusions.push(Exclusion { id: row.key, name: row.name, shape });
    }
    Ok(Territory::new(towns, zupc, exclusions))
}

/// The land of a ZUPC: its own, or that of its towns together. O(vertices log vertices).
pub fn land(territory: &Territory, zupc: &Zupc) -> MultiPolygon<f64> {
    if let Some(area) = &zupc.area {
        return area.clone();
    }
    let towns = zupc.allowed.iter().filter_map(|&insee| territory.town(insee));
    // A union takes rings of one winding.
    let shapes: Vec<_> = towns.map(|town| town.shape.orient(Direction::Default)).collect();
    unary_union(&shapes)
}

/// A shape as one sees it from so far that this many degrees are a point: with the fewer corners.
pub fn seen_from_afar(shape: &MultiPolygon<f64>, point_deg: f64) -> geojson::Geometry {
    geojson(&shape.simplify(point_deg))
}

/// A point inside a shape, always the same.
pub fn inside(shape: &MultiPolygon<f64>) -> Option<LatLon> {
    let inside = shape.interior_point()?;
    LatLon::new(inside.y(), inside.x()).ok()
}

/// A shape as a GeoJSON geometry, with seven decimals as positions have: a union brings digits that say nothing.
pub fn geojson(shape: &MultiPolygon<f64>) -> geojson::Geometry {
    let rounded = |degrees: f64| (degrees * 1e7).round() / 1e7;
    let shape = shape.map_coords(|at| Coord { x: rounded(at.x), y: rounded(at.y) });
    geojson::Geometry::new((&shape).into())
}

/// A GeoJSON geometry, as text, as a shape.
pub fn parse_shape(text: &str) -> std::result::Result<MultiPolygon<f64>, String> {
    let geometry: geojson::Geometry = text.parse().map_err(|error: geojson::Error| error.to_string())?;
    shape(&geometry)
}

/// A GeoJSON geometry as a shape: a Polygon or `MultiPolygon` within longitude and latitude, that has an area.
pub fn shape(geometry: &geojson::Geometry) -> std::result::Result<MultiPolygon<f64>, String> {
    let is_short =
        |polygon: &[Vec<geojson::Position>]| polygon.iter().flatten().any(|position| position.len() < 2);
    let is_short = match &geometry.value {
        GeometryValue::Polygon { coordinates } => is_short(coordinates),
        GeometryValue::MultiPolygon { coordinates } => coordinates.iter().any(|polygon| is_short(polygon)),
        other => return Err(format!("a Polygon or MultiPolygon is needed, not a {}", other.type_name())),
    };
    // The library would panic.
    if is_short {
        return Err("a position has no latitude".to_owned());
    }
    let geometry: geo::Geometry<f64> =
        geometry.try_into().map_err(|error: geojson::Error| error.to_string())?;
    let shape = match geometry {
        geo::Geometry::Polygon(polygon) => MultiPolygon(vec![polygon]),
        geo::Geometry::MultiPolygon(polygons) => polygons,
        _ => return Err("a Polygon or MultiPolygon is needed".to_owned()),
    };
    let outside = |c: geo::Coord| !(-180.0..=180.0).contains(&c.x) || !(-90.0..=90.0).contains(&c.y);
    if let Some(c) = shape.coords_iter().find(|c| outside(*c)) {
        return Err(format!("{}, {} is not a longitude and a latitude", c.x, c.y));
    }
    if shape.unsigned_area() > 0.0 { Ok(shape) } else { Err("the shape has no area".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polygons_are_shapes_and_nothing_else_is() {
        let square = r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1],[0,0]]]}"#;
        assert_eq!(parse_shape(square).unwrap().0.len(), 1);
        let point = r#"{"type":"Point","coordinates":[0,0]}"#;
        assert!(parse_shape(point).unwrap_err().contains("Polygon"));
        let swapped = r#"{"type":"Polygon","coordinates":[[[0,91],[1,91],[1,92],[0,91]]]}"#;
        assert!(parse_shape(swapped).unwrap_err().contains("latitude"));
        let flat = r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[0,0],[0,0]]]}"#;
        assert!(parse_shape(flat).unwrap_err().contains("area"));
        let short = r#"{"type":"MultiPolygon","coordinates":[[[[0],[1,0],[1,1],[0]]]]}"#;
        assert!(parse_shape(short).unwrap_err().contains("no latitude"));
        assert!(parse_shape("{}").is_err());
    }
}
