//! Departements: a list of `{"numero", "nom"}`.

use std::collections::HashSet;

use serde_json::Value;

use super::{Reading, Unreadable, Wrong, came_before, remark, text_of};
use crate::store::places::DepartementRow;

/// Departements, each once.
pub fn departements(text: &str) -> Result<Reading<DepartementRow>, Unreadable> {
    let body: Value = serde_json::from_str(text).map_err(Unreadable::NotJson)?;
    let list = body.as_array().ok_or(Unreadable::NoList("the file"))?;
    let (mut reading, mut numbers) = (Reading::default(), HashSet::new());
    for (i, value) in list.iter().enumerate() {
        let read = departement(value).and_then(|read| {
            if numbers.insert(read.numero.clone()) {
                Ok(read)
            } else {
                Err(("numero", came_before(&read.numero)))
            }
        });
        match read {
            Ok(read) => reading.rows.push(read),
            Err(wrong) => reading.refused.push(remark(i + 1, wrong)),
        }
    }
    Ok(reading)
}

fn departement(value: &Value) -> Result<DepartementRow, Wrong> {
    let numero = text_of(&value["numero"], "numero")?;
    let is_number = (2..=3).contains(&numero.len())
        && numero.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    if !is_number {
        return Err(("numero", format!("{numero} is no number of a departement, as 75, 2A or 971")));
    }
    Ok(DepartementRow { numero, nom: text_of(&value["nom"], "nom")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_two_or_three_digits_or_letters_and_come_once() {
        let text = r#"[{"numero":"2A","nom":"Corse-du-Sud"},{"numero":"976","nom":"Mayotte","zone":"drom"},
                       {"numero":"2a","nom":"x"},{"numero":"1","nom":"x"},{"numero":"976","nom":"x"},
                       {"numero":"01"},3]"#;
        let reading = departements(text).unwrap();
        assert_eq!(reading.rows.iter().map(|row| row.numero.as_str()).collect::<Vec<_>>(), ["2A", "976"]);
        let told: Vec<_> = reading.refused.iter().map(|one| (one.row, one.field.as_str())).collect();
        assert_eq!(told, [(3, "numero"), (4, "numero"), (5, "numero"), (6, "nom"), (7, "numero")]);
        assert!(departements("{}").is_err() && departements("x").is_err());
    }
}
