//! Which towns and operators tell no taxi apart: those of so many ADS that it may be any of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray as _, BooleanArray};
use datafusion::arrow::compute::nullif;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::{Expr, cast, col, lit, when};

use crate::dimensions::Dimensions;
use crate::limits::FEWEST_SHOWN;

/// The towns that gave [`FEWEST_SHOWN`] ADS or more, and the operators that registered so many.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Crowd {
    towns: Arc<BTreeSet<String>>,
    operators: Arc<BTreeSet<i32>>,
}

impl Crowd {
    /// As of now. An ADS that several operators registered is one.
    pub(crate) fn of(dimensions: &Dimensions) -> Self {
        let mut of_towns = BTreeMap::<&str, BTreeSet<&str>>::new();
        let mut of_operators = BTreeMap::<i32, BTreeSet<(&str, &str)>>::new();
        for ads in &dimensions.ads {
            of_towns.entry(&ads.insee).or_default().insert(&ads.numero);
            of_operators.entry(ads.operator).or_default().insert((&ads.insee, &ads.numero));
        }
        let fewest = FEWEST_SHOWN as usize;
        let towns = of_towns.into_iter().filter(|(_, numbers)| numbers.len() >= fewest);
        let operators = of_operators.into_iter().filter(|(_, ads)| ads.len() >= fewest);
        Self {
            towns: Arc::new(towns.map(|(town, _)| town.to_owned()).collect()),
            operators: Arc::new(operators.map(|(operator, _)| operator).collect()),
        }
    }

    /// Whether a town is one of them.
    pub(crate) fn holds(&self, insee: &str) -> bool {
        self.towns.contains(insee)
    }

    /// An operator, if it is one of them.
    pub(crate) fn operator(&self, operator: i32) -> Option<i32> {
        self.operators.contains(&operator).then_some(operator)
    }

    /// A column of operators' numbers, null where they are others.
    pub(crate) fn operators(&self, column: &str) -> Result<Expr> {
        let many = self.operators.iter().map(|operator| lit(i64::from(*operator))).collect();
        let is_many = cast(col(column), DataType::Int64).in_list(many, false);
        Ok(when(is_many, col(column)).end()?.alias(column))
    }

    fn among(&self, towns: &ArrayRef) -> Result<ArrayRef> {
        // Rows beside one another are of one town, often.
        let mut last = None;
        let hidden: BooleanArray = towns
            .as_string_view()
            .iter()
            .map(|town| {
                let town = town?;
                let known = last.filter(|(before, _)| *before == town);
                let (_, is_hidden) = *last.insert(known.unwrap_or_else(|| (town, !self.holds(town))));
                Some(is_hidden)
            })
            .collect();
        Ok(nullif(towns, &hidden)?)
    }
}

/// The towns of a column that are among them; null: another one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfMany {
    crowd: Crowd,
    signature: Signature,
}

impl From<Crowd> for ScalarUDF {
    fn from(crowd: Crowd) -> Self {
        let signature = Signature::exact(vec![DataType::Utf8View], Volatility::Immutable);
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
        make_scalar_function(move |arrays: &[ArrayRef]| crowd.among(&arrays[0]), vec![])(&args.args)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::StringViewArray;
    use ingest::clock::Millis;

    use super::*;
    use crate::dimensions::Ads;

    #[test]
    fn a_town_of_few_ads_is_not_told_however_often_they_are_registered() {
        let ads = |insee: &str, number: u32, operator| Ads {
            insee: insee.to_owned(),
            numero: number.to_string(),
            operator,
            added_at: Millis(0),
        };
        let mut all: Vec<_> = (0..FEWEST_SHOWN).map(|number| ads("69123", number, 1)).collect();
        all.extend((1..FEWEST_SHOWN).flat_map(|number| [ads("38185", number, 1), ads("38185", number, 2)]));
        let crowd = Crowd::of(&Dimensions { ads: all, ..Dimensions::default() });
        let towns = [Some("69123"), Some("69123"), Some("38185"), None, Some("75056")];
        let towns: ArrayRef = Arc::new(StringViewArray::from_iter(towns));
        let told = crowd.among(&towns).unwrap();
        let told: Vec<_> = told.as_string_view().iter().collect();
        assert_eq!(told, [Some("69123"), Some("69123"), None, None, None]);
        // Operator 1 registered 9, operator 2 four; of operator 3 nothing is known.
        assert_eq!([1, 2, 3].map(|operator| crowd.operator(operator)), [Some(1), None, None]);
    }
}
