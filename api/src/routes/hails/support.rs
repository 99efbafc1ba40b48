//! `GET /internal/customers`: hails as those see them who help customers.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::list::{STATUS, statuses};
use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::envelope::Paged;
use crate::form::filters::{Filters, too_many};
use crate::form::query::{Extent, Query};
use crate::limits::SUPPORT_PER_PAGE;
use crate::openapi::{Chapter, Operation};
use crate::role::ADMINISTRATORS;
use crate::routes::naive_timestamp;
use crate::store::hails::lists::{HailFilter, ListedRow};

/// A hail is listed once it is older than that: who helps looks at what has ended.
const SETTLED: Duration = Duration::from_hours(12);

/// A hail and how to reach both sides of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SupportedHail)]
pub struct SupportedHailAnswer {
    /// Its id.
    pub id: String,
    /// When it was made: ISO 8601 in UTC, without an offset.
    pub added_at: String,
    /// How long it took until it changed last: hours, minutes and seconds.
    pub duration: String,
    /// Email of the search app.
    pub moteur: String,
    /// Email of the operator.
    pub operateur: String,
    /// Where it stands.
    pub status: &'static str,
    /// Longitude of the customer in degrees.
    pub customer_lon: f64,
    /// Latitude of the customer in degrees.
    pub customer_lat: f64,
    /// Where the taxi was to go.
    pub customer_address: String,
    /// The customer's phone number.
    pub customer_phone_number: String,
    /// The taxi's phone number, if it gave one.
    pub taxi_phone_number: String,
}

/// A page of settled hails, the newest first.
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Paged<SupportedHailAnswer>>> {
    Ok(Json(found(&app, &caller, &query, Extent::whole(SUPPORT_PER_PAGE)).await?))
}

/// The same, so many hails at once.
pub(crate) async fn found(
    app: &App,
    caller: &Caller,
    query: &Query,
    extent: Extent,
) -> Answer<Paged<SupportedHailAnswer>> {
    caller.require(ADMINISTRATORS)?;
    let accounts = app.registry.accounts();
    let mut filters = Filters::of(query);
    let settled_ms = i64::try_from(SETTLED.as_millis()).unwrap_or(i64::MAX);
    let filter = HailFilter {
        ids: filters.beginnings("id"),
        apps: accounts.beginning(&filters.beginnings("moteur")),
        operators: accounts.beginning(&filters.beginnings("operateur")),
        statuses: statuses(&mut filters),
        before: Some(app.clock.now().0 - settled_ms),
        ..HailFilter::default()
    };
    let page = filters.page()?.of(extent.per_page);
    let (rows, total) = app.registry.store().hails(&filter, page.limit_offset(), extent.counted).await?;
    Ok(Paged::new(rows.iter().map(render).collect(), page.meta(total)))
}

/// `GET /internal/customers` in the reference.
pub fn describe_list() -> Operation {
    let about = "For customer support: hails made more than twelve hours ago, the newest first, with the phone numbers \
                 of both sides. Texts are beginnings, without regard to case.";
    let hail = SupportedHailAnswer {
        id: "h7KqYbW".to_owned(),
        added_at: "2026-11-25T07:30:00.123456".to_owned(),
        duration: "0:21:40".to_owned(),
        moteur: "my-app".to_owned(),
        operateur: "my-taxis".to_owned(),
        status: "finished",
        customer_lon: 2.3505,
        customer_lat: 48.855,
        customer_address: "25 rue Quincampoix 75004 Paris".to_owned(),
        customer_phone_number: "0678901234".to_owned(),
        taxi_phone_number: "0612345678".to_owned(),
    };
    Operation::new(Chapter::Hails, "Hails and how to reach both sides of them, page by page", about)
        .roles(ADMINISTRATORS)
        .pages()
        .filter("id", "Only hails whose id begins with one of these.")
        .filter("moteur", "Only hails of search apps whose email begins with one of these.")
        .filter("operateur", "Only hails of operators whose email begins with one of these.")
        .filter_of("status", &STATUS, "Only hails that stand at one of these.")
        .page_of(SUPPORT_PER_PAGE, "A page of hails.", &[hail])
        .refuses_with("Too many values.", &too_many("id"))
}

fn render(row: &ListedRow) -> SupportedHailAnswer {
    SupportedHailAnswer {
        id: row.id.clone(),
        added_at: naive_timestamp(row.created_at),
        duration: duration(row.updated_at - row.created_at),
        moteur: row.app_email.clone(),
        operateur: row.operator_email.clone(),
        status: row.status.as_str(),
        customer_lon: f64::from(row.customer_lon_e7) / 1e7,
        customer_lat: f64::from(row.customer_lat_e7) / 1e7,
        customer_address: row.customer_address.clone(),
        customer_phone_number: row.customer_phone_number.clone(),
        taxi_phone_number: row.taxi_phone_number.clone(),
    }
}

/// Milliseconds as `H:MM:SS`, cut to seconds.
fn duration(ms: i64) -> String {
    let s = ms.max(0) / 1000;
    format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_cut_to_seconds() {
        assert_eq!(duration(0), "0:00:00");
        assert_eq!(duration(10_999), "0:00:10");
        // As in the contract's worked example.
        let lasted_s = [1_300, 530, 20, 1_576, 42, 40, 7_824, 10];
        assert_eq!(
            lasted_s.map(|s| duration(s * 1_000)),
            ["0:21:40", "0:08:50", "0:00:20", "0:26:16", "0:00:42", "0:00:40", "2:10:24", "0:00:10"]
        );
        assert_eq!(duration(26 * 3_600_000), "26:00:00");
    }
}
