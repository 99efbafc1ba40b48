//! Which taxis a fleet has: everything that the registry wants to know of each, made up from a seed.

use std::ops::Range;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::names::{COLOURS, FIRST, LAST, VEHICLES};
use super::taxi::Taxi;
use super::town::{Place, Town};

/// Of a hundred taxis, how many wait at their town's busiest rank, and how many at any of its ranks: enough
/// that a search in the middle of a large town finds some. The others cruise.
const AT_BUSIEST_RANK: u32 = 20;
const AT_RANKS: u32 = 60;

/// A rank's taxis stand in a queue around its sign, in metres.
const RANK_LENGTH_M: f64 = 70.0;

const BIRTH_YEARS: Range<u32> = 1962..2003;

/// An operator of the fleet, as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The name under which its devices report.
    pub name: String,
    /// Its API key.
    pub key: String,
}

/// A taxi to be registered and then driven.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its operator's place in the list that was given.
    pub operator: usize,
    /// The town of its licence (ADS), where it drives.
    pub town: Arc<Town>,
    /// The licence's number in the town: no two taxis of a plan share it.
    pub ads_numero: String,
    /// Where it is at first.
    pub start: Place,
    /// Where it waits for customers; without one, it cruises.
    pub rank: Option<Place>,
    /// Who drives it.
    pub driver: Driver,
    /// What is driven.
    pub vehicle: Vehicle,
}

/// A driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// First name.
    pub first_name: &'static str,
    /// Last name.
    pub last_name: &'static str,
    /// Date of birth, ISO 8601.
    pub birth_date: String,
    /// The number of the departement that issued the professional card.
    pub departement: String,
    /// The number of the professional card: no two drivers of a plan share it.
    pub professional_licence: String,
}

/// A vehicle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vehicle {
    /// The plate, `AA-123-BB`: no two vehicles of a plan share it.
    pub licence_plate: String,
    /// Who made it.
    pub constructor: &'static str,
    /// Its model.
    pub model: &'static str,
    /// What drives it.
    pub engine: &'static str,
    /// Its colour.
    pub color: &'static str,
    /// `sedan`, `mpv`, `station_wagon` or `normal`.
    pub body_type: &'static str,
    /// Seats for customers.
    pub nb_seats: u8,
    /// What it offers.
    pub offers: Offers,
}

/// What a vehicle offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a yes or no in the registry")]
pub struct Offers {
    /// American Express is taken.
    pub amex_accepted: bool,
    /// Cheques are taken.
    pub bank_check_accepted: bool,
    /// Wireless network.
    pub wifi: bool,
    /// A seat for a baby.
    pub baby_seat: bool,
    /// Bicycles are taken.
    pub bike_accepted: bool,
    /// Pets are taken.
    pub pet_accepted: bool,
    /// Fit for wheelchairs.
    pub vasp_handicap: bool,
    /// Rides may be charged to the health insurance.
    pub cpam_conventionne: bool,
}

