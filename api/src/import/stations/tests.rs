//! Stations as producers write them.

use std::slice;

use super::*;

/// Grenoble, and all of it within 5 to 6 degrees east.
struct Grenoble;

impl Towns for Grenoble {
    fn is_there(&self, insee: &str) -> bool {
        ["38185", "69149"].contains(&insee)
    }

    fn holds(&self, _: &str, at: LatLon) -> bool {
        (5.0..6.0).contains(&at.lon())
    }
}

const HEADING: &str = "id;nom;insee;geopoint;adresse;emplacements;no_appel;info\n";

fn read(rows: &str) -> Reading<StationRow> {
    stations(&format!("{HEADING}{rows}"), &Grenoble).unwrap()
}

fn told(remarks: &[Remark]) -> Vec<(usize, &str)> {
    remarks.iter().map(|remark| (remark.row, remark.field.as_str())).collect()
}

#[test]
fn a_row_of_the_schema_is_a_station() {
    let reading = read(
        "\"38185-T-001\";\"Gare; sud\";38185;\"5.7118754, 45.1800016\";\"Rue X\";6;04 76 54 42 54;null\n",
    );
    assert_eq!((reading.refused, reading.noted), (vec![], vec![]));
    let expected = StationRow {
        id: "38185-T-001".into(),
        name: "Gare; sud".into(),
        insee: "38185".into(),
        lat_e7: 451_800_016,
        lon_e7: 57_118_754,
        address: "Rue X".into(),
        places: Some(6),
        call_number: "0476544254".into(),
        info: String::new(),
    };
    assert_eq!(reading.rows, slice::from_ref(&expected));
    let commas = "\u{feff}nom,id,geopoint,insee,adresse,emplacements,no_appel,info\n\
                  Gare; sud,38185-T-001,\"5.7118754,45.1800016\",38185,Rue X,6,+33476544254,\n";
    assert_eq!(
        stations(commas, &Grenoble).unwrap().rows,
        slice::from_ref(&expected),
        "in another order, with commas"
    );
    let geojson = r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"id":"38185-T-001",
        "nom":"Gare; sud","insee":"38185","adresse":"Rue X","emplacements":6,"no_appel":"0476544254","info":null,
        "own":1},"geometry":{"type":"Point","coordinates":[5.7118754,45.1800016]}}]}"#;
    assert_eq!(stations(geojson, &Grenoble).unwrap().rows, [expected]);
}

#[test]
fn each_wrong_field_is_refused_by_line_and_name_and_costs_no_other_row() {
    let good = "38185-T-001;A;38185;5.7,45.1;;;;\n";
    for (field, row) in [
        ("id", ";A;38185;5.7,45.1;;;;"),
        ("id", "38185-T-1;A;38185;5.7,45.1;;;;"),
        ("id", "20185-T-001;A;38185;5.7,45.1;;;;"),
        ("id", "38185-T-001;again;38185;5.7,45.1;;;;"),
        ("nom", "38185-T-002;null;38185;5.7,45.1;;;;"),
        ("insee", "38185-T-002;A;;5.7,45.1;;;;"),
        ("insee", "38185-T-002;A;3818;5.7,45.1;;;;"),
        ("insee", "38185-T-002;A;99999;5.7,45.1;;;;"),
        ("geopoint", "38185-T-002;A;38185;;;;;"),
        ("geopoint", "38185-T-002;A;38185;5.7 45.1;;;;"),
        ("geopoint", "38185-T-002;A;38185;NaN,45.1;;;;"),
        ("geopoint", "38185-T-002;A;38185;5.7,91;;;;"),
        ("emplacements", "38185-T-002;A;38185;5.7,45.1;;two;;"),
        ("emplacements", "38185-T-002;A;38185;5.7,45.1;;-1;;"),
        ("no_appel", "38185-T-002;A;38185;5.7,45.1;;;12345;"),
        ("info", "38185-T-002;A;38185;5.7,45.1;;;;a\0b"),
        ("row", "38185-T-002;A;38185;5.7,45.1"),
        ("row", "38185-T-002;A;38185;5.7,45.1;;;;;"),
    ] {
        let last = "38185-T-003;A;38185;5.7,45.1;;;;\n";
        let reading = read(&format!("{good}{row}\n{last}"));
        assert_eq!(told(&reading.refused), [(3, field)], "{row}");
        assert_eq!(reading.rows.len(), 2, "{row}");
    }
}

#[test]
fn what_looks_wrong_is_noted_and_imported() {
    let reading = read(
        "38185-T-001;A;38185;7.5,45.1;;;476544254;\n39039-T-001;A;38185;5.7,45.1;;;;\n\
         69152-T-001;A;69152;5.7,45.1;;;;\n",
    );
    assert_eq!(told(&reading.noted), [(2, "geopoint"), (2, "no_appel"), (3, "id"), (4, "insee")]);
    assert_eq!(reading.rows[0].call_number, "0476544254");
    assert_eq!((reading.rows[2].id.as_str(), reading.rows[2].insee.as_str()), ("69152-T-001", "69149"));
    assert_eq!(reading.refused, []);
}

#[test]
fn the_heading_is_checked() {
    let extra = "id;nom;insee;geopoint;adresse;emplacements;no_appel;info;Code;id\n\
                 38185-T-001;A;38185;5.7,45.1;;;;;A;x\n";
    let reading = stations(extra, &Grenoble).unwrap();
    assert_eq!(told(&reading.refused), [(1, "Code"), (1, "id")]);
    assert_eq!(reading.rows.len(), 1);
    let fewer = stations("id,nom,insee,geopoint\n", &Grenoble).unwrap();
    assert_eq!(told(&fewer.noted), [(1, "adresse"), (1, "emplacements"), (1, "no_appel"), (1, "info")]);
    for text in ["", "id;nom;insee\n", "{}", "{", "id,nom,insee,geopoint\n\"a"] {
        let read = stations(text, &Grenoble);
        assert!(
            read.is_err() || read.is_ok_and(|read| read.rows.is_empty() && !read.refused.is_empty()),
            "{text}"
        );
    }
}
