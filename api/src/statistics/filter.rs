//! By what figures are narrowed: departments, towns, groups and a manager, all of which must hold.

use std::collections::HashSet;
use std::fmt::Display;
use std::str::FromStr;

use engine::territory::{Insee, departement};
use serde_json::{Map, Value, json};

use crate::error::{Answer, Problem};
use crate::form::kind::{Integer, Kind as _};
use crate::form::query::Query;
use crate::registry::accounts::Accounts;

/// A wish of figures. Items of a list are alternatives; None takes all, and an empty list nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    departements: Option<Vec<Departement>>,
    towns: Option<Vec<Insee>>,
    groups: Option<Vec<i32>>,
    manager: Option<i32>,
}

/// The number of a department, as far as a town's code can name it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Departement(String);

impl FromStr for Departement {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        let is_whole = (2..=3).contains(&text.len()) && departement(&format!("{text}00")) == text;
        if is_number && is_whole { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

impl Display for Departement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Filter {
    /// The first value of `departements`, `insee`, `groups` and `manager`, each of which may be absent or empty. A
    /// place that is nowhere matches nothing; an account that is no number is refused.
    pub fn read(query: &Query) -> Answer<Self> {
        let mut errors = Map::new();
        let groups = integers(query, "groups", true, &mut errors);
        let manager = integers(query, "manager", false, &mut errors);
        if !errors.is_empty() {
            return Err(Problem::invalid(Value::Object(errors)));
        }
        Ok(Self {
            departements: places(query, "departements"),
            towns: places(query, "insee"),
            groups,
            manager: manager.and_then(|ids| ids.first().copied()).filter(|id| *id != 0),
        })
    }

    /// Whether nothing is left out.
    pub fn takes_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this town is among them; None stands for a place outside every town.
    pub fn takes_town(&self, insee: Option<&str>) -> bool {
        let among = |code: &str| {
            self.departements.iter().all(|wanted| wanted.iter().any(|one| one.0 == departement(code)))
                && self.towns.iter().all(|wanted| wanted.iter().any(|town| town.as_str() == code))
        };
        match insee {
            Some(code) => among(code),
            None => self.departements.is_none() && self.towns.is_none(),
        }
    }

    /// The accounts that are among them, as they are managed now; None: any.
    pub fn accounts(&self, accounts: &Accounts) -> Option<HashSet<i32>> {
        let managed = self.manager.map(|manager| {
            accounts.managed_by(manager).into_iter().map(|account| account.id).collect::<HashSet<_>>()
        });
        let groups = self.groups.as_ref().map(|groups| groups.iter().copied().collect::<HashSet<_>>());
        match (managed, groups) {
            (Some(managed), Some(groups)) => Some(managed.intersection(&groups).copied().collect()),
            (managed, groups) => managed.or(groups),
        }
    }

    /// As SQL: that what is in the column `insee` is among the towns, and in the column `account` among the accounts.
    /// Nothing in it needs to be bound.
    pub fn condition(&self, insee: &str, account: &str) -> String {
        let mut wanted = vec!["1 = 1".to_owned()];
        if let Some(departements) = &self.departements {
            // A range, so that an index serves: codes are digits and capitals, of which no database sorts any after Z.
            let of = |number: &Departement| format!("{insee} BETWEEN '{number}' AND '{number}ZZZ'");
            let any: Vec<_> = departements.iter().map(of).collect();
            wanted.push(if any.is_empty() { NOTHING.to_owned() } else { format!("({})", any.join(" OR ")) });
        }
        wanted.extend(self.towns.iter().map(|towns| one_of(insee, towns.iter().map(quoted))));
        wanted.extend(self.groups.iter().map(|groups| one_of(account, groups.iter().map(i32::to_string))));
        let managed = |manager| format!("{account} IN (SELECT id FROM users WHERE manager_id = {manager})");
        wanted.extend(self.manager.map(managed));
        wanted.join(" AND ")
    }
}

/// A condition of SQL that nothing meets.
const NOTHING: &str = "1 = 0";

/// An account's number that none has.
const NOBODY: i32 = -1;

/// That something is one of these texts of SQL, which may be none.
pub(crate) fn one_of(what: &str, choices: impl Iterator<Item = String>) -> String {
    let choices: Vec<_> = choices.collect();
    if choices.is_empty() { NOTHING.to_owned() } else { format!("{what} IN ({})", choices.join(", ")) }
}

/// Digits and letters, as a text of SQL.
pub(crate) fn quoted(code: &impl Display) -> String {
    format!("'{code}'")
}

/// The items of the first value of a name, with the spaces around them; None where there are none.
fn items<'a>(query: &'a Query, name: &str) -> Option<Vec<&'a str>> {
    let value = query.first(name).filter(|value| !value.is_empty())?;
    Some(value.split(',').collect())
}

