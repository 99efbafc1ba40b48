//! Where a point lies: its town, the towns whose taxis may pick up there, and zones where none may.
//!
//! Exact by polygon, with robust predicates; nothing is simplified.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use geo::coordinate_position::{CoordPos, CoordinatePosition};
use geo::{BoundingRect, Coord, Intersects as _, MultiPolygon, Polygon, Rect};
pub use ingest::insee::{Insee, InvalidInsee};
use ingest::position::LatLon;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

/// The number of the departement of the town with this INSEE code: three of its characters overseas, else two. A code
/// too short for one is given back whole.
///
/// ```
/// use engine::territory::departement;
/// assert_eq!(["69123", "2A004", "97411", "98818", "7"].map(departement), ["69", "2A", "974", "988", "7"]);
/// ```
pub fn departement(insee: &str) -> &str {
    let length = if insee.starts_with("97") || insee.starts_with("98") { 3 } else { 2 };
    insee.get(..length).unwrap_or(insee)
}

/// A town (commune).
#[derive(Clone, Debug)]
pub struct Town {
    /// Its code, unique.
    pub insee: Insee,
    /// Its name.
    pub name: String,
    /// Its land, in degrees (x longitude, y latitude).
    pub shape: MultiPolygon<f64>,
}

/// A zone in which the taxis of several towns may pick up (zone unique de prise en charge).
#[derive(Clone, Debug)]
pub struct Zupc {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The towns whose taxis share it, in any order.
    pub allowed: Vec<Insee>,
    /// Where it holds, in degrees (x longitude, y latitude). None: in each of its towns. An airport or a station has
    /// land of its own: there its towns' taxis may pick up beside the taxis of the place, and nowhere else.
    pub area: Option<MultiPolygon<f64>>,
}

/// A zone in which no taxi may be hailed.
#[derive(Clone, Debug)]
pub struct Exclusion {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its land, in degrees (x longitude, y latitude).
    pub shape: MultiPolygon<f64>,
}

/// All of it, immutable: built when the registry's rows change, and swapped whole.
pub struct Territory {
    towns: Vec<Town>,
    zupcs: Vec<Zupc>,
    exclusions: Vec<Exclusion>,
    town_boxes: Boxes,
    exclusion_boxes: Boxes,
    /// Of the zones that have an area, by their place in `zupcs`.
    area_boxes: Boxes,
    /// Towns in the same zones share one list: a zone of a whole department would otherwise be stored once a
    /// town.
    allowed: HashMap<Insee, usize>,
    allowed_lists: Vec<Vec<Insee>>,
}

type Boxes = RTree<GeomWithData<Rectangle<[f64; 2]>, usize>>;

impl Territory {
    /// Indexes towns and zones. O(vertices + towns log towns): about a second for the country.
    pub fn new(mut towns: Vec<Town>, zupcs: Vec<Zupc>, mut exclusions: Vec<Exclusion>) -> Self {
        // In the order in which they are preferred, so that a position in the list is a rank.
        towns.sort_by_key(|town| town.insee);
        exclusions.sort_by(|a, b| a.id.cmp(&b.id));
        let town_boxes = boxes(towns.iter().map(|town| &town.shape));
        let exclusion_boxes = boxes(exclusions.iter().map(|zone| &zone.shape));
        let area_boxes = boxes(zupcs.iter().map(|zone| zone.area.as_ref().unwrap_or(&NOWHERE)));
        let (allowed, allowed_lists) = allowed(&towns, &zupcs);
        Self { towns, zupcs, exclusions, town_boxes, exclusion_boxes, area_boxes, allowed, allowed_lists }
    }

    /// The town of a point. On a border, and wherever towns overlap, always the one with the smallest code;
    /// the border of an enclave belongs to the enclave and to the town around it. O(log towns + vertices of a
    /// few).
    pub fn town_at(&self, at: LatLon) -> Option<&Town> {
        first_at(&self.town_boxes, at, |rank| &self.towns[rank].shape).map(|rank| &self.towns[rank])
    }

