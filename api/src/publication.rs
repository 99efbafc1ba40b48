//! Statistics of a month are published once all of it is known, and then stay as they are: there is no second version,
//! whatever is told of the month later. Two would tell, each for itself, of nobody; their difference would, of whoever
//! is in one alone.
//!
//! What would tell of somebody is left out by `analytics::suppress`. A file is made once, by one process, and kept as
//! rows: every process gives the same, whatever becomes of what it was made of. So are places ([`places`]), of which
//! there is another version whenever they are others.

use std::collections::{BTreeSet, HashMap};
use std::io::Write as _;
use std::ops::Range;

use analytics::encode::EncodeError;
use analytics::footer::BadFile;
use analytics::opendata::{COUNTRY, Column, Given, Month, Published, Tables};
use analytics::suppress::{Rule, SIDES};
use chrono::{Months, NaiveDate};
use flate2::Compression;
use flate2::write::GzEncoder;
use ingest::clock::Millis;
use ingest::position::LatLon;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::limits::DAILY_LEASE;
use crate::secrets::hex;
use crate::statistics::calendar::{DAY_MS, begin, date, first_of_month};
use crate::statistics::conurbations::GROWING;
use crate::store::daily::Run;
use crate::store::releases::{NewFile, NewRelease};
use crate::store::statistics::published::{MonthsHail, MonthsHours};
use crate::store::{Result, StoreError};

pub mod places;
mod presence;

/// A table that is published each month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dataset {
    /// Hails by town.
    Hails,
    /// Hails by H3 cell.
    HailsByCell,
    /// Hours of connected taxis by town.
    Availability,
    /// Minutes of connected taxis by H3 cell.
    AvailabilityByCell,
}

impl Dataset {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Hails, Self::HailsByCell, Self::Availability, Self::AvailabilityByCell];

    /// Its name, in addresses and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hails => "hails",
            Self::HailsByCell => "hails-by-cell",
            Self::Availability => "availability",
            Self::AvailabilityByCell => "availability-by-cell",
        }
    }

    /// Its columns of figures. Parts are outcomes of hails, or quarters of the day.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Hails => &HAILS,
            Self::HailsByCell => &HAILS[..HAILS_BY_CELL],
            Self::Availability => &AVAILABILITY,
            Self::AvailabilityByCell => &AVAILABILITY_BY_CELL,
        }
    }
}

/// Named as in `/stats/hails`, the more important first.
static HAILS: [Column; 11] = [
    Column { name: "hails_received", part: None },
    Column { name: "hails_finished", part: Some("finished") },
    Column { name: "hails_declined_by_taxi", part: Some("declined_by_taxi") },
    Column { name: "hails_declined_by_customer", part: Some("declined_by_customer") },
    Column { name: "hails_timeout_taxi", part: Some("timeout_taxi") },
    Column { name: "hails_timeout_ride", part: Some("timeout_ride") },
    Column { name: "hails_timeout_customer", part: Some("timeout_customer") },
    Column { name: "hails_timeout_accepted_by_customer", part: Some("timeout_accepted_by_customer") },
    Column { name: "hails_incident_taxi", part: Some("incident_taxi") },
    Column { name: "hails_incident_customer", part: Some("incident_customer") },
    Column { name: "hails_failure", part: Some("failure") },
];

/// The first of these.
const HAILS_BY_CELL: usize = 2;

const QUARTERS: [&str; 4] = ["0", "1", "2", "3"];
static AVAILABILITY: [Column; 5] = [
    Column { name: "taxi_hours", part: None },
    Column { name: "taxi_hours_00_05", part: Some(QUARTERS[0]) },
    Column { name: "taxi_hours_06_11", part: Some(QUARTERS[1]) },
    Column { name: "taxi_hours_12_17", part: Some(QUARTERS[2]) },
    Column { name: "taxi_hours_18_23", part: Some(QUARTERS[3]) },
];

static AVAILABILITY_BY_CELL: [Column; 1] = [Column { name: "taxi_minutes", part: None }];

/// A file, compressed, and its digest.
#[derive(Clone, Debug)]
pub struct Packed {
    /// As it is.
    pub plain: Vec<u8>,
    /// Compressed.
    pub gzip: Vec<u8>,
    /// The SHA-256 of it as it is, in hexadecimal digits.
    pub sha256: String,
}

impl Packed {
    /// Compresses and hashes: not for an asynchronous thread.
    pub fn new(plain: Vec<u8>) -> std::io::Result<Self> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&plain)?;
        let sha256 = hex(&Sha256::digest(&plain));
        Ok(Self { gzip: gzip.finish()?, plain, sha256 })
    }
}

