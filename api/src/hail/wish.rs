//! What somebody wishes of a hail, and whether they may have it: pure.

use super::{Sender, Status, next};
use crate::store::hails::HailRow;
use crate::store::hails::change::Step;

/// Shown in place of phone numbers until a taxi is on its way; what was shown is not taken back as a wish.
pub const HIDDEN_PHONE_NUMBER: &str = "0600000000";

/// What is to change; None leaves it. An inner None clears it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    /// Where the hail is to stand.
    pub status: Option<Status>,
    /// The taxi's phone number, which counts when it accepts.
    pub taxi_phone_number: Option<String>,
    /// Why the taxi cannot go on.
    pub incident_taxi_reason: Option<Option<&'static str>>,
    /// Whether the customer misbehaved.
    pub reporting_customer: Option<Option<bool>>,
    /// How.
    pub reporting_customer_reason: Option<Option<&'static str>>,
    /// The ground of a refusal.
    pub declined_by_taxi_reason: Option<Option<&'static str>>,
    /// Longitude of the customer, in 1e-7 degrees.
    pub customer_lon_e7: Option<i32>,
    /// Latitude of the customer, in 1e-7 degrees.
    pub customer_lat_e7: Option<i32>,
    /// Where the taxi is to go.
    pub customer_address: Option<String>,
    /// The customer's phone number.
    pub customer_phone_number: Option<String>,
    /// The customer's mark.
    pub rating_ride: Option<Option<i32>>,
    /// What for.
    pub rating_ride_reason: Option<Option<&'static str>>,
    /// Why the customer cannot go on.
    pub incident_customer_reason: Option<Option<&'static str>>,
}

/// Which sides of a hail somebody is on; an administrator is on both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides {
    /// The operator's.
    pub operator: bool,
    /// The search app's.
    pub app: bool,
}

/// Why a wish is not granted: nothing of it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The hail has come to its end.
    Over(Status, Status),
    /// A taxi that accepts can be called.
    NoPhoneNumber,
    /// The one status does not lead to the other.
    Impossible(Status, Status),
    /// It does, by somebody else.
    NotTheirs(Sender, Status, Status),
    /// The field is the other side's.
    Field(&'static str),
    /// Only a refusal has a ground.
    NotRefused,
}

impl Wish {
    /// What is to happen to a hail of which somebody on these sides wishes this. The order in which reasons against it
    /// are looked for is the contract's.
    pub fn decide(&self, hail: &HailRow, sides: Sides) -> Result<Step, Refusal> {
        let mut row = hail.clone();
        let event = match self.status.filter(|wished| *wished != hail.status) {
            None => None,
            Some(wished) => {
                if hail.status.is_end() {
                    return Err(Refusal::Over(hail.status, wished));
                }
                if wished == Status::AcceptedByTaxi {
                    match self.taxi_phone_number.as_deref() {
                        Some(number) if !number.is_empty() => number.clone_into(&mut row.taxi_phone_number),
                        _ if hail.taxi_phone_number.is_empty() => return Err(Refusal::NoPhoneNumber),
                        _ => {}
                    }
                }
                let event = wished.wished().filter(|event| next(hail.status, *event) == Some(wished));
                let event = event.ok_or(Refusal::Impossible(hail.status, wished))?;
                if !sides.are(event.sender()) {
                    return Err(Refusal::NotTheirs(event.sender(), hail.status, wished));
                }
                Some(event)
            }
        };
        let mut fields = Fields { differ: row.taxi_phone_number != hail.taxi_phone_number };
        self.set_operators(&mut row, sides.operator, &mut fields)?;
        self.set_apps(&mut row, sides.app, &mut fields)?;
        Ok(Step { event, row: fields.differ.then(|| Box::new(row)), ..Step::default() })
    }

    fn set_operators(&self, row: &mut HailRow, own: bool, fields: &mut Fields) -> Result<(), Refusal> {
        fields.set(
            "incident_taxi_reason",
            own,
            &mut row.incident_taxi_reason,
            text(self.incident_taxi_reason),
        )?;
        fields.set("reporting_customer", own, &mut row.reporting_customer, self.reporting_customer)?;
        let reason = text(self.reporting_customer_reason);
        fields.set("reporting_customer_reason", own, &mut row.reporting_customer_reason, reason)?;
        let ground = text(self.declined_by_taxi_reason);
        let is_new = ground.as_ref().is_some_and(|ground| *ground != row.declined_by_taxi_reason);
        fields.set("declined_by_taxi_reason", own, &mut row.declined_by_taxi_reason, ground)?;
        if is_new && self.status.unwrap_or(row.status) != Status::DeclinedByTaxi {
            return Err(Refusal::NotRefused);
        }
        Ok(())
    }

    fn set_apps(&self, row: &mut HailRow, own: bool, fields: &mut Fields) -> Result<(), Refusal> {
        fields.set("customer_lon", own, &mut row.customer_lon_e7, self.customer_lon_e7)?;
        fields.set("customer_lat", own, &mut row.customer_lat_e7, self.customer_lat_e7)?;
        fields.set("customer_address", own, &mut row.customer_address, self.customer_address.clone())?;
        fields.set("rating_ride", own, &mut row.rating_ride, self.rating_ride)?;
        fields.set("rating_ride_reason", own, &mut row.rating_ride_reason, text(self.rating_ride_reason))?;
        let reason = text(self.incident_customer_reason);
        fields.set("incident_customer_reason", own, &mut row.incident_customer_reason, reason)?;
        // Whoever puts back what was shown puts back a hidden number, and no operator is to be refused for it.
        let number = self.customer_phone_number.clone().filter(|number| own && number != HIDDEN_PHONE_NUMBER);
        fields.set("customer_phone_number", own, &mut row.customer_phone_number, number)
    }
}

fn text(wish: Option<Option<&'static str>>) -> Option<Option<String>> {
    wish.map(|text| text.map(str::to_owned))
}

impl Sides {
    fn are(self, sender: Sender) -> bool {
        match sender {
            Sender::Operator => self.operator,
            Sender::App => self.app,
            Sender::Registry => false,
        }
    }
}

/// Whether any field differs so far.
struct Fields {
    differ: bool,
}

impl Fields {
    /// Sets what differs, if the field is one's own.
    fn set<T: PartialEq>(
        &mut self,
        field: &'static str,
        is_own: bool,
        column: &mut T,
        wish: Option<T>,
    ) -> Result<(), Refusal> {
        let Some(value) = wish.filter(|value| value != column) else { return Ok(()) };
        if !is_own {
            return Err(Refusal::Field(field));
        }
        *column = value;
        self.differ = true;
        Ok(())
    }
}
