//! `GET /opendata/{file}` and `/opendata/ledger`: statistics of each month, and what was published when.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{Months, NaiveDate};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::catalogue::{self, Again, Column, File, Form, table_schema};
use super::download::{Part, Wanted};
use super::{SCHEMA, file, schema};
use crate::app::App;
use crate::error::{Answer, Problem};
use crate::form::envelope::{self, Elements};
use crate::openapi::{Chapter, Operation};
use crate::publication::Dataset;
use crate::routes::naive_timestamp;
use crate::store::releases::{ReleasedRow, StoredFile};

/// The version of the tables' columns.
const VERSION: &str = "1.0.0";

/// A table of a month, or a version of places, as the ledger has it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Release)]
pub struct ReleaseAnswer {
    /// Its name.
    pub dataset: String,
    /// The month that it tells of; of places, the first day of which they were like this.
    pub period: String,
    /// From 1. Of a month there is one.
    pub version: i32,
    /// Whether there will never be another version: so of months, of which two would tell by their difference of
    /// whoever is in one alone.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// When it was published: ISO 8601 in UTC, without an offset.
    pub released_at: String,
    /// How many rows it has.
    pub rows: i64,
    /// Of a table by cell, the finest H3 resolution of which it has figures: 8, or coarser where taxis were in too many
    /// cells. Null: another table, or one of a version before.
    pub resolution: Option<i32>,
    /// Its files.
    pub files: Vec<ReleasedFileAnswer>,
}