/// Publishes places as they are, and each month of which all was known when the run was due, and that is not published
/// yet; neither waits for the other.
pub(crate) async fn publish(app: &App, run: &Run, stop: &CancellationToken) -> Result<()> {
    let places = places::publish(app, run, stop).await;
    publish_months(app, run, stop).await?;
    places
}

/// The oldest first.
async fn publish_months(app: &App, run: &Run, stop: &CancellationToken) -> Result<()> {
    let store = app.registry.upkeep();
    let published = store.ledger().await?.into_iter().map(|file| (file.dataset, file.period));
    let published: BTreeSet<_> = published.collect();
    let is_new = |dataset: Dataset, month: &NaiveDate| {
        !published.contains(&(dataset.name().to_owned(), period(*month)))
    };
    let rule = app.disclosure;
    let known = store.first_copied_day().await?.zip(store.hails_copied_until().await?);
    let hails = known.map_or(Vec::new(), |(first, until)| months(first, until));
    for month in hails.into_iter().filter(|month| is_new(Dataset::Hails, month)) {
        let (hails, names) = (store.hails_of_month(&range(month)).await?, names(app).await?);
        let make = move || hails_releases(&hails_given(&hails), &period(month), &names, rule);
        let made = made(|| store.keep_run(run), stop, make).await?;
        let Some(releases) = made else { return Ok(()) };
        if !store.release(run, releases).await? {
            return Ok(());
        }
    }
    let (first, uncounted) = store.hours_counted().await?;
    // Other processes may still be saving whom they heard.
    let until = uncounted.into_iter().chain([run.due_at.plus(-DAY_MS)]).min();
    let hours = first.zip(until).map_or(Vec::new(), |(first, until)| months(first, until));
    for month in hours.into_iter().filter(|month| is_new(Dataset::Availability, month)) {
        let hours = store.hours_of_month(&range(month)).await?;
        let names = names(app).await?;
        let make = move || {
            let Tables { towns, .. } = hours_given(&hours).tables(&period(month), 0, &names, rule)?;
            Ok(vec![packed(Dataset::Availability, &period(month), towns)?])
        };
        let made = made(|| store.keep_run(run), stop, make).await?;
        let Some(releases) = made else { return Ok(()) };
        if !store.release(run, releases).await? {
            return Ok(());
        }
    }
    presence::publish(app, run, stop, |month| is_new(Dataset::AvailabilityByCell, month)).await
}

/// The months that were known from their first day on, if that was first so at `first`, and that were over at `until`.
fn months(first: Millis, until: Millis) -> Vec<NaiveDate> {
    let known_since = date(first);
    let all = std::iter::successors(Some(first_of_month(known_since)), |month| next(*month));
    let whole = all.skip_while(|month| *month < known_since);
    whole.take_while(|month| range(*month).end <= until).collect()
}

fn next(month: NaiveDate) -> Option<NaiveDate> {
    month.checked_add_months(Months::new(1))
}

fn range(month: NaiveDate) -> Range<Millis> {
    begin(month)..next(month).map_or(Millis(i64::MAX), begin)
}

/// A month as it is named: `2026-09`.
fn period(month: NaiveDate) -> String {
    month.format("%Y-%m").to_string()
}

/// The names of the country, departments and towns, by code.
async fn names(app: &App) -> Result<HashMap<String, String>> {
    let departments = app.registry.upkeep().departements().await?;
    let departments = departments.into_iter().map(|department| (department.numero, department.nom));
    let territory = app.registry.territory();
    let towns = territory.towns().iter().map(|town| (town.insee.to_string(), town.name.clone()));
    Ok(departments.chain(towns).chain([(COUNTRY.to_owned(), "France".to_owned())]).collect())
}

/// A month's hails, each given by its vehicle, whatever that is registered as, and by its customer. If nobody knows of
/// one any more whose it was, all are as if given by one: nothing of that month is told.
fn hails_given(hails: &[MonthsHail]) -> Month {
    let mut given = Month::new(&HAILS).known_of(GROWING.towns);
    let is_known = hails.iter().all(|hail| hail.parties().is_some());
    let mut numbers = HashMap::new();
    for hail in hails {
        let mut number = |party| {
            let next = numbers.len() as u64;
            *numbers.entry(party).or_insert(next)
        };
        let parties = hail.parties().filter(|_| is_known);
        let at = hail.customer_lat_e7.zip(hail.customer_lon_e7);
        given.add(&Given {
            town: &hail.insee,
            at: at.and_then(|(lat, lon)| LatLon::from_e7(lat, lon).ok()),
            part: hail.outcome.as_str(),
            contributors: parties.map_or([0; SIDES], |parties| parties.map(&mut number)),
            amount: 1,
        });
    }
    given
}