    /// Whether every point of a box given by two corners, its own borders included, lies in the same town as every
    /// other, or in none: whether no border of a town meets it. O(log towns + vertices of a few).
    pub fn is_in_one_town(&self, corner: LatLon, opposite: LatLon) -> bool {
        let area = Rect::new(coord(corner), coord(opposite));
        let near = AABB::from_corners(area.min().into(), area.max().into());
        let borders = |polygon: &Polygon<f64>| {
            let mut rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
            rings.any(|ring| ring.intersects(&area))
        };
        let mut towns = self.town_boxes.locate_in_envelope_intersecting(&near);
        !towns.any(|town| self.towns[town.data].shape.iter().any(borders))
    }

    /// The exclusion zone of a point, borders included; where several overlap, the one with the smallest
    /// identifier.
    pub fn exclusion_at(&self, at: LatLon) -> Option<&Exclusion> {
        first_at(&self.exclusion_boxes, at, |rank| &self.exclusions[rank].shape)
            .map(|rank| &self.exclusions[rank])
    }

    /// The towns whose taxis may pick up everywhere in a town, sorted: the town itself and all that share a ZUPC with
    /// it. Empty for a code that neither a town nor a ZUPC has. O(1).
    pub fn towns_allowed(&self, town: Insee) -> &[Insee] {
        self.allowed.get(&town).map_or(&[], |&list| &self.allowed_lists[list])
    }

    /// The towns whose taxis may pick up at a point of a town, sorted: [`Territory::towns_allowed`], and those of the
    /// zones whose own area holds the point. O(log zones), and in such a zone O(its towns).
    pub fn towns_allowed_at(&self, town: Insee, at: LatLon) -> Cow<'_, [Insee]> {
        let everywhere = self.towns_allowed(town);
        let mut zones = self.zones_at(at).peekable();
        if zones.peek().is_none() {
            return Cow::Borrowed(everywhere);
        }
        let here = zones.flat_map(|zone| &zone.allowed).chain(everywhere).copied();
        Cow::Owned(here.collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// The ZUPC of a point of a town, in the order given: those that the town shares, and those whose own area holds
    /// the point. O(zones).
    pub fn zupcs_at(&self, town: Insee, at: LatLon) -> Vec<&Zupc> {
        let point = coord(at);
        let here = |zone: &&Zupc| match &zone.area {
            None => zone.allowed.contains(&town),
            Some(area) => holds(area, point),
        };
        self.zupcs.iter().filter(here).collect()
    }

    fn zones_at(&self, at: LatLon) -> impl Iterator<Item = &Zupc> {
        let point = coord(at);
        let near = ranks_near(&self.area_boxes, point).into_iter().map(|rank| &self.zupcs[rank]);
        near.filter(move |zone| zone.area.as_ref().is_some_and(|area| holds(area, point)))
    }

    /// The towns that may be seen in a box given by two corners, sorted by code; a few beside it may be among them.
    /// O(log towns + those).
    pub fn towns_near(&self, corner: LatLon, opposite: LatLon) -> impl Iterator<Item = &Town> {
        ranks_between(&self.town_boxes, corner, opposite).into_iter().map(|rank| &self.towns[rank])
    }

    /// The exclusion zones that may be seen there, likewise.
    pub fn exclusions_near(&self, corner: LatLon, opposite: LatLon) -> impl Iterator<Item = &Exclusion> {
        ranks_between(&self.exclusion_boxes, corner, opposite).into_iter().map(|rank| &self.exclusions[rank])
    }

    /// The town of a code. O(log towns).
    pub fn town(&self, insee: Insee) -> Option<&Town> {
        let rank = self.towns.binary_search_by_key(&insee, |town| town.insee).ok()?;
        Some(&self.towns[rank])
    }

    /// Every town, sorted by code.
    pub fn towns(&self) -> &[Town] {
        &self.towns
    }

    /// Every ZUPC, in the order given.
    pub fn zupcs(&self) -> &[Zupc] {
        &self.zupcs
    }

    /// Every exclusion zone, sorted by identifier.
    pub fn exclusions(&self) -> &[Exclusion] {
        &self.exclusions
    }
}

/// One box a polygon, not one a shape: islands far apart would make a box of the sea between them.
fn boxes<'a>(shapes: impl Iterator<Item = &'a MultiPolygon<f64>>) -> Boxes {
    let of_shape = |(rank, shape): (usize, &'a MultiPolygon<f64>)| {
        shape.iter().filter_map(move |polygon| {
            let rect = polygon.bounding_rect()?;
            Some(GeomWithData::new(Rectangle::from_corners(rect.min().into(), rect.max().into()), rank))
        })
    };
    RTree::bulk_load(shapes.enumerate().flat_map(of_shape).collect())
}

