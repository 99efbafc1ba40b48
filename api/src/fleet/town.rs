//! The ground a taxi drives on: a town's shape, its ranks, and small distances in metres.

use engine::territory::departement;
use geo::{BoundingRect, Contains, Coord, InteriorPoint, MultiPolygon, Rect};
use rand::RngExt;
use rand::rngs::StdRng;

/// Metres in a degree of latitude, on the mean sphere.
const M_PER_DEGREE: f64 = 111_195.0;

/// How often a random point is drawn before the centre is taken instead: a shape that fills a twentieth of
/// its bounding box misses this often once in twenty thousand.
const DRAWS_MAX: usize = 200;

/// A point on the ground, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Latitude, in degrees.
    pub lat: f64,
    /// Longitude, in degrees.
    pub lon: f64,
}

impl Place {
    /// The place `metres` away, `heading_rad` clockwise from north. Flat: for distances within a town.
    pub fn moved(self, metres: f64, heading_rad: f64) -> Self {
        let lat = self.lat + metres * heading_rad.cos() / M_PER_DEGREE;
        Self { lat, lon: self.lon + metres * heading_rad.sin() / self.m_per_degree_lon() }
    }

    /// The distance to `other`, in metres.
    pub fn distance_m(self, other: Self) -> f64 {
        let (east_m, north_m) = self.offset_m(other);
        east_m.hypot(north_m)
    }

    /// The direction of `other` as seen from here, in radians clockwise from north.
    pub fn heading_rad(self, other: Self) -> f64 {
        let (east_m, north_m) = self.offset_m(other);
        east_m.atan2(north_m)
    }

    /// The place as six decimals say it, which is how devices send it: within 8 cm of the exact one.
    pub fn as_sent(self) -> Self {
        let rounded = |degrees: f64| (degrees * 1e6).round() / 1e6;
        Self { lat: rounded(self.lat), lon: rounded(self.lon) }
    }

    /// Latitude and longitude in 1e-7 degrees.
    #[expect(clippy::cast_possible_truncation, reason = "a cast saturates; nowhere on the globe it has to")]
    pub fn as_e7(self) -> (i32, i32) {
        ((self.lat * 1e7).round() as i32, (self.lon * 1e7).round() as i32)
    }

    fn offset_m(self, other: Self) -> (f64, f64) {
        ((other.lon - self.lon) * self.m_per_degree_lon(), (other.lat - self.lat) * M_PER_DEGREE)
    }

    fn m_per_degree_lon(self) -> f64 {
        // A town at a pole does not exist; the floor only keeps the division finite.
        M_PER_DEGREE * self.lat.to_radians().cos().max(0.01)
    }
}

/// A town to drive in: it has an inside, by construction.
#[derive(Clone, Debug)]
pub struct Town {
    insee: String,
    name: String,
    shape: MultiPolygon<f64>,
    bounds: Rect<f64>,
    centre: Place,
}

impl Town {
    /// A town from its INSEE code, its name and its outline in degrees; `None` where the outline encloses
    /// nothing.
    pub fn new(insee: impl Into<String>, name: impl Into<String>, shape: MultiPolygon<f64>) -> Option<Self> {
        let bounds = shape.bounding_rect()?;
        let inside = shape.interior_point()?;
        let centre = Place { lat: inside.y(), lon: inside.x() }.as_sent();
        let town = Self { insee: insee.into(), name: name.into(), shape, bounds, centre };
        town.contains(centre).then_some(town)
    }

