//! Pages of drivers, vehicles and ADS: operators list what they registered, administrators everybody's. The API has no
//! such lists; the console shows them.

use crate::app::App;
use crate::auth::Caller;
use crate::error::Answer;
use crate::form::envelope::Paged;
use crate::form::filters::Filters;
use crate::form::query::{Page, Query};
use crate::role::{REGISTRARS, Role};
use crate::store::listings::{ListedAds, ListedDriver, ListedVehicle, Listing};

/// Drivers. When one was born is told to who registered it alone.
pub(crate) async fn drivers(
    app: &App,
    caller: &Caller,
    query: &Query,
    per_page: i64,
) -> Answer<Paged<ListedDriver>> {
    let (asked, page) =
        asked(caller, query, &["last_name", "professional_licence", "departement"], per_page)?;
    let (mut rows, total) = app.registry.store().drivers(&asked, page.limit_offset()).await?;
    for others in rows.iter_mut().filter(|row| row.operator_id != caller.0.id) {
        others.birth_date = None;
    }
    Ok(Paged::new(rows, page.meta(total)))
}

/// Vehicles, as operators describe them.
pub(crate) async fn vehicles(
    app: &App,
    caller: &Caller,
    query: &Query,
    per_page: i64,
) -> Answer<Paged<ListedVehicle>> {
    let (asked, page) = asked(caller, query, &["licence_plate", "constructor", "model"], per_page)?;
    let (rows, total) = app.registry.store().vehicles(&asked, page.limit_offset()).await?;
    Ok(Paged::new(rows, page.meta(total)))
}

/// ADS.
pub(crate) async fn ads(
    app: &App,
    caller: &Caller,
    query: &Query,
    per_page: i64,
) -> Answer<Paged<ListedAds>> {
    let (asked, page) = asked(caller, query, &["numero", "insee", "owner_name"], per_page)?;
    let (rows, total) = app.registry.store().ads(&asked, page.limit_offset()).await?;
    Ok(Paged::new(rows, page.meta(total)))
}

/// What the store is asked: what columns begin like, and whose rows.
fn asked(caller: &Caller, query: &Query, columns: &[&'static str], per_page: i64) -> Answer<(Listing, Page)> {
    caller.require(REGISTRARS)?;
    let mut filters = Filters::of(query);
    let beginnings = columns.iter().map(|column| (*column, filters.beginnings(column))).collect();
    let of = (!caller.0.has(Role::Admin)).then_some(caller.0.id);
    Ok((Listing { of, beginnings }, filters.page()?.of(per_page)))
}
