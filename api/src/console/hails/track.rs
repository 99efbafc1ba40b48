//! Where the taxi of a hail was while it lasted: drawn, and as a table.

use engine::distance::distance_m;
use ingest::position::LatLon;
use maud::{Markup, html};

use crate::console::moment;
use crate::limits::TRACK_POSITIONS_MAX;
use crate::routes::naive_timestamp;
use crate::store::hails::tracks::Sight;

/// Units of the drawing, whose width they are, with room for names beside the points.
const WIDTH: f64 = 640.0;
const MARGIN: f64 = 40.0;
/// How high it may be, without its margins.
const HEIGHT: std::ops::RangeInclusive<f64> = 60.0..=360.0;
/// Metres that it spans at least, whatever a taxi that stands still does.
const SPAN_M: f64 = 100.0;
/// Metres of a degree of latitude.
const DEGREE_M: f64 = 111_320.0;

/// A place of the taxi.
struct Place {
    at: String,
    point: LatLon,
    /// To the customer.
    distance_m: f64,
}

/// The track, with where the customer is; in order.
pub(super) fn track(sights: &[Sight], customer: Option<LatLon>) -> Markup {
    let place = |sight: &Sight| {
        let point = LatLon::from_e7(sight.lat_e7, sight.lon_e7).ok()?;
        let distance_m = distance_m(point, customer?);
        Some(Place { at: naive_timestamp(sight.at), point, distance_m })
    };
    let places: Vec<_> = sights.iter().filter_map(place).collect();
    let (Some(customer), [first, .., last] | [first @ last]) = (customer, &places[..]) else {
        return html! { p { "Les positions de cette course ne sont plus gardées." } };
    };
    let count = places.len();
    let told = format!(
        "Le taxi, de {} m du client à {} m, en {count} position{}.",
        metres(first.distance_m),
        metres(last.distance_m),
        if count > 1 { "s" } else { "" }
    );
    html! {
        p {
            (told) " La première est la dernière connue au moment de la demande, les suivantes celles reçues ensuite, \
            une par dix secondes."
        }
        (drawing(&places, customer, &told))
        details {
            summary { "Toutes les positions" }
            div.scroll tabindex="0" role="region" aria-label="Positions du taxi" {
                table {
                    caption { (count) " position" @if count > 1 { "s" } }
                    thead { tr {
                        th scope="col" { "Reçue le (UTC)" }
                        th.number scope="col" { "Latitude" } th.number scope="col" { "Longitude" }
                        th.number scope="col" { "Mètres jusqu’au client" }
                    } }
                    tbody { @for place in &places { tr {
                        td { time datetime={(place.at) "Z"} { (moment(&place.at)) } }
                        td.number { (degrees(place.point.lat())) } td.number { (degrees(place.point.lon())) }
                        td.number { (metres(place.distance_m)) }
                    } } }
                }
            }
            @if i64::try_from(count).is_ok_and(|count| count >= TRACK_POSITIONS_MAX) {
                p { "Les suivantes ne sont pas montrées." }
            }
        }
    }
}

fn metres(distance_m: f64) -> String {
    format!("{distance_m:.0}")
}

fn degrees(angle: f64) -> String {
    format!("{angle:.5}").replace('.', ",")
}

/// The track as a line, north up, which the table says in words.
fn drawing(places: &[Place], customer: LatLon, told: &str) -> Markup {
    let points: Vec<_> = places.iter().map(|one| metres_from(customer, one.point)).collect();
    let frame = Frame::of(&points);
    let at = |point: &(f64, f64)| frame.place(*point);
    let line: Vec<_> = points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let (start, end) = (points.first().map(at), points.last().map(at));
    let ((x, y), height) = (frame.place((0.0, 0.0)), frame.height());
    html! {
        svg.track viewBox={"0 0 " (WIDTH) " " (format!("{height:.0}"))} role="img"
            aria-label={(told) " Le tableau qui suit a chaque position."} {
            polyline.line points=(line.join(" ")) {}
            @for (point, name, class) in [(start, "demande", "start"), (end, "dernière", "end")] {
                @if let Some((x, y)) = point {
                    circle class=(class) cx=(one_decimal(x)) cy=(one_decimal(y)) r="5" {}
                    (label((x, y), -10.0, name))
                }
            }
            rect.customer x=(one_decimal(x - 5.0)) y=(one_decimal(y - 5.0)) width="10" height="10" {}
            (label((x, y), 20.0, "client"))
        }
    }
}