/// By town and, while it is known where customers were, by cell: together, so that neither is told against the other.
fn hails_releases(
    given: &Month,
    month: &str,
    names: &HashMap<String, String>,
    rule: Rule,
) -> std::result::Result<Vec<NewRelease>, Failed> {
    let Tables { towns, cells } = given.tables(month, HAILS_BY_CELL, names, rule)?;
    let mut releases = vec![packed(Dataset::Hails, month, towns)?];
    if let Some(cells) = cells {
        releases.push(packed(Dataset::HailsByCell, month, cells)?);
    }
    Ok(releases)
}

/// Hours of connected vehicles, of which it is not kept whose they were: as if so few as can be had given them, each so
/// many as can be. What may be told of these may be told of those who did. One that has ADS of several towns is counted
/// in each, so the vehicles of one town may be those of another.
fn hours_given(hours: &[MonthsHours]) -> Month {
    let mut given = Month::new(&AVAILABILITY);
    for MonthsHours { insee, quarter, taxis, hours } in hours {
        let part = usize::try_from(*quarter).ok().and_then(|quarter| QUARTERS.get(quarter));
        let amount = u64::try_from(*hours).unwrap_or_default();
        // The first of them was connected whenever any was, the second whenever two were.
        for vehicle in 0..u64::try_from(*taxis).unwrap_or_default() {
            let contributors = [vehicle; SIDES];
            given.add(&Given { town: insee, at: None, part: part.unwrap_or(&""), contributors, amount });
        }
    }
    given
}

fn packed(dataset: Dataset, month: &str, published: Published) -> std::io::Result<NewRelease> {
    let Published { csv, parquet, rows, withheld, resolution } = published;
    let files = vec![new_file(CSV, csv)?, new_file(PARQUET, parquet)?];
    Ok(NewRelease { dataset: dataset.name(), period: month.to_owned(), rows, withheld, resolution, files })
}

fn new_file(form: &'static str, plain: Vec<u8>) -> std::io::Result<NewFile> {
    let Packed { plain, gzip, sha256 } = Packed::new(plain)?;
    Ok(NewFile { form, sha256, content: plain, gzip })
}

/// The forms of files, as their names end.
pub const CSV: &str = "csv";
#[expect(missing_docs, reason = "told above")]
pub const GEOJSON: &str = "geojson";
#[expect(missing_docs, reason = "told above")]
pub const PARQUET: &str = "parquet";

