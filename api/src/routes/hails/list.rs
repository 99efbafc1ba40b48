//! `GET /hails`: the hails that somebody had to do with.

use std::ops::Range;

use axum::Json;
use axum::extract::State;
use chrono::{Days, NaiveDate, NaiveTime};
use serde::Serialize;
use utoipa::ToSchema;

use super::SHOWN_MS;
use super::answer::{Eyes, shown_operator};
use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::envelope::Paged;
use crate::form::filters::{Filters, too_many};
use crate::form::kind::OneOf;
use crate::form::moment::SlashedDay;
use crate::form::query::{Extent, Query};
use crate::hail::Status;
use crate::limits::PER_PAGE;
use crate::openapi::{Chapter, Operation};
use crate::role::{Role, SEARCHERS};
use crate::routes::naive_timestamp;
use crate::routes::search::NEUTRAL_OPERATOR;
use crate::store::hails::lists::{HailFilter, ListedRow, Whose};

/// A hail in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ListedHail)]
pub struct ListedHailAnswer {
    /// Its id.
    pub id: String,
    /// Email of the search app.
    pub added_by: String,
    /// Email of the operator, or what stands in its place for search apps.
    pub operateur: String,
    /// Where it stands.
    pub status: &'static str,
    /// When it was made: ISO 8601 in UTC, without an offset.
    pub creation_datetime: String,
    /// The taxi's id; search apps see the pseudonym under which they hailed it.
    pub taxi_id: String,
    /// The customer, as the app names them.
    pub customer_id: String,
}

/// A page of the caller's hails, the newest first.
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Answer<Json<Paged<ListedHailAnswer>>> {
    Ok(Json(found(&app, &caller, &query, Extent::whole(PER_PAGE)).await?))
}

/// The same, so many hails at once.
pub(crate) async fn found(
    app: &App,
    caller: &Caller,
    query: &Query,
    extent: Extent,
) -> Answer<Paged<ListedHailAnswer>> {
    caller.require(SEARCHERS)?;
    let is_admin = caller.0.has(Role::Admin);
    let accounts = app.registry.accounts();
    let mut filters = Filters::of(query);
    // Whom others may not see they may not ask for, either.
    let operators = Some(filters.beginnings("operateur")).filter(|_| is_admin).unwrap_or_default();
    let filter = HailFilter {
        whose: if is_admin {
            Whose::Everybodys
        } else {
            let (as_app, as_operator) = (caller.0.has(Role::Moteur), caller.0.has(Role::Operateur));
            Whose::Account { id: caller.0.id, as_app, as_operator }
        },
        ids: filters.beginnings("id"),
        apps: accounts.beginning(&filters.beginnings("moteur")),
        operators: accounts.beginning(&operators),
        taxis: filters.beginnings("taxi_id"),
        customers: filters.beginnings("customer_id"),
        statuses: statuses(&mut filters),
        made: filters.values("date", &SlashedDay).into_iter().map(within).collect(),
        since: (!is_admin).then(|| app.clock.now().0 - SHOWN_MS),
        before: None,
        repeated: !filters.values("repeated", &REPEATED).is_empty(),
    };
    let page = filters.page()?.of(extent.per_page);
    let (rows, total) = app.registry.store().hails(&filter, page.limit_offset(), extent.counted).await?;
    let render = |row: &ListedRow| {
        // None is listed that is not the caller's.
        let eyes = Eyes::of(&caller.0, row.operator_id, row.app_id).unwrap_or(Eyes::App);
        ListedHailAnswer {
            id: row.id.clone(),
            added_by: row.app_email.clone(),
            operateur: shown_operator(app, eyes, &row.operator_email),
            status: row.status.as_str(),
            creation_datetime: naive_timestamp(row.created_at),
            taxi_id: eyes.taxi_id(&row.shown_taxi_id, &row.public_taxi_id).to_owned(),
            customer_id: row.customer_id.clone(),
        }
    };
    Ok(Paged::new(rows.iter().map(render).collect(), page.meta(total)))
}

/// `GET /hails` in the reference.
pub fn describe_list() -> Operation {
    let about = "The newest first: for a search app those that it made, for an operator those of its taxis, of the \
                 last 60 days; for administrators all. Texts are beginnings, without regard to case.";
    let hail = ListedHailAnswer {
        id: "h7KqYbW".to_owned(),
        added_by: "my-app".to_owned(),
        operateur: NEUTRAL_OPERATOR.to_owned(),
        status: "finished",
        creation_datetime: "2026-11-25T07:30:00.123456".to_owned(),
        taxi_id: "u3bQ0yVnXw7sZkWlTqPa1g".to_owned(),
        customer_id: "customer-1".to_owned(),
    };
    Operation::new(Chapter::Hails, "The caller's hails, page by page", about)
        .roles(SEARCHERS)
        .pages()
        .filter("id", "Only hails whose id begins with one of these.")
        .filter("moteur", "Only hails of search apps whose email begins with one of these.")
        .filter(
            "operateur",
            "Only hails of operators whose email begins with one of these; for administrators.",
        )
        .filter("taxi_id", "Only hails of taxis whose id, as the caller knows it, begins with one of these.")
        .filter("customer_id", "Only hails of customers whose id begins with one of these.")
        .filter_of("status", &STATUS, "Only hails that stand at one of these.")
        .filter_of("date", &SlashedDay, "Only hails made on one of these days, in UTC.")
        .filter_of(
            "repeated",
            &REPEATED,
            "Only hails asked for again under their `Idempotency-Key`, of 24 hours.",
        )
        .page("A page of hails.", &[hail])
        .refuses_with("Too many values.", &too_many("id"))
}

/// Where a hail stands, as an argument.
pub(super) const STATUS: OneOf = OneOf(Status::NAMES);

/// That only hails are wanted which were asked for again.
const REPEATED: OneOf = OneOf(&["true"]);

/// The statuses that are asked for.
pub(super) fn statuses(filters: &mut Filters<'_>) -> Vec<Status> {
    let names = filters.values("status", &STATUS);
    names.into_iter().filter_map(|name| Status::try_from(name.to_owned()).ok()).collect()
}

/// A day in UTC, in milliseconds since 1970.
pub(crate) fn within(day: NaiveDate) -> Range<i64> {
    let begin = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
    let next = day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
    begin(day)..begin(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_where_the_next_begins() {
        let day = |day| within(NaiveDate::from_ymd_opt(1970, 1, day).unwrap());
        assert_eq!(day(1), 0..86_400_000);
        assert_eq!(day(2).start, day(1).end);
    }
}
