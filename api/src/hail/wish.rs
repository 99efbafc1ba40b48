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
                    match self.taxi_phone_number.as_deref().filter(|number| *number != HIDDEN_PHONE_NUMBER) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hail::Event;

    const OPERATOR: Sides = Sides { operator: true, app: false };
    const APP: Sides = Sides { operator: false, app: true };

    fn hail(status: Status) -> HailRow {
        HailRow {
            id: "h".to_owned(),
            session_id: "s".to_owned(),
            app_id: 1,
            operator_id: 2,
            operator_email: "op".to_owned(),
            taxi_id: 3,
            public_taxi_id: "t".to_owned(),
            shown_taxi_id: "p".to_owned(),
            description_id: 4,
            vehicle_id: 5,
            taxi_status: "answering".to_owned(),
            has_taxi: true,
            licence_plate: "AB-123-CD".to_owned(),
            color: String::new(),
            driver_first_name: String::new(),
            driver_last_name: String::new(),
            taxi_phone_number: String::new(),
            customer_id: "ann".to_owned(),
            customer_lat_e7: 488_600_000,
            customer_lon_e7: 23_500_000,
            customer_address: "1 rue X".to_owned(),
            customer_phone_number: "0611111111".to_owned(),
            status,
            status_at: 0,
            transitions: 1,
            deadline_at: Some(1),
            call_due_at: None,
            incident_taxi_reason: None,
            incident_customer_reason: None,
            reporting_customer: None,
            reporting_customer_reason: None,
            rating_ride: None,
            rating_ride_reason: None,
            declined_by_taxi_reason: None,
            declined_after_ms: None,
            created_at: 0,
        }
    }

    fn wish(status: Status) -> Wish {
        Wish { status: Some(status), ..Wish::default() }
    }

    #[test]
    fn whoever_puts_back_what_was_shown_changes_nothing() {
        let shown = Wish {
            status: Some(Status::ReceivedByTaxi),
            taxi_phone_number: Some(HIDDEN_PHONE_NUMBER.to_owned()),
            customer_phone_number: Some(HIDDEN_PHONE_NUMBER.to_owned()),
            customer_lat_e7: Some(488_600_000),
            customer_lon_e7: Some(23_500_000),
            customer_address: Some("1 rue X".to_owned()),
            rating_ride: Some(None),
            reporting_customer: Some(None),
            ..Wish::default()
        };
        for sides in [OPERATOR, APP] {
            let step = shown.decide(&hail(Status::ReceivedByTaxi), sides).unwrap();
            assert!(step.event.is_none() && step.row.is_none(), "{step:?}");
        }
    }

    #[test]
    fn a_taxi_that_accepts_can_be_called() {
        let received = hail(Status::ReceivedByTaxi);
        let mut accepts = wish(Status::AcceptedByTaxi);
        assert_eq!(accepts.decide(&received, OPERATOR).unwrap_err(), Refusal::NoPhoneNumber);
        accepts.taxi_phone_number = Some(String::new());
        assert_eq!(accepts.decide(&received, OPERATOR).unwrap_err(), Refusal::NoPhoneNumber);
        // The operator's server may have given it before.
        let known = HailRow { taxi_phone_number: "06".to_owned(), ..received.clone() };
        assert_eq!(accepts.decide(&known, OPERATOR).unwrap().event, Some(Event::AcceptedByTaxi));
        accepts.taxi_phone_number = Some("07".to_owned());
        let step = accepts.decide(&known, OPERATOR).unwrap();
        assert_eq!(step.row.unwrap().taxi_phone_number, "07");
        // Else it does not count.
        let alone = Wish { taxi_phone_number: Some("07".to_owned()), ..Wish::default() };
        assert!(alone.decide(&known, OPERATOR).unwrap().row.is_none());
    }

    #[test]
    fn reasons_against_a_wish_have_an_order() {
        let (finished, boarded) = (Status::Finished, Status::CustomerOnBoard);
        let over = wish(boarded).decide(&hail(finished), APP).unwrap_err();
        assert_eq!(over, Refusal::Over(finished, boarded));
        let received = hail(Status::Received);
        let no_number = wish(Status::AcceptedByTaxi).decide(&received, APP).unwrap_err();
        assert_eq!(no_number, Refusal::NoPhoneNumber, "before whether it is possible, and whose it is");
        let impossible = wish(finished).decide(&received, APP).unwrap_err();
        assert_eq!(impossible, Refusal::Impossible(Status::Received, finished));
        let theirs = wish(Status::DeclinedByCustomer).decide(&received, OPERATOR).unwrap_err();
        assert_eq!(theirs, Refusal::NotTheirs(Sender::App, Status::Received, Status::DeclinedByCustomer));
        let nobodys =
            wish(Status::Failure).decide(&received, Sides { operator: true, app: true }).unwrap_err();
        assert_eq!(nobodys, Refusal::Impossible(Status::Received, Status::Failure));
        let two =
            Wish { rating_ride: Some(Some(3)), reporting_customer: Some(Some(true)), ..Wish::default() };
        assert_eq!(two.decide(&received, APP).unwrap_err(), Refusal::Field("reporting_customer"));
        assert_eq!(two.decide(&received, OPERATOR).unwrap_err(), Refusal::Field("rating_ride"));
    }
}