/// A name beside a point, within the drawing on either side.
fn label((x, y): (f64, f64), below: f64, name: &str) -> Markup {
    let anchor = if x > WIDTH / 2.0 { "end" } else { "start" };
    html! { text x=(one_decimal(x)) y=(one_decimal(y + below)) text-anchor=(anchor) { (name) } }
}

fn one_decimal(number: f64) -> String {
    format!("{number:.1}")
}

/// Metres to the east and the north of one point to another that is not far.
fn metres_from(from: LatLon, to: LatLon) -> (f64, f64) {
    // Beyond 180 degrees is the other way round.
    let east = (to.lon() - from.lon() + 540.0).rem_euclid(360.0) - 180.0;
    let shrinks = from.lat().to_radians().cos();
    (east * shrinks * DEGREE_M, (to.lat() - from.lat()) * DEGREE_M)
}

/// What of the ground is drawn, in metres from the customer, and how large.
struct Frame {
    west: f64,
    north: f64,
    height_m: f64,
    /// Units a metre.
    scale: f64,
}

impl Frame {
    /// One that has the customer and all of these points in it.
    fn of(points: &[(f64, f64)]) -> Self {
        let axis = |of: fn(&(f64, f64)) -> f64| {
            let all = points.iter().map(of);
            let (low, high) = all.fold((0.0_f64, 0.0_f64), |(low, high), one| (low.min(one), high.max(one)));
            let missing = (SPAN_M - (high - low)).max(0.0) / 2.0;
            (low - missing, high + missing)
        };
        let ((west, east), (south, north)) = (axis(|point| point.0), axis(|point| point.1));
        let (width_m, height_m) = (east - west, north - south);
        let scale = ((WIDTH - 2.0 * MARGIN) / width_m).min(HEIGHT.end() / height_m);
        // What is drawn is in the middle of the width.
        let west = west - ((WIDTH - 2.0 * MARGIN) / scale - width_m) / 2.0;
        Self { west, north, height_m, scale }
    }

    fn place(&self, (east, north): (f64, f64)) -> (f64, f64) {
        (MARGIN + (east - self.west) * self.scale, MARGIN + (self.north - north) * self.scale)
    }

    fn height(&self) -> f64 {
        (self.height_m * self.scale).max(*HEIGHT.start()) + 2.0 * MARGIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(at: i64, lat: f64, lon: f64) -> Sight {
        let place = LatLon::new(lat, lon).unwrap();
        Sight { at, lat_e7: place.lat_e7(), lon_e7: place.lon_e7() }
    }

    fn shown(sights: &[Sight]) -> String {
        track(sights, LatLon::new(48.8566, 2.3522).ok()).into_string()
    }

    #[test]
    fn a_track_is_drawn_with_its_customer_and_told_in_metres() {
        let html = shown(&[sight(0, 48.8666, 2.3522), sight(12_500, 48.8576, 2.3522)]);
        assert!(html.contains("Le taxi, de 1112 m du client à 111 m, en 2 positions."), "{html}");
        // A kilometre to the north is as high as may be, and the customer is below both.
        assert!(html.contains("viewBox=\"0 0 640 440\""), "{html}");
        assert!(html.contains("points=\"320.0,40.0 320.0,364.0\""), "{html}");
        assert!(html.contains("<rect class=\"customer\" x=\"315.0\" y=\"395.0\""), "{html}");
        assert!(html.contains("01/01/1970 00:00:12,500") && html.contains("48,85760"), "{html}");
    }

    #[test]
    fn wherever_a_taxi_is_it_is_within_the_drawing() {
        let customer = LatLon::new(-17.0, 179.999).unwrap();
        for (lat, lon) in [(-17.0, 179.999), (-17.0, -179.9), (-17.5, 179.9), (-17.0001, 179.9991)] {
            let place = metres_from(customer, LatLon::new(lat, lon).unwrap());
            let frame = Frame::of(&[place]);
            for (x, y) in [frame.place(place), frame.place((0.0, 0.0))] {
                assert!((MARGIN - 0.01..=WIDTH - MARGIN + 0.01).contains(&x), "{lat} {lon}: {x}");
                assert!((MARGIN - 0.01..=frame.height() - MARGIN + 0.01).contains(&y), "{lat} {lon}: {y}");
            }
            assert!(frame.height() <= HEIGHT.end() + 2.0 * MARGIN + 0.01);
        }
    }

    #[test]
    fn of_a_blurred_hail_nothing_is_left() {
        assert!(shown(&[]).contains("ne sont plus gardées"));
    }
}