/// One form of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ReleasedFile)]
pub struct ReleasedFileAnswer {
    /// Where it is; of places, where the latest version is.
    pub path: String,
    /// How large it is.
    pub bytes: i64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// What was published when.
pub async fn ledger(State(app): State<App>) -> Answer<Json<Elements<ReleaseAnswer>>> {
    let rows = app.registry.store().ledger().await?;
    Ok(envelope::of_all(releases(&rows).map(release_answer).collect()))
}

/// `GET /opendata/ledger` in the reference.
pub fn describe_ledger() -> Operation {
    let example = ReleaseAnswer {
        dataset: Dataset::Hails.name().to_owned(),
        period: "2026-09".to_owned(),
        version: 1,
        is_final: true,
        released_at: "2026-10-02T04:12:01".to_owned(),
        rows: 214,
        resolution: None,
        files: vec![ReleasedFileAnswer {
            path: "/opendata/hails-2026-09.csv".to_owned(),
            bytes: 9_120,
            sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        }],
    };
    let about = "Each table of a month is published once and for all, when everything that it tells of is known: what \
                 is told of the month later changes nothing of it, as the difference of two versions would tell of \
                 whoever is in one alone. What is withheld is about too few vehicles or customers or mostly about \
                 one, or would give away what is. Places have a new version each time that they are others.";
    Operation::new(Chapter::Statistics, "Open data: what was published when", about)
        .list("The releases, by dataset, period and version.", &[example])
}

/// A file of a month, or what the columns of a table are.
pub async fn read(State(app): State<App>, Path(name): Path<String>, asked: HeaderMap) -> Answer<Response> {
    let (dataset, period, form) = match Named::of(&name).ok_or_else(Problem::unknown_path)? {
        Named::Schema(dataset) => {
            return schema(&table_schema(dataset.name(), VERSION, key(dataset), &columns(dataset)), &asked);
        }
        Named::Month(dataset, period, form) => (dataset.name(), period, form),
    };
    let (store, media_type) = (app.registry.store(), form.content_type());
    let name = [dataset, period, form.extension()];
    let StoredFile { sha256, byte_count } =
        store.released_file(name).await?.ok_or_else(Problem::unknown_path)?;
    let length = usize::try_from(byte_count).unwrap_or_default();
    let wanted = Wanted { media_type, sha256: &sha256, asked: &asked };
    if let Some(same) = wanted.same() {
        return Ok(same);
    }
    let part = wanted.part(length);
    let bytes = match &part {
        Part::Whole => store.released_content(name, wanted.is_gzip()).await?,
        Part::Some(part) => store.released_part(name, part).await?,
        Part::None => Some(Vec::new()),
    };
    Ok(wanted.answer(part, bytes.ok_or_else(Problem::unknown_path)?.into(), length))
}

/// `GET /opendata/{file}` in the reference.
pub fn describe_read() -> Operation {
    let about = "`hails-2026-09.csv`, `hails-by-cell-2026-09.csv`, `availability-2026-09.csv`, \
                 `availability-by-cell-2026-09.csv`: statistics of a month, and the same as `.parquet`, by H3 cell as \
                 GeoParquet; `hails.schema.json` and its like: what their columns are. The catalogue lists them. A \
                 figure that is missing is nil or withheld: it is about too few vehicles or customers or mostly about \
                 one, or would give away one that is.";
    let name = json!({"type": "string", "pattern": "^[a-z0-9.-]+$"});
    file("Open data: statistics of a month", about, Form::Csv.media_type())
        .path("file", &name, "Which file.", "hails.schema.json")
        .content(200, "The file.", Form::Parquet.media_type(), json!({"schema": {}}))
        .content(200, "The file.", SCHEMA, json!({"schema": {}}))
        .content(206, "The bytes that `Range` asked for.", Form::Parquet.media_type(), json!({"schema": {}}))
        .content(206, "The bytes that `Range` asked for.", SCHEMA, json!({"schema": {}}))
        .refuses_with("There is no such file.", &Problem::unknown_path())
}

/// What a name of a file means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named<'a> {
    Schema(Dataset),
    Month(Dataset, &'a str, Form),
}

impl<'a> Named<'a> {
    fn of(name: &'a str) -> Option<Self> {
        let dataset = |name| Dataset::ALL.into_iter().find(|dataset| dataset.name() == name);
        if let Some(name) = name.strip_suffix(".schema.json") {
            return dataset(name).map(Self::Schema);
        }
        let (stem, form) = name.rsplit_once('.')?;
        let form = [Form::Csv, Form::Parquet].into_iter().find(|known| known.extension() == form)?;
        let (stem, period) = stem.split_at_checked(stem.len().checked_sub("2026-09".len())?)?;
        if !is_period(period) {
            return None;
        }
        Some(Self::Month(dataset(stem.strip_suffix('-')?)?, period, form))
    }
}

/// Whether this is written as a month is: nothing else gets as far as the database.
fn is_period(text: &str) -> bool {
    let is_as_written =
        |(byte, like): (u8, u8)| if like == b'-' { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == "2026-09".len() && text.bytes().zip(*b"2026-09").all(is_as_written)
}

/// Places are always at the same address, as they are now.
fn path(file: &ReleasedRow) -> String {
    let ReleasedRow { dataset, period, form, .. } = file;
    if is_period(period) {
        format!("/opendata/{dataset}-{period}.{form}")
    } else {
        format!("/opendata/{dataset}.{form}")
    }
}

/// The files of each release together.
fn releases(ledger: &[ReleasedRow]) -> impl Iterator<Item = &[ReleasedRow]> {
    ledger.chunk_by(|a, b| (&a.dataset, &a.period, a.version) == (&b.dataset, &b.period, b.version))
}

fn release_answer(files: &[ReleasedRow]) -> ReleaseAnswer {
    let release = &files[0];
    let of_file = |file: &ReleasedRow| ReleasedFileAnswer {
        path: path(file),
        bytes: file.byte_count,
        sha256: file.sha256.clone(),
    };
    ReleaseAnswer {
        dataset: release.dataset.clone(),
        period: release.period.clone(),
        version: release.version,
        is_final: is_period(&release.period),
        released_at: naive_timestamp(release.released_at),
        rows: release.row_count,
        resolution: release.resolution,
        files: files.iter().map(of_file).collect(),
    }
}

/// What the catalogue tells of the months that were released. What is no dataset of this version is left out.
pub(super) fn datasets(ledger: &[ReleasedRow]) -> Vec<catalogue::Dataset> {
    releases(ledger).filter_map(described).collect()
}

fn described(files: &[ReleasedRow]) -> Option<catalogue::Dataset> {
    let release = files.first()?;
    let dataset = Dataset::ALL.into_iter().find(|dataset| dataset.name() == release.dataset)?;
    let first: NaiveDate = format!("{}-01", release.period).parse().ok()?;
    let last = first.checked_add_months(Months::new(1))?.pred_opt()?;
    let (title, of_what) = match dataset {
        Dataset::Hails => (
            "Demandes de course par commune",
            "Les demandes de course adressées aux taxis par les applications, par commune du client, et leur issue.",
        ),
        Dataset::HailsByCell => (
            "Demandes de course par cellule H3",
            "Les demandes de course adressées aux taxis par les applications, par cellule H3 du client.",
        ),
        Dataset::Availability => (
            "Taxis connectés par commune",
            "Les heures (UTC) où des taxis étaient connectés, une par véhicule, par commune de l'ADS.",
        ),
        Dataset::AvailabilityByCell => (
            "Présence des taxis connectés par cellule H3",
            "Les minutes où des taxis connectés se trouvaient dans une cellule H3, une par taxi et cellule de \
             résolution 8, dont les autres sont la somme.",
        ),
    };
    let files = files.iter().filter_map(|file| {
        let form = [Form::Csv, Form::Parquet].into_iter().find(|form| form.extension() == file.form)?;
        Some(File {
            address: path(file),
            form,
            bytes: file.byte_count.unsigned_abs(),
            sha256: file.sha256.clone(),
            schema: Some(format!("/opendata/{}.schema.json", dataset.name())),
        })
    });
    let finest = release.resolution.map(|finest| format!(" Résolution H3 la plus fine : {finest}."));
    Some(catalogue::Dataset {
        name: format!("{}-{}", release.dataset, release.period),
        title: format!("{title}, {}", release.period),
        description: format!(
            "{of_what}{} Un chiffre absent est nul, ou tu : il porte sur trop peu de véhicules ou de clients, ou \
             surtout sur un seul, ou trahirait un chiffre tu. Publié une fois pour toutes.",
            finest.unwrap_or_default(),
        ),
        keywords: &["taxi", "statistiques", "mobilité"],
        period: [first, last].map(|day| day.to_string()),
        made_on: naive_timestamp(release.released_at).chars().take("2026-09-21".len()).collect(),
        again: Again::Never,
        files: files.collect(),
    })
}

/// By what rows are told apart.
fn key(dataset: Dataset) -> &'static str {
    match dataset {
        Dataset::Hails | Dataset::Availability => "code",
        Dataset::HailsByCell | Dataset::AvailabilityByCell => "cell",
    }
}

/// The columns of a table; its Parquet has a cell's land beside them.
fn columns(dataset: Dataset) -> Vec<Column> {
    let column = Column { name: "", kind: "string", description: "", required: true, pattern: None };
    let month = Column { name: "month", kind: "yearmonth", description: "Mois (UTC)", ..column };
    let about = match dataset {
        Dataset::Hails | Dataset::Availability => vec![
            month,
            Column { name: "level", description: "country, department ou town", ..column },
            Column {
                name: "code",
                description: "FRA, numéro du département ou code INSEE de la commune",
                pattern: Some(r"^(FRA|[0-9A-Z]{2,3}|[0-9A-Z]{5})$"),
                ..column
            },
            Column { name: "name", description: "Nom", required: false, ..column },
        ],
        Dataset::HailsByCell | Dataset::AvailabilityByCell => vec![
            month,
            Column {
                name: "resolution",
                kind: "integer",
                description: "Résolution H3 : 6, 7 ou 8",
                ..column
            },
            Column { name: "cell", description: "Cellule H3", pattern: Some("^[0-9a-f]{15}$"), ..column },
        ],
    };
    let figures = dataset.columns().iter().map(|figure| Column {
        name: figure.name,
        kind: "integer",
        description: meaning(figure.name),
        required: false,
        pattern: None,
    });
    about.into_iter().chain(figures).collect()
}

fn meaning(figure: &str) -> &'static str {
    match figure {
        "hails_received" => "Demandes de course, quelle qu'en soit l'issue",
        "hails_finished" => "Courses terminées",
        "hails_declined_by_taxi" => "Refusées par le taxi",
        "hails_declined_by_customer" => "Annulées par le client",
        "hails_timeout_taxi" => "Sans réponse du taxi",
        "hails_timeout_ride" => "Courses dont la fin n'a pas été déclarée",
        "hails_timeout_customer" => "Sans confirmation du client",
        "hails_timeout_accepted_by_customer" => "Confirmées, sans prise en charge",
        "hails_incident_taxi" => "Interrompues par le taxi",
        "hails_incident_customer" => "Interrompues par le client",
        "hails_failure" => "Non parvenues au taxi",
        "taxi_hours" => "Heures au cours desquelles un taxi était connecté, une par véhicule",
        "taxi_minutes" => {
            "Minutes au cours desquelles un taxi a donné une position de la cellule, une par taxi ; d'une cellule \
             plus grande, la somme de celles de résolution 8"
        }
        "taxi_hours_00_05" => "De celles-ci, de 0 h à 6 h UTC",
        "taxi_hours_06_11" => "De celles-ci, de 6 h à 12 h UTC",
        "taxi_hours_12_17" => "De celles-ci, de 12 h à 18 h UTC",
        "taxi_hours_18_23" => "De celles-ci, de 18 h à 24 h UTC",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_dataset_a_month_and_a_form() {
        assert_eq!(Named::of("hails-2026-09.csv"), Some(Named::Month(Dataset::Hails, "2026-09", Form::Csv)));
        let cells = Named::Month(Dataset::HailsByCell, "2026-09", Form::Parquet);
        assert_eq!(Named::of("hails-by-cell-2026-09.parquet"), Some(cells));
        assert_eq!(Named::of("hails.schema.json"), Some(Named::Schema(Dataset::Hails)));
        for name in [
            "0",
            "",
            "hails.csv",
            "-2026-09.csv",
            "hails-2026-09.geojson",
            "hails-2026-é9.csv",
            "hails-2026-0\0.csv",
            "hails-2026-0a.csv",
            "hails-2026009.csv",
            "hails-20-6-09.csv",
            ".csv",
        ] {
            assert_eq!(Named::of(name), None, "{name}");
        }
    }

    #[test]
    fn every_column_means_something() {
        for dataset in Dataset::ALL {
            assert!(columns(dataset).iter().all(|column| !column.description.is_empty()), "{dataset:?}");
        }
    }
}
