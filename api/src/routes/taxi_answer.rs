//! What is shown of a taxi: all of it to its operator, little of it to search apps before a hail.

use serde::Serialize;
use utoipa::ToSchema;

/// A taxi.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Taxi)]
pub struct TaxiAnswer {
    /// Its id; search apps see a pseudonym, good for an hour.
    pub id: String,
    /// Email of its operator, or what stands in its place for search apps.
    pub operator: String,
    /// `free`, `occupied`, `off`, or what a hail makes of it.
    pub status: String,
    /// Within how many metres of the customer it wants to be found; null is the default.
    pub radius: Option<i32>,
    /// Has no meaning any more.
    pub rating: Option<i32>,
    /// Metres to the customer; null outside searches.
    pub crowfly_distance: Option<f64>,
    /// When it was added: ISO 8601 in UTC, without an offset.
    pub added_at: String,
    /// When its position was received, in seconds since 1970.
    pub last_update: Option<i64>,
    /// Its last position.
    pub position: PositionPart,
    /// Its vehicle, as its operator describes it.
    pub vehicle: VehiclePart,
    /// Its ADS.
    pub ads: AdsPart,
    /// Its driver.
    pub driver: DriverPart,
}

/// A position.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = TaxiPosition)]
pub struct PositionPart {
    /// Longitude in degrees.
    pub lon: Option<f64>,
    /// Latitude in degrees.
    pub lat: Option<f64>,
}

/// A taxi's vehicle.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TaxiVehicle)]
pub struct VehiclePart {
    /// Its plate.
    pub licence_plate: String,
    /// Model.
    pub model: Option<String>,
    /// Constructor.
    pub constructor: Option<String>,
    /// Colour.
    pub color: String,
    /// Motorisation.
    pub engine: String,
    /// Seats for passengers.
    pub nb_seats: Option<i32>,
    /// What it offers.
    pub characteristics: Vec<&'static str>,
    /// Kind of body.
    #[serde(rename = "type")]
    pub body: Option<String>,
    /// Whether it has an agreement with the health insurance.
    pub cpam_conventionne: Option<bool>,
}

/// A taxi's ADS.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = TaxiAds)]
pub struct AdsPart {
    /// Its number in its town.
    pub numero: String,
    /// INSEE code of the town.
    pub insee: String,
    /// Number of the vehicle it is used with.
    pub vehicle_id: Option<i32>,
    /// `individual` or `company`.
    pub owner_type: Option<String>,
    /// Whose it is.
    pub owner_name: String,
    /// Whether two drivers share it.
    pub doublage: Option<bool>,
    /// Always empty.
    pub category: String,
    /// The town.
    pub town: TownPart,
}

/// An ADS's town.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = TaxiTown)]
pub struct TownPart {
    /// Its name.
    pub name: String,
}

/// A taxi's driver.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = TaxiDriver)]
pub struct DriverPart {
    /// Number of the professional card.
    pub professional_licence: String,
    /// Number of the departement that gave it.
    pub departement: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
}

impl TaxiAnswer {
    /// A free taxi of Paris, as its operator sees it.
    pub fn example() -> Self {
        Self {
            id: "yCnSfFy".to_owned(),
            operator: "my-taxis".to_owned(),
            status: "free".to_owned(),
            radius: Some(300),
            rating: None,
            crowfly_distance: None,
            added_at: "2026-11-25T07:30:00.123456".to_owned(),
            last_update: Some(1_795_591_800),
            position: PositionPart { lon: Some(2.3522), lat: Some(48.8566) },
            vehicle: VehiclePart {
                licence_plate: "AB-123-CD".to_owned(),
                model: Some("508".to_owned()),
                constructor: Some("Peugeot".to_owned()),
                color: "noir".to_owned(),
                engine: String::new(),
                nb_seats: Some(4),
                characteristics: vec!["wifi"],
                body: Some("sedan".to_owned()),
                cpam_conventionne: None,
            },
            ads: AdsPart {
                numero: "1".to_owned(),
                insee: "75056".to_owned(),
                owner_type: Some("individual".to_owned()),
                owner_name: "Ada Martin".to_owned(),
                town: TownPart { name: "Paris".to_owned() },
                ..AdsPart::default()
            },
            driver: DriverPart {
                professional_licence: "L1".to_owned(),
                departement: "75".to_owned(),
                first_name: "Ada".to_owned(),
                last_name: "Martin".to_owned(),
            },
        }
    }
}