    /// Its INSEE code.
    pub fn insee(&self) -> &str {
        &self.insee
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of its departement: `75`, `2A`, `974`.
    pub fn departement(&self) -> &str {
        departement(&self.insee)
    }

    /// Whether `place` lies inside, the border excluded. Linear in the outline's vertices.
    pub fn contains(&self, place: Place) -> bool {
        self.shape.contains(&Coord { x: place.lon, y: place.lat })
    }

    /// A point well inside, always the same.
    pub fn centre(&self) -> Place {
        self.centre
    }

    /// A point inside, evenly chosen, at six decimals.
    pub fn random_place(&self, rng: &mut StdRng) -> Place {
        let (south_west, north_east) = (self.bounds.min(), self.bounds.max());
        for _ in 0..DRAWS_MAX {
            let lat = rng.random_range(south_west.y..=north_east.y);
            let lon = rng.random_range(south_west.x..=north_east.x);
            let place = Place { lat, lon }.as_sent();
            if self.contains(place) {
                return place;
            }
        }
        self.centre
    }

    /// A point inside, evenly chosen within `radius_m` of `middle`, at six decimals; `middle` where chance
    /// finds none.
    pub fn random_place_near(&self, middle: Place, radius_m: f64, rng: &mut StdRng) -> Place {
        for _ in 0..DRAWS_MAX {
            // The root spreads points evenly over the disk instead of crowding its middle.
            let metres = radius_m * rng.random::<f64>().sqrt();
            let place = middle.moved(metres, rng.random_range(0.0..std::f64::consts::TAU)).as_sent();
            if self.contains(place) {
                return place;
            }
        }
        middle
    }

    /// Its taxi ranks, the busiest first, never none: known ones in Paris and Lyon, elsewhere the centre.
    pub fn ranks(&self) -> Vec<Place> {
        let known: &[(f64, f64)] = match self.insee.as_str() {
            "75056" => &PARIS_RANKS,
            "69123" => &LYON_RANKS,
            _ => &[],
        };
        let known = known.iter().map(|&(lat, lon)| Place { lat, lon });
        // Whatever outline a server was given for the town, a rank outside it is none.
        let mut ranks: Vec<Place> = known.filter(|&rank| self.contains(rank)).collect();
        if ranks.is_empty() {
            ranks.push(self.centre);
        }
        ranks
    }

    /// How many taxis it has in proportion to another town's.
    pub fn weight(&self) -> u32 {
        match self.insee.as_str() {
            "75056" => 16,
            "69123" => 9,
            _ => 1,
        }
    }
}

/// Hôtel de Ville, Châtelet, the stations, squares: latitude and longitude in degrees, to a street's width.
const PARIS_RANKS: [(f64, f64); 10] = [
    (48.8568, 2.3515),
    (48.8584, 2.3474),
    (48.8443, 2.3735),
    (48.8809, 2.3553),
    (48.8708, 2.3322),
    (48.8421, 2.3213),
    (48.8738, 2.2950),
    (48.8484, 2.3959),
    (48.8313, 2.3555),
    (48.8631, 2.2876),
];

/// Cordeliers, Bellecour, Part-Dieu, Perrache, Croix-Rousse, Gerland, Vaise.
const LYON_RANKS: [(f64, f64); 7] = [
    (45.7637, 4.8360),
    (45.7578, 4.8320),
    (45.7606, 4.8590),
    (45.7490, 4.8260),
    (45.7744, 4.8320),
    (45.7310, 4.8330),
    (45.7797, 4.8050),
];

#[cfg(test)]
mod tests {
    use geo::{MultiPolygon, polygon};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::{LYON_RANKS, PARIS_RANKS, Place, Town};
    use crate::fleet::tests::{demo_town, demo_towns};

    #[test]
    fn a_kilometre_north_east_is_measured_as_one() {
        let here = Place { lat: 48.8566, lon: 2.3522 };
        let there = here.moved(1_000.0, 0.7);
        assert!((here.distance_m(there) - 1_000.0).abs() < 0.01);
        assert!((here.heading_rad(there) - 0.7).abs() < 1e-6);
        assert!(there.lat > here.lat && there.lon > here.lon);
    }

    #[test]
    fn an_outline_without_an_inside_is_no_town() {
        let line = polygon![(x: 2.0, y: 48.0), (x: 2.1, y: 48.0), (x: 2.0, y: 48.0)];
        assert!(Town::new("1", "line", MultiPolygon(vec![line])).is_none());
        assert!(Town::new("1", "nothing", MultiPolygon(Vec::new())).is_none());
    }

    #[test]
    fn random_places_lie_inside_and_reach_all_sides() {
        let mut rng = StdRng::seed_from_u64(1);
        for town in demo_towns() {
            let centre = town.centre();
            let places: Vec<_> = (0..200).map(|_| town.random_place(&mut rng)).collect();
            assert!(places.iter().all(|&place| town.contains(place)), "{}", town.name());
            assert!(places.iter().any(|place| place.lat > centre.lat && place.lon > centre.lon));
            assert!(places.iter().any(|place| place.lat < centre.lat && place.lon < centre.lon));
        }
    }

    #[test]
    fn places_near_another_are_near_and_inside() {
        let (town, mut rng) = (demo_town("94080"), StdRng::seed_from_u64(1));
        let corner = Place { lat: 48.8480, lon: 2.4170 };
        assert!(town.contains(corner));
        for _ in 0..500 {
            let place = town.random_place_near(corner, 300.0, &mut rng);
            assert!(town.contains(place) && corner.distance_m(place) < 300.2);
        }
    }

    #[test]
    fn every_listed_rank_lies_in_its_drawn_town() {
        assert_eq!(demo_town("75056").ranks().len(), PARIS_RANKS.len());
        assert_eq!(demo_town("69123").ranks().len(), LYON_RANKS.len());
        let vincennes = demo_town("94080");
        assert_eq!(vincennes.ranks(), [vincennes.centre()]);
    }

    #[test]
    fn departements_follow_from_the_code() {
        assert_eq!(demo_town("93066").departement(), "93");
        let square =
            polygon![(x: 55.4, y: -20.9), (x: 55.5, y: -20.9), (x: 55.5, y: -21.0), (x: 55.4, y: -21.0)];
        let town = Town::new("97411", "Saint-Denis", MultiPolygon(vec![square])).unwrap();
        assert_eq!(town.departement(), "974");
    }
}
