//! The catalogue of open data in the words of DCAT-AP, as JSON-LD, and the Table Schema of its tables.
//!
//! Addresses name no host, as JSON-LD allows: they are the same wherever the registry is reached.

use serde_json::{Value, json};

use crate::publication::{CSV, GEOJSON, PARQUET};

/// Under what licence everything is published: the Licence Ouverte 2.0.
pub(crate) const LICENCE: &str = "https://spdx.org/licenses/etalab-2.0";
/// Who publishes.
const PUBLISHER: &str = "le.taxi";
/// Where the European vocabularies are.
const AUTHORITY: &str = "http://publications.europa.eu/resource/authority";

/// What is published of one matter, in one or more forms.
#[derive(Clone, Debug)]
pub(crate) struct Dataset {
    /// Its name in addresses.
    pub(crate) name: String,
    /// Its title, in French as all that people read of it.
    pub(crate) title: String,
    /// What it is.
    pub(crate) description: String,
    /// What it may be found by.
    pub(crate) keywords: &'static [&'static str],
    /// The first and the last day that it tells of, as `2026-09-21`.
    pub(crate) period: [String; 2],
    /// The day on which it was made.
    pub(crate) made_on: String,
    /// How often it is made anew.
    pub(crate) again: Again,
    /// Its forms.
    pub(crate) files: Vec<File>,
}

/// How often something is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Each day.
    Daily,
    /// It stays as it is.
    Never,
}

/// One form of a dataset.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Its path.
    pub(crate) address: String,
    /// What kind of file it is.
    pub(crate) form: Form,
    /// How large it is.
    pub(crate) bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub(crate) sha256: String,
    /// Where its Table Schema is, if it is a table.
    pub(crate) schema: Option<String>,
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A table.
    Csv,
    /// Places.
    GeoJson,
    /// A table, by columns; with places it is `GeoParquet`.
    Parquet,
}

impl Form {
    /// Its media type.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::GeoJson => "application/geo+json",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// What its content is told to be.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            other => other.media_type(),
        }
    }

    /// How its files' names end.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Csv => CSV,
            Self::GeoJson => GEOJSON,
            Self::Parquet => PARQUET,
        }
    }

    /// What people call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::GeoJson => "GeoJSON",
            Self::Parquet => "Parquet",
        }
    }

    fn file_type(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::GeoJson => "GEOJSON",
            Self::Parquet => "PARQUET",
        }
    }
}

/// The catalogue of these datasets, as of this day.
pub(super) fn catalogue(datasets: &[Dataset], day: &str) -> Value {
    json!({
        "@context": {
            "adms": "http://www.w3.org/ns/adms#",
            "dcat": "http://www.w3.org/ns/dcat#",
            "dct": "http://purl.org/dc/terms/",
            "foaf": "http://xmlns.com/foaf/0.1/",
            "spdx": "http://spdx.org/rdf/terms#",
            "xsd": "http://www.w3.org/2001/XMLSchema#",
        },
        "@id": "/opendata",
        "@type": "dcat:Catalog",
        "dct:title": french("Données ouvertes du registre national de disponibilité des taxis"),
        "dct:description": french("Stations et zones de prise en charge de chaque jour, statistiques de chaque mois."),
        "dct:publisher": publisher(),
        "dct:language": authority("language", "FRA"),
        "dct:license": {"@id": LICENCE},
        "dct:modified": date(day),
        "dcat:dataset": datasets.iter().map(described).collect::<Vec<_>>(),
    })
}

fn described(dataset: &Dataset) -> Value {
    let [from, to] = &dataset.period;
    let frequency = match dataset.again {
        Again::Daily => "DAILY",
        Again::Never => "NEVER",
    };
    let mut described = json!({
        "@id": format!("/opendata#{}", dataset.name),
        "@type": "dcat:Dataset",
        "dct:identifier": dataset.name,
        "dct:title": french(&dataset.title),
        "dct:description": french(&dataset.description),
        "dcat:keyword": dataset.keywords.iter().map(|word| french(word)).collect::<Vec<_>>(),
        "dcat:theme": authority("data-theme", "TRAN"),
        "dct:publisher": publisher(),
        "dct:language": authority("language", "FRA"),
        "dct:spatial": authority("country", "FRA"),
        "dct:temporal": {"@type": "dct:PeriodOfTime", "dcat:startDate": date(from), "dcat:endDate": date(to)},
        "dct:accrualPeriodicity": authority("frequency", frequency),
        "dct:modified": date(&dataset.made_on),
        "dcat:distribution": dataset.files.iter().map(distributed).collect::<Vec<_>>(),
    });
    if dataset.again == Again::Never {
        described["adms:status"] = authority("dataset-status", "COMPLETED");
    }
    described
}

fn distributed(file: &File) -> Value {
    let mut distribution = json!({
        "@id": file.address,
        "@type": "dcat:Distribution",
        "dcat:accessURL": {"@id": file.address},
        "dcat:downloadURL": {"@id": file.address},
        "dcat:mediaType": {"@id": format!("https://www.iana.org/assignments/media-types/{}", file.form.media_type())},
        "dct:format": authority("file-type", file.form.file_type()),
        "dct:license": {"@id": LICENCE},
        "dcat:byteSize": {"@type": "xsd:nonNegativeInteger", "@value": file.bytes.to_string()},
        "spdx:checksum": {
            "@type": "spdx:Checksum",
            "spdx:algorithm": {"@id": "spdx:checksumAlgorithm_sha256"},
            "spdx:checksumValue": {"@type": "xsd:hexBinary", "@value": file.sha256},
        },
    });
    if let Some(schema) = &file.schema {
        distribution["dct:conformsTo"] = json!({"@id": schema, "@type": "dct:Standard"});
    }
    distribution
}

