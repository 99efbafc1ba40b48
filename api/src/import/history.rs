//! What became of towns that are no more: mergers, and the districts of Paris, Lyon and Marseille.
//!
//! `commune_history.csv` lists every code abolished since 1943 with the town or towns of January 2026 that hold its
//! land, chains followed to their end. Source: INSEE, code officiel géographique 2026, through Etalab's
//! « découpage administratif » (Licence Ouverte 2.0).

use std::collections::HashMap;
use std::sync::LazyLock;

static HISTORY: LazyLock<HashMap<&str, Abolished>> = LazyLock::new(|| {
    let entry = |line: &'static str| {
        let mut cells = line.split(',');
        let (code, date, successors) = (cells.next()?, cells.next()?, cells.next()?);
        Some((code, Abolished { date, successors }))
    };
    include_str!("commune_history.csv").lines().skip(1).filter_map(entry).collect()
});

#[derive(Clone, Copy)]
struct Abolished {
    /// ISO 8601; empty for a district, which never was a town.
    date: &'static str,
    /// Codes with spaces between them.
    successors: &'static str,
}

/// Where a code leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Town {
    /// The town is there.
    There,
    /// It was abolished, and the town that holds its land is there.
    Became(&'static str, String),
    /// It is not there and nothing is known to take its place; why.
    Nowhere(String),
}

/// Follows a code to a town that is there.
pub fn follow(code: &str, is_there: impl Fn(&str) -> bool) -> Town {
    if is_there(code) {
        return Town::There;
    }
    let Some(Abolished { date, successors }) = HISTORY.get(code) else {
        return Town::Nowhere(format!("{code} is no town"));
    };
    let what = if date.is_empty() {
        format!("{code} is a district of a town")
    } else {
        format!("{code} was abolished on {date}")
    };
    match successors.split(' ').collect::<Vec<_>>()[..] {
        [one] if is_there(one) => Town::Became(one, format!("{what}; {one} is taken")),
        [one] => Town::Nowhere(format!("{what}, and {one} is no town here")),
        _ => Town::Nowhere(format!("{what} and parted among {successors}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        assert_eq!(HISTORY.len(), 4285);
        let is_code = |code: &str| code.parse::<engine::territory::Insee>().is_ok();
        for (code, abolished) in HISTORY.iter() {
            assert!(is_code(code) && abolished.successors.split(' ').all(is_code), "{code}");
            assert!([0, 10].contains(&abolished.date.len()), "{code}");
        }
    }

    #[test]
    fn a_merger_is_followed_where_it_leads_to_one_town_that_is_there() {
        let there = |code: &str| ["69149", "93066", "75056"].contains(&code);
        assert_eq!(follow("69149", there), Town::There);
        assert!(matches!(follow("69152", there), Town::Became("69149", told) if told.contains("2024")));
        assert!(matches!(follow("75107", there), Town::Became("75056", told) if told.contains("district")));
        let nowhere =
            |code, reason: &str| matches!(follow(code, there), Town::Nowhere(t) if t.contains(reason));
        assert!(nowhere("01003", "01165 is no town"));
        assert!(nowhere("08227", "parted among 08203 08454"));
        assert!(nowhere("99999", "99999 is no town"));
    }
}
