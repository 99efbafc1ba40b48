//! Which operators, and which towns of theirs, tell no taxi apart: those of so many ADS that it may be any of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray as _, BooleanArray};
use datafusion::arrow::compute::nullif;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::{Expr, cast, col, lit, when};

use crate::dimensions::Dimensions;
use crate::limits::FEWEST_SHOWN;

/// The operators that registered [`FEWEST_SHOWN`] ADS or more, and the towns of which each did.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Crowd {
    operators: Arc<BTreeMap<i64, BTreeSet<String>>>,
}

impl Crowd {
    /// As of now. An ADS that several operators registered is one.
    pub(crate) fn of(dimensions: &Dimensions) -> Self {
        let mut registered = BTreeMap::<i32, BTreeMap<&str, BTreeSet<&str>>>::new();
        for ads in &dimensions.ads {
            let towns = registered.entry(ads.operator).or_default();
            towns.entry(&ads.insee).or_default().insert(&ads.numero);
        }
        let fewest = FEWEST_SHOWN as usize;
        let mut operators = BTreeMap::new();
        for (operator, towns) in registered {
            let mut towns: Vec<_> = towns.into_iter().map(|(town, numbers)| (numbers.len(), town)).collect();
            if towns.iter().map(|(count, _)| count).sum::<usize>() < fewest {
                continue;
            }
            towns.sort_unstable_by_key(|&(count, town)| (Reverse(count), town));
            // What is left without a town is as many, too, or nothing.
            let mut hidden = 0;
            while let Some((count, _)) =
                towns.pop_if(|(count, _)| *count < fewest || (1..fewest).contains(&hidden))
            {
                hidden += count;
            }
            operators.insert(operator.into(), towns.into_iter().map(|(_, town)| town.to_owned()).collect());
        }
        Self { operators: Arc::new(operators) }
    }

    /// Whether a town is one of them.
    pub(crate) fn holds(&self, operator: i64, insee: &str) -> bool {
        self.operators.get(&operator).is_some_and(|towns| towns.contains(insee))
    }

    /// An operator, if it is one of them.
    pub(crate) fn operator(&self, operator: i32) -> Option<i32> {
        self.operators.contains_key(&operator.into()).then_some(operator)
    }

    /// A column of operators' numbers, null where they are others.
    pub(crate) fn operators(&self, column: &str) -> Result<Expr> {
        let many = self.operators.keys().map(|operator| lit(*operator)).collect();
        let is_many = cast(col(column), DataType::Int64).in_list(many, false);
        Ok(when(is_many, col(column)).end()?.alias(column))
    }

    /// A column of the towns of ADS, null where they are others than `operator` has many of.
    pub(crate) fn towns(&self, operator: &str, column: &str) -> Expr {
        let operator = cast(col(operator), DataType::Int64);
        ScalarUDF::from(self.clone()).call(vec![operator, col(column)]).alias(column)
    }

    /// That of a function of operators and towns.
    pub(crate) fn within(function: &ScalarUDF) -> Option<&Self> {
        function.inner().downcast_ref::<OfMany>().map(|function| &function.crowd)
    }

    /// As bytes: each operator, a colon, its towns with commas between them, a semicolon.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let towns = |towns: &BTreeSet<String>| towns.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let each = self.operators.iter().map(|(operator, of_it)| format!("{operator}:{};", towns(of_it)));
        each.collect::<String>().into_bytes()
    }

    /// From such bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let parts = std::str::from_utf8(bytes).ok()?.split(';').filter(|part| !part.is_empty());
        let operators = parts.map(|part| {
            let (operator, towns) = part.split_once(':')?;
            let towns = towns.split(',').filter(|town| !town.is_empty()).map(str::to_owned);
            Some((operator.parse().ok()?, towns.collect()))
        });
        Some(Self { operators: Arc::new(operators.collect::<Option<_>>()?) })
    }

    fn among(&self, operators: &ArrayRef, towns: &ArrayRef) -> Result<ArrayRef> {
        // Rows beside one another are of one operator and town, often.
        let mut last = None;
        let pairs = operators.as_primitive::<Int64Type>().iter().zip(towns.as_string_view());
        let hidden: BooleanArray = pairs
            .map(|pair| {
                let (operator, town) = (pair.0.unwrap_or(i64::MIN), pair.1?);
                let pair = (operator, town);
                let known = last.filter(|(before, _)| *before == pair);
                let (_, is_hidden) =
                    *last.insert(known.unwrap_or_else(|| (pair, !self.holds(operator, town))));
                Some(is_hidden)
            })
            .collect();
        Ok(nullif(towns, &hidden)?)
    }
}

/// Of columns of operators and of towns the towns of which the operator has many; null: another one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfMany {
    crowd: Crowd,
    signature: Signature,
}

impl From<Crowd> for ScalarUDF {
    fn from(crowd: Crowd) -> Self {
        let signature = Signature::exact(vec![DataType::Int64, DataType::Utf8View], Volatility::Immutable);
        Self::new_from_impl(OfMany { crowd, signature })
    }
}

impl ScalarUDFImpl for OfMany {
    fn name(&self) -> &'static str {
        "of_many"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let crowd = self.crowd.clone();
        let among = move |arrays: &[ArrayRef]| crowd.among(&arrays[0], &arrays[1]);
        make_scalar_function(among, vec![])(&args.args)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, StringViewArray};
    use ingest::clock::Millis;

    use super::*;
    use crate::dimensions::Ads;

    const MANY: u32 = FEWEST_SHOWN;

    /// Of whom so many ADS of these towns are registered, each twice.
    fn crowd(registered: &[(i32, &str, u32)]) -> Crowd {
        let ads = registered.iter().flat_map(|&(operator, insee, count)| {
            (0..2 * count).map(move |number| Ads {
                insee: insee.to_owned(),
                numero: (number % count).to_string(),
                operator,
                added_at: Millis(0),
            })
        });
        Crowd::of(&Dimensions { ads: ads.collect(), ..Dimensions::default() })
    }

    #[test]
    fn a_town_of_which_an_operator_has_few_ads_is_not_told_beside_it() {
        let crowd = crowd(&[(1, "69123", 100), (1, "38185", 2), (1, "01004", 3), (2, "69123", MANY - 1)]);
        let operators: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 1, 1, 2, 3]));
        let towns = [Some("69123"), Some("69123"), Some("38185"), None, Some("69123"), Some("69123")];
        let towns: ArrayRef = Arc::new(StringViewArray::from_iter(towns));
        let told = crowd.among(&operators, &towns).unwrap();
        let told: Vec<_> = told.as_string_view().iter().collect();
        assert_eq!(told, [Some("69123"), Some("69123"), None, None, None, None]);
        assert_eq!([1, 2, 3].map(|operator| crowd.operator(operator)), [Some(1), None, None]);
    }

    #[test]
    fn the_few_whose_town_is_hidden_are_not_found_by_that() {
        let crowd =
            crowd(&[(1, "69123", 9), (1, "38185", MANY), (1, "75056", 1), (2, "69123", 3), (2, "38185", 3)]);
        let held = |operator| ["69123", "38185", "75056"].map(|town| crowd.holds(operator, town));
        assert_eq!(held(1), [true, false, false], "one would be left without a town");
        assert_eq!(held(2), [false; 3]);
        assert_eq!(crowd.operator(2), Some(2), "it has six");
    }
}