static NOWHERE: MultiPolygon<f64> = MultiPolygon(Vec::new());

fn coord(at: LatLon) -> Coord<f64> {
    Coord { x: at.lon(), y: at.lat() }
}

/// The first shape that holds a point, borders included.
fn first_at<'a>(boxes: &Boxes, at: LatLon, shape: impl Fn(usize) -> &'a MultiPolygon<f64>) -> Option<usize> {
    let point = coord(at);
    ranks_near(boxes, point).into_iter().find(|&rank| holds(shape(rank), point))
}

/// The shapes of which a box holds a point, each once, sorted.
fn ranks_near(boxes: &Boxes, point: Coord<f64>) -> Vec<usize> {
    ranks_meeting(boxes, &AABB::from_point([point.x, point.y]))
}

/// The shapes of which a box meets another, likewise.
fn ranks_between(boxes: &Boxes, corner: LatLon, opposite: LatLon) -> Vec<usize> {
    let corners = Rect::new(coord(corner), coord(opposite));
    ranks_meeting(boxes, &AABB::from_corners(corners.min().into(), corners.max().into()))
}

fn ranks_meeting(boxes: &Boxes, area: &AABB<[f64; 2]>) -> Vec<usize> {
    let mut ranks: Vec<usize> =
        boxes.locate_in_envelope_intersecting(area).map(|polygon| polygon.data).collect();
    ranks.sort_unstable();
    ranks.dedup();
    ranks
}

fn holds(shape: &MultiPolygon<f64>, point: Coord<f64>) -> bool {
    // Polygon by polygon: together, a point on the borders of two of them would count as on none (mod 2
    // rule).
    shape.iter().any(|polygon| polygon.coordinate_position(&point) != CoordPos::Outside)
}

fn allowed(towns: &[Town], zupcs: &[Zupc]) -> (HashMap<Insee, usize>, Vec<Vec<Insee>>) {
    let mut zones_of: HashMap<Insee, BTreeSet<usize>> =
        towns.iter().map(|t| (t.insee, BTreeSet::new())).collect();
    let everywhere = zupcs.iter().enumerate().filter(|(_, zupc)| zupc.area.is_none());
    for (zone, zupc) in everywhere {
        for &town in &zupc.allowed {
            zones_of.entry(town).or_default().insert(zone);
        }
    }
    let (mut allowed, mut lists) = (HashMap::new(), Vec::<Vec<Insee>>::new());
    let mut list_of_zones: HashMap<BTreeSet<usize>, usize> = HashMap::new();
    for (town, zones) in zones_of {
        let known = list_of_zones.get(&zones).copied().filter(|_| !zones.is_empty());
        let list = known.unwrap_or_else(|| {
            let sharing = zones.iter().flat_map(|&zone| &zupcs[zone].allowed);
            lists.push(sharing.chain([&town]).copied().collect::<BTreeSet<_>>().into_iter().collect());
            list_of_zones.insert(zones, lists.len() - 1);
            lists.len() - 1
        });
        allowed.insert(town, list);
    }
    (allowed, lists)
}