fn places<T: FromStr>(query: &Query, name: &str) -> Option<Vec<T>> {
    Some(items(query, name)?.into_iter().filter_map(|item| item.parse().ok()).collect())
}

/// Numbers of accounts, of which there may be several; what is wrong is told by its place.
fn integers(query: &Query, name: &str, several: bool, errors: &mut Map<String, Value>) -> Option<Vec<i32>> {
    let items = if several {
        items(query, name)?
    } else {
        vec![query.first(name).filter(|value| !value.is_empty())?]
    };
    let (mut numbers, mut wrong) = (Vec::new(), Map::new());
    for (place, item) in items.into_iter().enumerate() {
        match Integer.read(&json!(item)) {
            Ok(number) => numbers.push(number),
            // One that is beyond all numbers of accounts.
            Err(_) if is_whole_number(item) => numbers.push(NOBODY),
            Err(error) => {
                wrong.insert(place.to_string(), error);
            }
        }
    }
    if !wrong.is_empty() {
        errors.insert(name.to_owned(), Value::Object(wrong));
    }
    Some(numbers)
}

/// Whether this is a number without a fraction, however large.
fn is_whole_number(text: &str) -> bool {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Answer<Filter> {
        Filter::read(&Query::new(pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()))
    }

    #[test]
    fn the_first_value_counts_and_an_empty_one_is_none() {
        for pairs in [
            &[] as &[(&str, &str)],
            &[("departements", ""), ("insee", ""), ("groups", ""), ("manager", "")],
            &[("manager", "0"), ("other", "x")],
            &[("manager", ""), ("manager", "x")],
        ] {
            assert!(read(pairs).unwrap().takes_all(), "{pairs:?}");
        }
        let filter = read(&[("groups", " 3, 4"), ("groups", "x"), ("manager", "7 ")]).unwrap();
        assert_eq!((filter.groups, filter.manager), (Some(vec![3, 4]), Some(7)));
        assert!(!read(&[("groups", "0")]).unwrap().takes_all());
        for pairs in [[("groups", "3000000000")], [("manager", "-99999999999999999999")]] {
            let condition = read(&pairs).unwrap().condition("i", "a");
            assert!(condition.contains("-1"), "nobody's: {condition}");
        }
    }

    #[test]
    fn accounts_that_are_no_numbers_are_told_by_their_place() {
        let refused = read(&[("groups", "3,x,,4"), ("manager", "3,4"), ("insee", "?")]).unwrap_err();
        let wrong = json!(["Not a valid integer."]);
        assert_eq!(*refused.errors(), json!({"groups": {"1": wrong, "2": wrong}, "manager": {"0": wrong}}));
    }

    #[test]
    fn towns_are_taken_by_code_and_by_department() {
        for (pairs, taken) in [
            (&[] as &[(&str, &str)], &["69123", "38185", "97411", "98818", "2A004", ""] as &[&str]),
            (&[("departements", "69,2A,974, 38")], &["69123", "97411", "2A004"]),
            (&[("departements", "97,6,691,98,'")], &[]),
            (&[("insee", "69123,38185,nowhere, 97411")], &["69123", "38185"]),
            (&[("insee", "69123,97411"), ("departements", "69")], &["69123"]),
        ] {
            let filter = read(pairs).unwrap();
            for insee in ["69123", "38185", "97411", "98818", "2A004", ""] {
                let town = (!insee.is_empty()).then_some(insee);
                assert_eq!(filter.takes_town(town), taken.contains(&insee), "{pairs:?} {insee}");
            }
        }
    }

    #[test]
    fn what_goes_into_sql_was_understood_before() {
        let wishes =
            [("departements", "69,6';--"), ("insee", "x'),69123"), ("groups", "3,-1"), ("manager", "2")];
        let condition = read(&wishes).unwrap().condition("i", "a");
        assert!(
            condition.contains("(i BETWEEN '69' AND '69ZZZ') AND i IN ('69123') AND a IN (3, -1)"),
            "{condition}"
        );
        assert!(condition.ends_with("a IN (SELECT id FROM users WHERE manager_id = 2)"), "{condition}");
        assert_eq!(read(&[("insee", "'")]).unwrap().condition("i", "a"), "1 = 1 AND 1 = 0");
    }
}
