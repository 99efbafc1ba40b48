//! Where customers stand when they look for a taxi: mostly where taxis are.

use rand::RngExt;
use rand::rngs::StdRng;

use super::taxi::Taxi;
use super::town::Place;

/// How far from a taxi its customer stands at most, in metres. Beyond 500, the greatest radius in which a
/// taxi is offered, so that some look in vain.
pub const APART_MAX_M: f64 = 600.0;

/// A customer near `taxi`, in its town.
pub fn beside(taxi: &Taxi, rng: &mut StdRng) -> Place {
    taxi.town().random_place_near(taxi.place(), APART_MAX_M, rng)
}

/// A customer near any of `taxis`, each with the same chance, so that there are most where taxis are; `None`
/// where there is no taxi.
pub fn somewhere(taxis: &[Taxi], rng: &mut StdRng) -> Option<Place> {
    if taxis.is_empty() {
        return None;
    }
    let index = rng.random_range(0..taxis.len());
    taxis.get(index).map(|taxi| beside(taxi, rng))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::{APART_MAX_M, somewhere};
    use crate::fleet::taxi::Taxi;
    use crate::fleet::tests::demo_town;

    #[test]
    fn customers_stand_in_a_town_within_reach_of_a_taxi() {
        let mut rng = StdRng::seed_from_u64(3);
        let towns = ["94080", "69123", "69123", "69123"].map(demo_town);
        let taxis = towns.each_ref().map(|town| {
            let start = town.random_place(&mut rng);
            Taxi::new(town.clone(), start, None, &mut rng)
        });
        let mut in_lyon = 0;
        for _ in 0..1_000 {
            let customer = somewhere(&taxis, &mut rng).unwrap();
            let near = |taxi: &&Taxi| taxi.place().distance_m(customer) < APART_MAX_M + 0.2;
            assert!(taxis.iter().filter(near).any(|taxi| taxi.town().contains(customer)));
            in_lyon += u32::from(towns[1].contains(customer));
        }
        // Three taxis of four are there.
        assert!((690..810).contains(&in_lyon), "{in_lyon}");
    }

    #[test]
    fn without_taxis_there_are_no_customers() {
        assert_eq!(somewhere(&[], &mut StdRng::seed_from_u64(3)), None);
    }
}