fn french(text: &str) -> Value {
    json!({"@language": "fr", "@value": text})
}

fn date(day: &str) -> Value {
    json!({"@type": "xsd:date", "@value": day})
}

fn authority(vocabulary: &str, word: &str) -> Value {
    json!({"@id": format!("{AUTHORITY}/{vocabulary}/{word}")})
}

fn publisher() -> Value {
    json!({"@type": "foaf:Organization", "foaf:name": PUBLISHER})
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Its heading.
    pub(super) name: &'static str,
    /// Its type, in the words of Table Schema.
    pub(super) kind: &'static str,
    /// What it tells, and in what unit.
    pub(super) description: &'static str,
    /// Whether every row has it.
    pub(super) required: bool,
    /// What its texts look like.
    pub(super) pattern: Option<&'static str>,
}

/// The Table Schema of a table whose rows `key` tells apart.
pub(super) fn table_schema(name: &str, version: &str, key: &str, columns: &[Column]) -> Value {
    let field = |column: &Column| {
        let mut constraints = json!({"required": column.required});
        if let Some(pattern) = column.pattern {
            constraints["pattern"] = json!(pattern);
        }
        json!({
            "name": column.name,
            "type": column.kind,
            "description": column.description,
            "constraints": constraints,
        })
    };
    json!({
        "$schema": "https://specs.frictionlessdata.io/schemas/table-schema.json",
        "name": name,
        "version": version,
        "primaryKey": key,
        "missingValues": [""],
        "fields": columns.iter().map(field).collect::<Vec<_>>(),
    })
}

/// The version of the national schema of stations.
pub(super) const STATIONS_VERSION: &str = "0.1.2";

/// Its columns.
pub(super) const STATIONS_COLUMNS: [Column; 8] = {
    const ID: Option<&str> = Some(r"^([013-9]\d|2[AB1-9])\d{3}-T-\d{3}$");
    const INSEE: Option<&str> = Some(r"^([013-9]\d|2[AB1-9])\d{3}$");
    let column = Column { name: "", kind: "string", description: "", required: false, pattern: None };
    [
        Column {
            name: "id",
            description: "Identifiant : code INSEE, T, numéro d'ordre",
            required: true,
            pattern: ID,
            ..column
        },
        Column { name: "nom", description: "Nom", required: true, ..column },
        Column {
            name: "insee",
            description: "Code INSEE de la commune",
            required: true,
            pattern: INSEE,
            ..column
        },
        Column {
            name: "geopoint",
            kind: "geopoint",
            description: "Longitude et latitude en degrés, WGS 84",
            required: true,
            ..column
        },
        Column { name: "adresse", description: "Adresse", ..column },
        Column { name: "emplacements", kind: "integer", description: "Nombre d'emplacements", ..column },
        Column { name: "no_appel", description: "Numéro de téléphone de la borne", ..column },
        Column { name: "info", description: "Informations pour les clients", ..column },
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalogue_tells_where_each_form_is_and_under_what_licence() {
        let file = |form, address: &str, schema: Option<&str>| File {
            address: address.to_owned(),
            form,
            bytes: 12,
            sha256: "ab".to_owned(),
            schema: schema.map(str::to_owned),
        };
        let dataset = Dataset {
            name: "stations".to_owned(),
            title: "Stations".to_owned(),
            description: "Où.".to_owned(),
            keywords: &["taxi"],
            period: ["2026-09-21".to_owned(), "2026-09-21".to_owned()],
            made_on: "2026-09-22".to_owned(),
            again: Again::Daily,
            files: vec![
                file(Form::Csv, "/opendata/s.csv", Some("/opendata/s.schema.json")),
                file(Form::GeoJson, "/opendata/s.geojson", None),
            ],
        };
        let told = catalogue(&[dataset], "2026-09-23");
        let stations = &told["dcat:dataset"][0];
        assert_eq!(stations["dct:temporal"]["dcat:endDate"]["@value"], "2026-09-21");
        assert_eq!(stations["dct:modified"]["@value"], "2026-09-22");
        assert_eq!(stations["adms:status"], Value::Null, "there will be another");
        let [csv, geojson] = [0, 1].map(|i| &stations["dcat:distribution"][i]);
        assert_eq!(csv["dcat:downloadURL"]["@id"], "/opendata/s.csv");
        assert_eq!(csv["dct:conformsTo"]["@id"], "/opendata/s.schema.json");
        assert_eq!(geojson["dct:conformsTo"], Value::Null);
        assert_eq!(geojson["dct:format"]["@id"], format!("{AUTHORITY}/file-type/GEOJSON"));
        assert!([csv, geojson].iter().all(|form| form["dct:license"]["@id"] == LICENCE));
    }

    #[test]
    fn a_schema_tells_what_rows_must_have() {
        let schema = table_schema("stationstaxi", STATIONS_VERSION, "id", &STATIONS_COLUMNS);
        let required = |field: &&Value| field["constraints"]["required"] == true;
        let fields = schema["fields"].as_array().unwrap();
        let names: Vec<_> =
            fields.iter().filter(required).map(|field| field["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["id", "nom", "insee", "geopoint"]);
    }
}
