//! How many inhabitants towns have: a list of `{"insee", "population"}`.

use std::collections::HashSet;

use serde_json::Value;

use super::{Reading, Unreadable, Wrong, came_before, remark, text_of};
use crate::store::places::PopulationRow;

/// Populations of `towns` (INSEE codes, sorted), each once. Other towns are left out.
pub fn populations(text: &str, towns: &[String]) -> Result<Reading<PopulationRow>, Unreadable> {
    let body: Value = serde_json::from_str(text).map_err(Unreadable::NotJson)?;
    let list = body.as_array().ok_or(Unreadable::NoList("the file"))?;
    let (mut reading, mut codes) = (Reading::default(), HashSet::new());
    for (i, value) in list.iter().enumerate() {
        let read = population(value, towns).and_then(|read| {
            let is_new = codes.insert(read.insee.clone());
            if is_new { Ok(read) } else { Err(("insee", came_before(&read.insee))) }
        });
        match read {
            Ok(read) => reading.rows.push(read),
            Err(wrong) => reading.refused.push(remark(i + 1, wrong)),
        }
    }
    Ok(reading)
}

fn population(value: &Value, towns: &[String]) -> Result<PopulationRow, Wrong> {
    let insee = text_of(&value["insee"], "insee")?;
    if towns.binary_search(&insee).is_err() {
        return Err(("insee", format!("there is no town {insee}")));
    }
    let number = value["population"].as_i64().and_then(|number| i32::try_from(number).ok());
    let population = number.filter(|number| *number >= 0);
    let wrong = || ("population", format!("{} is no number of inhabitants", value["population"]));
    Ok(PopulationRow { insee, population: population.ok_or_else(wrong)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn populations_are_whole_numbers_of_known_towns_and_come_once() {
        let text = r#"[{"insee":"75056","population":2103778,"nom":"Paris"},{"insee":"99999","population":1},
                       {"insee":"69123","population":-1},{"insee":"69123","population":0},
                       {"insee":"75056","population":1},{"population":1},{"insee":"69123"},3]"#;
        let towns = ["69123", "75056"].map(str::to_owned);
        let reading = populations(text, &towns).unwrap();
        let rows: Vec<_> = reading.rows.iter().map(|row| (row.insee.as_str(), row.population)).collect();
        assert_eq!(rows, [("75056", 2_103_778), ("69123", 0)]);
        let told: Vec<_> = reading.refused.iter().map(|one| (one.row, one.field.as_str())).collect();
        let expected =
            [(2, "insee"), (3, "population"), (5, "insee"), (6, "insee"), (7, "population"), (8, "insee")];
        assert_eq!(told, expected);
        assert!(populations("{}", &towns).is_err() && populations("x", &towns).is_err());
    }
}
