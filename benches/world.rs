//! A made-up France for the index: taxis in and around twenty cities, half of them driving, all from a seed.

use api::fleet::town::Place;
use engine::distance::distance_m;
use engine::engine::{Engine, FRESH_MS, Fix, Search};
use engine::profile::{DEFAULT_RADIUS_M, Description, Profile, Status};
use engine::territory::Insee;
use ingest::clock::Millis;
use ingest::position::{LatLon, OperatorKey, Order, SourceKey, TaxiKey};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Latitude, longitude, how many of a hundred taxis are there, and how far they spread (the standard deviation of a
/// normal distribution to the east and to the north), in metres.
const CITIES: [(f64, f64, u32, f64); 20] = [
    (48.8566, 2.3522, 30, 5_000.0), // Paris
    (43.2965, 5.3698, 9, 3_000.0),  // Marseille
    (45.7640, 4.8357, 9, 3_000.0),  // Lyon
    (43.6047, 1.4442, 6, 3_000.0),  // Toulouse
    (43.7102, 7.2620, 6, 3_000.0),  // Nice
    (47.2184, -1.5536, 4, 3_000.0), // Nantes
    (43.6108, 3.8767, 3, 3_000.0),  // Montpellier
    (48.5734, 7.7521, 3, 3_000.0),  // Strasbourg
    (44.8378, -0.5792, 4, 3_000.0), // Bordeaux
    (50.6292, 3.0573, 4, 3_000.0),  // Lille
    (48.1173, -1.6778, 3, 3_000.0), // Rennes
    (49.2583, 4.0317, 2, 3_000.0),  // Reims
    (43.1242, 5.9280, 3, 3_000.0),  // Toulon
    (45.4397, 4.3872, 2, 3_000.0),  // Saint-Étienne
    (49.4944, 0.1079, 2, 3_000.0),  // Le Havre
    (45.1885, 5.7245, 2, 3_000.0),  // Grenoble
    (47.3220, 5.0415, 2, 3_000.0),  // Dijon
    (47.4784, -0.5632, 2, 3_000.0), // Angers
    (43.8367, 4.3601, 2, 3_000.0),  // Nîmes
    (45.7772, 3.0870, 2, 3_000.0),  // Clermont-Ferrand
];

/// The furthest a driving taxi comes between two fixes, in metres: ten seconds in a town.
const STEP_MAX_M: f64 = 100.0;

/// How far from a taxi a customer stands at most, in metres.
const APART_MAX_M: f64 = 600.0;

/// When a world begins.
const START: Millis = Millis(1_800_000_000_000);

/// Taxis and where they are. All clones of one world go on in the same way.
pub struct World {
    seed: u64,
    rng: StdRng,
    places: Vec<Place>,
    /// By taxi, as a place in the list of cities.
    cities: Vec<u8>,
    towns: Vec<Insee>,
    now: Millis,
    /// The furthest a driving taxi comes between two fixes, in metres.
    stride_m: f64,
}

/// Where a customer stands, and the town whose taxis may pick up there.
#[derive(Clone, Copy, Debug)]
pub struct Customer {
    /// Where.
    pub at: LatLon,
    /// The town of the city around.
    pub town: [Insee; 1],
}

/// A taxi found: by its source, and its distance from the customer in metres.
pub type Found = (SourceKey, f64);

impl World {
    /// `count` free taxis, all just heard.
    pub fn new(seed: u64, count: u32) -> anyhow::Result<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let towns = (1..=CITIES.len()).map(|number| Ok(format!("{number:05}").parse()?));
        let towns = towns.collect::<anyhow::Result<Vec<Insee>>>()?;
        let (mut places, mut cities) = (Vec::new(), Vec::new());
        let weights: u32 = CITIES.iter().map(|city| city.2).sum();
        for _ in 0..count {
            let mut ticket = rng.random_range(0..weights);
            let mut city = 0_u8;
            while ticket >= CITIES[usize::from(city)].2 {
                ticket -= CITIES[usize::from(city)].2;
                city += 1;
            }
            let (lat, lon, _, spread_m) = CITIES[usize::from(city)];
            // A normal distribution to both sides: the distance from the middle is Rayleigh's.
            let out_m = spread_m * (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
            places.push(Place { lat, lon }.moved(out_m, rng.random_range(0.0..std::f64::consts::TAU)));
            cities.push(city);
        }
        Ok(Self { seed, rng, places, cities, towns, now: START, stride_m: STEP_MAX_M })
    }

    /// The same with another stride, in metres: the furthest a driving taxi comes between two fixes.
    pub fn striding(self, stride_m: f64) -> Self {
        Self { stride_m, ..self }
    }

    /// The time there.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// Everybody's fix and town.
    pub fn everybody(&self) -> Vec<(Fix, Insee)> {
        let taxis = (0_u32..).zip(&self.places).zip(&self.cities);
        let seen = taxis.filter_map(|((taxi, place), city)| {
            Some((self.fix(taxi, *place)?, self.towns[usize::from(*city)]))
        });
        seen.collect()
    }

    /// Puts everybody on a map, free, each with the default radius.
    pub fn settle_in(&self, engine: &Engine) {
        let everybody = self.everybody();
        for (fix, ads_town) in &everybody {
            let operator = fix.source.operator;
            let description = Description { operator, status: Status::Free, radius_m: None };
            let profile =
                Profile { ads_town: *ads_town, descriptions: [description].into(), trial_for: None };
            engine.profiles().put(fix.source.taxi, 1, profile);
        }
        let fixes: Vec<_> = everybody.into_iter().map(|(fix, _)| fix).collect();
        fixes.chunks(1_000).for_each(|chunk| engine.apply(chunk));
        engine.settle();
    }

    /// The next fixes of taxis drawn by chance, a millisecond later. Those with even numbers stand where they are.
    pub fn batch(&mut self, size: usize) -> Vec<Fix> {
        self.now = self.now.plus(1);
        let mut fixes = Vec::with_capacity(size);
        while fixes.len() < size {
            let at = self.rng.random_range(0..self.places.len());
            if at % 2 == 1 {
                let metres = self.rng.random_range(0.0..self.stride_m);
                let heading = self.rng.random_range(0.0..std::f64::consts::TAU);
                self.places[at] = self.places[at].moved(metres, heading);
            }
            fixes.extend(u32::try_from(at).ok().and_then(|taxi| self.fix(taxi, self.places[at])));
        }
        fixes
    }

    /// Customers near taxis drawn by chance, so that there are most where taxis are.
    pub fn customers(&mut self, count: usize) -> Vec<Customer> {
        let mut customers = Vec::with_capacity(count);
        while customers.len() < count {
            let taxi = self.rng.random_range(0..self.places.len());
            let metres = APART_MAX_M * self.rng.random::<f64>().sqrt();
            let place = self.places[taxi].moved(metres, self.rng.random_range(0.0..std::f64::consts::TAU));
            let town = [self.towns[usize::from(self.cities[taxi])]];
            customers.extend(LatLon::new(place.lat, place.lon).map(|at| Customer { at, town }));
        }
        customers
    }

    /// The answer to a search by looking at every taxi.
    pub fn nearby(&self, search: &Search<'_>) -> Vec<Found> {
        let everybody = self.everybody().into_iter();
        let near = everybody.filter_map(|(fix, town)| {
            let distance_m = distance_m(search.customer, fix.at);
            (search.towns.contains(&town) && distance_m <= search.radius_m)
                .then_some((fix.source, distance_m))
        });
        nearest_first(near.collect())
    }

    fn fix(&self, taxi: u32, place: Place) -> Option<Fix> {
        Some(Fix {
            source: SourceKey { taxi: TaxiKey(taxi), operator: OperatorKey(1 + taxi % 3) },
            at: LatLon::new(place.lat, place.lon).ok()?,
            order: Order { received_at: self.now, device_at: None },
        })
    }
}

impl Clone for World {
    fn clone(&self) -> Self {
        Self {
            seed: self.seed,
            // Another stream than the one that placed the taxis; the generator itself cannot be copied.
            rng: StdRng::seed_from_u64(!self.seed),
            places: self.places.clone(),
            cities: self.cities.clone(),
            towns: self.towns.clone(),
            now: self.now,
            stride_m: self.stride_m,
        }
    }
}

impl Customer {
    /// The search of this customer.
    pub fn search(&self, radius_m: f64, now: Millis) -> Search<'_> {
        Search { customer: self.at, radius_m, now, towns: &self.town, operator: None, account: None }
    }
}

/// The order of an answer.
pub fn nearest_first(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    found
}

const _: () =
    assert!(DEFAULT_RADIUS_M == 500, "the shorter of the two searches is within every taxi's radius");
const _: () = assert!(FRESH_MS > 60_000, "a world may live as many batches without anybody growing stale");