/// `count` taxis, the operators in turn, the towns by their weight; the same for the same arguments. None
/// where there is no operator or no town.
pub fn plan(seed: u64, count: usize, operators: &[Operator], towns: &[Arc<Town>]) -> Vec<Plan> {
    let weight_sum: u32 = towns.iter().map(|town| town.weight()).sum();
    if operators.is_empty() || weight_sum == 0 {
        return Vec::new();
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let first_plate = rng.random_range(0..PLATES);
    let ranks: Vec<Vec<Place>> = towns.iter().map(|town| town.ranks()).collect();
    let mut licences = vec![0_u32; towns.len()];
    let mut plans = Vec::with_capacity(count);
    for (index, serial) in (0..count).zip(0_u64..) {
        let chosen = weighted(towns, rng.random_range(0..weight_sum));
        licences[chosen] += 1;
        let town = Arc::clone(&towns[chosen]);
        let (start, rank) = post(&town, &ranks[chosen], &mut rng);
        let plate = plate(first_plate.wrapping_add(serial.wrapping_mul(PLATE_STRIDE)) % PLATES);
        plans.push(Plan {
            operator: index % operators.len(),
            ads_numero: licences[chosen].to_string(),
            start,
            rank,
            driver: driver(town.departement(), serial, &mut rng),
            vehicle: vehicle(plate, &mut rng),
            town,
        });
    }
    plans
}

impl Plan {
    /// The taxi, ready to move.
    pub fn taxi(&self, rng: &mut StdRng) -> Taxi {
        Taxi::new(Arc::clone(&self.town), self.start, self.rank, rng)
    }
}

/// The index of the town on which `ticket` falls, each holding as many tickets as it weighs.
fn weighted(towns: &[Arc<Town>], ticket: u32) -> usize {
    let ends = towns.iter().scan(0, |end, town| {
        *end += town.weight();
        Some(*end)
    });
    ends.take_while(|&end| end <= ticket).count()
}

/// Where a taxi starts, and its rank.
fn post(town: &Town, ranks: &[Place], rng: &mut StdRng) -> (Place, Option<Place>) {
    let drawn = rng.random_range(0..100);
    let rank = match drawn {
        0..AT_BUSIEST_RANK => ranks.first(),
        AT_BUSIEST_RANK..AT_RANKS => ranks.get(rng.random_range(0..ranks.len().max(1))),
        _ => None,
    };
    match rank {
        Some(&sign) => {
            let place = town.random_place_near(sign, RANK_LENGTH_M, rng);
            (place, Some(place))
        }
        None => (town.random_place(rng), None),
    }
}

fn driver(departement: &str, serial: u64, rng: &mut StdRng) -> Driver {
    let year = rng.random_range(BIRTH_YEARS);
    let (month, day) = (rng.random_range(1..=12), rng.random_range(1..=28));
    Driver {
        first_name: one_of(&FIRST, rng),
        last_name: one_of(&LAST, rng),
        birth_date: format!("{year}-{month:02}-{day:02}"),
        departement: departement.to_owned(),
        professional_licence: format!("{departement:0>3}{:08}", serial + 1),
    }
}

fn vehicle(licence_plate: String, rng: &mut StdRng) -> Vehicle {
    let (constructor, model, engine, body_type, nb_seats) = one_of(&VEHICLES, rng);
    Vehicle {
        licence_plate,
        constructor,
        model,
        engine,
        color: one_of(&COLOURS, rng),
        body_type,
        nb_seats,
        offers: Offers {
            amex_accepted: rng.random_bool(0.6),
            bank_check_accepted: rng.random_bool(0.4),
            wifi: rng.random_bool(0.3),
            baby_seat: rng.random_bool(0.2),
            bike_accepted: rng.random_bool(0.15),
            pet_accepted: rng.random_bool(0.5),
            vasp_handicap: rng.random_bool(0.05),
            cpam_conventionne: rng.random_bool(0.3),
        },
    }
}

fn one_of<T: Copy, const N: usize>(list: &[T; N], rng: &mut StdRng) -> T {
    const { assert!(N > 0) };
    list[rng.random_range(0..N)]
}

/// Plates have no I, O or U, which look like 1, 0 and V.
const LETTERS: &[u8; 23] = b"ABCDEFGHJKLMNPQRSTVWXYZ";

/// How many plates [`plate`] can make: two letters, three digits from 001, two letters.
const PLATES: u64 = 527 * 999 * 528;

/// Far from plate to plate, and without a common factor with [`PLATES`], so that each comes once before any
/// returns.
const PLATE_STRIDE: u64 = 179_424_673;
const _: () = assert!(PLATE_STRIDE < PLATES && coprime(PLATES, PLATE_STRIDE));

const fn coprime(a: u64, b: u64) -> bool {
    if b == 0 { a == 1 } else { coprime(b, a % b) }
}

/// The plate of a number below [`PLATES`].
fn plate(number: u64) -> String {
    let (left, digits, right) = (number % 527, number / 527 % 999 + 1, number / (527 * 999));
    // SS is never issued, and WW on the left is for cars not yet registered: step over them, SS being before
    // WW.
    let left = left + u64::from(left >= SS);
    let (left, right) = (pair(left + u64::from(left >= WW)), pair(right + u64::from(right >= SS)));
    format!("{}{}-{digits:03}-{}{}", left[0], left[1], right[0], right[1])
}

const SS: u64 = 16 * 23 + 16;
const WW: u64 = 19 * 23 + 19;

fn pair(number: u64) -> [char; 2] {
    let letter = |digit: u64| usize::try_from(digit % 23).map_or('A', |at| char::from(LETTERS[at]));
    [letter(number / 23), letter(number)]
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::{LETTERS, Operator, PLATES, Plan, SS, WW, pair, plan, plate};
    use crate::fleet::taxi::Status;
    use crate::fleet::tests::demo_towns;
    use crate::fleet::town::Place;

    fn operators() -> Vec<Operator> {
        ["a", "b", "c"].map(|name| Operator { name: name.into(), key: format!("key of {name}") }).into()
    }

    fn fleet(seed: u64, count: usize) -> Vec<Plan> {
        plan(seed, count, &operators(), &demo_towns())
    }

    #[test]
    fn identifiers_are_unique_and_well_formed() {
        let fleet = fleet(1, 20_000);
        let plates: BTreeSet<_> = fleet.iter().map(|plan| &plan.vehicle.licence_plate).collect();
        let cards: BTreeSet<_> = fleet.iter().map(|plan| &plan.driver.professional_licence).collect();
        let licences: BTreeSet<_> = fleet.iter().map(|plan| (plan.town.insee(), &plan.ads_numero)).collect();
        assert_eq!((plates.len(), cards.len(), licences.len()), (20_000, 20_000, 20_000));
        for plate in plates {
            let ok = plate.bytes().enumerate().all(|(at, byte)| match at {
                2 | 6 => byte == b'-',
                3..=5 => byte.is_ascii_digit(),
                _ => LETTERS.contains(&byte),
            });
            assert!(ok && plate.len() == 9 && &plate[3..6] != "000", "{plate}");
        }
    }

    #[test]
    fn plates_begin_and_end_where_the_letters_do_and_skip_what_is_never_issued() {
        assert_eq!((plate(0), plate(PLATES - 1)), ("AA-001-AA".into(), "ZZ-999-ZZ".into()));
        assert_eq!((pair(SS), pair(WW)), (['S', 'S'], ['W', 'W']));
        let left: BTreeSet<String> = (0..527).map(|number| plate(number)[..2].to_owned()).collect();
        assert!(left.len() == 527 && !left.contains("SS") && !left.contains("WW"));
        let right: BTreeSet<String> =
            (0..528).map(|number| plate(number * 527 * 999)[7..].to_owned()).collect();
        assert!(right.len() == 528 && !right.contains("SS") && right.contains("WW"));
    }

    #[test]
    fn the_seed_decides_everything() {
        let text = |seed| format!("{:?}", fleet(seed, 50));
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }

    #[test]
    fn operators_take_turns_and_towns_share_by_weight() {
        let mut towns = BTreeMap::<String, u32>::new();
        for (index, plan) in fleet(1, 3_000).into_iter().enumerate() {
            assert_eq!(plan.operator, index % 3);
            *towns.entry(plan.town.insee().to_owned()).or_default() += 1;
        }
        assert_eq!(towns.len(), demo_towns().len());
        // 16 and 9 parts of 35.
        assert!((1_280..1_460).contains(&towns["75056"]), "{towns:?}");
        assert!((690..850).contains(&towns["69123"]), "{towns:?}");
    }

    #[test]
    fn starts_lie_inside_and_several_near_both_centres() {
        for seed in 0..20 {
            let fleet = fleet(seed, 500);
            assert!(fleet.iter().all(|plan| plan.town.contains(plan.start)));
            for (lat, lon) in [(48.8566, 2.3522), (45.7640, 4.8357)] {
                let near =
                    fleet.iter().filter(|plan| plan.start.distance_m(Place { lat, lon }) < 500.0).count();
                assert!(near >= 15, "{near}");
            }
        }
    }

    #[test]
    fn for_two_hours_a_search_in_either_centre_finds_several_free() {
        let centres = [Place { lat: 48.8566, lon: 2.3522 }, Place { lat: 45.7640, lon: 4.8357 }];
        let mut rng = StdRng::seed_from_u64(1);
        // Who waits there makes the difference; who passes by would only add to the count, and to the test's
        // time.
        let near = |plan: &&Plan| centres.iter().any(|&centre| plan.start.distance_m(centre) < 700.0);
        let mut taxis: Vec<_> = fleet(1, 500).iter().filter(near).map(|plan| plan.taxi(&mut rng)).collect();
        for minute in 0..120 {
            for centre in centres {
                let found = taxis
                    .iter()
                    .filter(|taxi| taxi.status() == Status::Free && taxi.place().distance_m(centre) < 500.0);
                let found = found.count();
                assert!(found >= 3, "minute {minute}: {found}");
            }
            for taxi in &mut taxis {
                taxi.step(60.0, &mut rng);
            }
        }
    }

    #[test]
    fn nobody_drives_for_no_operator_or_nowhere() {
        assert!(plan(1, 5, &[], &demo_towns()).is_empty());
        assert!(plan(1, 5, &operators(), &[]).is_empty());
        let plans = plan(1, 2, &operators(), &demo_towns()[..1]);
        assert_eq!(plans.iter().map(|plan| plan.ads_numero.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn the_card_is_of_the_departement_of_the_town() {
        for plan in fleet(1, 100) {
            assert_eq!(plan.driver.departement, plan.town.insee()[..2]);
            assert!(plan.driver.professional_licence.starts_with(&format!("0{}", plan.driver.departement)));
        }
    }
}
