//! What an app may see of a taxi: enough to render a search from memory.

use ingest::position::OperatorKey;

use crate::store::projected::ProjectedRow;

/// A taxi's card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The taxi's id, as its operators know it.
    pub public_id: String,
    /// The plate; shown to administrators alone before a hail.
    pub licence_plate: String,
    /// What each operator says of the vehicle, by operator.
    faces: Vec<(OperatorKey, Face)>,
}

/// What one operator says of the vehicle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Face {
    /// Model.
    pub model: Option<String>,
    /// Constructor.
    pub constructor: Option<String>,
    /// Motorisation.
    pub engine: String,
    /// Seats.
    pub nb_seats: Option<i32>,
    /// What it offers, in the contract's words and order.
    pub characteristics: Vec<&'static str>,
}

impl Card {
    /// From the rows of one taxi; None without rows.
    pub(super) fn new(rows: &[ProjectedRow<'_>]) -> Option<Self> {
        let first = rows.first()?;
        let mut faces = rows
            .iter()
            .map(|row| Some((OperatorKey(u32::try_from(row.operator_id).ok()?), Face::new(row))))
            .collect::<Option<Vec<_>>>()?;
        faces.sort_by_key(|(operator, _)| *operator);
        let (public_id, licence_plate) = (first.public_id.to_string(), first.licence_plate.to_string());
        Some(Self { public_id, licence_plate, faces })
    }

    /// What `operator` says of the vehicle.
    pub fn face(&self, operator: OperatorKey) -> Option<&Face> {
        self.faces.binary_search_by_key(&operator, |(key, _)| *key).ok().map(|at| &self.faces[at].1)
    }
}

impl Face {
    fn new(row: &ProjectedRow<'_>) -> Self {
        Self {
            model: non_empty(&row.model),
            constructor: non_empty(&row.constructor),
            engine: row.engine.to_string(),
            nb_seats: row.nb_seats,
            characteristics: characteristics(std::array::from_fn(|bit| Some(row.offers >> bit & 1 == 1))),
        }
    }
}

/// The contract's names of what a vehicle offers, in its order, for the flags that are true.
pub fn characteristics(flags: [Option<bool>; 7]) -> Vec<&'static str> {
    const NAMES: [&str; 7] = [
        "pet_accepted",
        "bike_accepted",
        "baby_seat",
        "wifi",
        "vasp_handicap",
        "amex_accepted",
        "bank_check_accepted",
    ];
    NAMES.into_iter().zip(flags).filter(|(_, flag)| *flag == Some(true)).map(|(name, _)| name).collect()
}

/// The contract shows an empty model or constructor as null.
pub fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