/// Files could not be made.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Archive(#[from] BadFile),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Makes something on a thread of its own, the end of which nobody waits for; the run stays this process's meanwhile.
/// None: it was to stop, or `keep` says that another process has the run.
async fn made<T: Send + 'static, K: Future<Output = Result<bool>>>(
    keep: impl Fn() -> K,
    stop: &CancellationToken,
    make: impl FnOnce() -> std::result::Result<T, Failed> + Send + 'static,
) -> Result<Option<T>> {
    let failed = |error: std::io::Error| StoreError::Unavailable(sqlx::Error::Io(error));
    let (sender, mut making) = oneshot::channel();
    let make = move || drop(sender.send(make()));
    // A runtime waits for its own threads when it ends.
    std::thread::Builder::new().name("publication".to_owned()).spawn(make).map_err(failed)?;
    let mut ticker = interval(DAILY_LEASE / 4);
    let made = loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            made = &mut making => break made,
            _ = ticker.tick() => if !keep().await? {
                return Ok(None);
            }
        }
    };
    let made = made.map_err(std::io::Error::other).and_then(|made| made.map_err(std::io::Error::other));
    made.map(Some).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;
    use crate::form::instant::instant;
    use crate::statistics::outcome::Outcome;

    #[test]
    fn months_are_those_that_are_whole_and_over() {
        let months = |first, until| -> Vec<String> {
            months(instant(first).unwrap(), instant(until).unwrap()).into_iter().map(period).collect()
        };
        assert_eq!(months("2025-12-01T23:59:59", "2026-03-01"), ["2025-12", "2026-01", "2026-02"]);
        assert_eq!(months("2025-12-01", "2026-02-28T23:59:59"), ["2025-12", "2026-01"]);
        assert_eq!(months("2025-12-02", "2026-03-01"), ["2026-01", "2026-02"], "begun before it was known");
        assert_eq!(months("2025-12-31T23:59:59", "2026-01-31"), [""; 0]);
        assert_eq!(months("2026-03-01", "2026-03-18"), [""; 0]);
    }

    #[tokio::test]
    async fn nobody_waits_for_what_is_made_in_vain() {
        let (stop, lost) = (CancellationToken::new(), || ready(Ok(false)));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let busy = move || Ok(held.recv().is_ok());
        assert_eq!(made(lost, &stop, busy).await.unwrap(), None);
        let (release_other, held) = std::sync::mpsc::channel::<()>();
        let busy = move || Ok(held.recv().is_ok());
        stop.cancel();
        assert_eq!(made(|| ready(Ok(true)), &stop, busy).await.unwrap(), None);
        drop((release, release_other));
        let kept = made(|| ready(Ok(true)), &CancellationToken::new(), || Ok(7)).await;
        assert_eq!(kept.unwrap(), Some(7));
        let panics = || -> std::result::Result<(), Failed> { panic!("of a defect") };
        assert!(made(|| ready(Ok(true)), &CancellationToken::new(), panics).await.is_err());
    }

    /// So many hails of a town, by vehicle and customer.
    fn hails(parties: impl IntoIterator<Item = (Option<i64>, &'static str)>) -> Vec<MonthsHail> {
        let hail = |(vehicle, customer): (Option<i64>, &str)| MonthsHail {
            insee: "69123".to_owned(),
            outcome: Outcome::Finished,
            vehicle_id: vehicle,
            app_id: vehicle.and(Some(1)),
            customer_id: vehicle.and(Some(customer.to_owned())),
            customer_lat_e7: None,
            customer_lon_e7: None,
        };
        parties.into_iter().map(hail).collect()
    }

    #[test]
    fn hails_are_told_of_five_vehicles_and_five_customers() {
        const CUSTOMERS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
        let rows = |hails: &[MonthsHail]| {
            let given = hails_given(hails);
            given.tables("2026-03", 0, &HashMap::new(), Rule::default()).unwrap().towns.rows
        };
        let vehicles = [1, 2, 3, 4, 5, 5].map(Some);
        assert_eq!(rows(&hails(vehicles.into_iter().zip(CUSTOMERS))), 3);
        assert_eq!(rows(&hails([Some(1); 6].into_iter().zip(CUSTOMERS))), 0, "one vehicle");
        assert_eq!(rows(&hails(vehicles.into_iter().zip(["a"; 6]))), 0, "one customer");
        let gone = vehicles.into_iter().zip(CUSTOMERS).chain([(None, "")]);
        assert_eq!(rows(&hails(gone)), 0, "nobody knows whose one was");
    }

    #[test]
    fn every_outcome_but_the_unknown_has_a_column() {
        for outcome in Outcome::ALL {
            let has_column = HAILS.iter().any(|column| column.part == Some(outcome.as_str()));
            assert_eq!(has_column, outcome != Outcome::Unknown, "{outcome:?}");
        }
    }

    #[test]
    fn hours_are_told_where_so_many_taxis_were_connected_at_once() {
        let hours = |insee: &str, quarter, taxis, hours| MonthsHours {
            insee: insee.to_owned(),
            quarter,
            taxis,
            hours,
        };
        // Lyon: five at once in one hour at least; Grenoble: never more than four, however often; Paris: seven in one
        // hour and one in 40: of 47 taxi-hours one taxi may have given 41, more than 85 %.
        let of_month = [
            hours("69123", 1, 5, 2),
            hours("69123", 2, 6, 1),
            hours("38185", 1, 4, 100),
            hours("75056", 0, 7, 1),
            hours("75056", 0, 1, 40),
        ];
        let names = HashMap::new();
        let published = hours_given(&of_month).tables("2026-03", 0, &names, Rule::default()).unwrap();
        let csv = String::from_utf8(published.towns.csv).unwrap();
        // 10 + 6 + 400 + 47 = 463; quarters 47, 410 and 6. What the country is more than Lyon is about Paris' seven at
        // least, whom Grenoble's four may be among.
        assert!(csv.contains("2026-03,country,FRA,,463,"), "{csv}");
        assert!(csv.contains("2026-03,town,69123,,16,"), "{csv}");
        assert!(!csv.contains("38185") && !csv.contains("75056"), "{csv}");
    }

    #[test]
    fn vehicles_with_ads_of_two_towns_are_no_more_than_those_of_one() {
        let hours =
            |insee: &str, taxis| MonthsHours { insee: insee.to_owned(), quarter: 1, taxis, hours: 10 };
        let rows = |of_month: &[MonthsHours]| {
            let given = hours_given(of_month);
            given.tables("2026-03", 0, &HashMap::new(), Rule::default()).unwrap().towns.rows
        };
        assert_eq!(rows(&[hours("69123", 3), hours("69266", 3)]), 0, "three vehicles, not six");
        assert_eq!(rows(&[hours("69123", 5), hours("69266", 5)]), 4, "the country, a department, two towns");
    }
}
