//! Which functions an analyst's query may use: those whose value is a number, a moment, a truth or a text, and no
//! longer than what they are given.
//!
//! A bound on memory is kept between batches. What doubles a text in each of some queries that follow one another, or
//! gathers a column in one value, needs more than there is within one of them. So of texts nothing is put together
//! (`||` and `concat` neither), and there are no lists, maps or structures. A window keeps every row of its partition
//! outside the bound, so there are none (`OVER`). Nor does a bound on time end a batch under way: what takes the square
//! of a text's length for each row is not there either.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};

/// By what they are about: the archive, conditions, numbers, time, texts, groups. A name is the first of those that a
/// function has.
const ALLOWED: [&[&str]; 7] = [
    &["h3_text", "h3_parent", "h3_cell", "h3_area_km2", "metres", "status_name"],
    &["coalesce", "nullif", "nvl", "nvl2", "greatest", "least", "arrow_typeof", "version"],
    &[
        "abs",
        "acos",
        "acosh",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "cbrt",
        "ceil",
        "cos",
        "cosh",
        "cot",
        "degrees",
        "exp",
        "factorial",
        "floor",
        "gcd",
        "isnan",
        "iszero",
        "lcm",
        "ln",
        "log",
        "log10",
        "log2",
        "nanvl",
        "pi",
        "power",
        "radians",
        "random",
        "round",
        "signum",
        "sin",
        "sinh",
        "sqrt",
        "tan",
        "tanh",
        "trunc",
    ],
    &[
        "current_date",
        "current_time",
        "date_bin",
        "date_part",
        "date_trunc",
        "from_unixtime",
        "make_date",
        "make_time",
        "now",
        "to_date",
        "to_local_time",
        "to_time",
        "to_timestamp",
        "to_timestamp_micros",
        "to_timestamp_millis",
        "to_timestamp_nanos",
        "to_timestamp_seconds",
        "to_unixtime",
    ],
    &[
        "ascii",
        "bit_length",
        "btrim",
        "character_length",
        "chr",
        "contains",
        "ends_with",
        "find_in_set",
        "initcap",
        "left",
        "lower",
        "ltrim",
        "octet_length",
        "reverse",
        "right",
        "rtrim",
        "split_part",
        "starts_with",
        "strpos",
        "substr",
        "substr_index",
        "to_hex",
        "translate",
        "upper",
    ],
    &[
        "any_value",
        "approx_distinct",
        "approx_median",
        "approx_percentile_cont",
        "approx_percentile_cont_with_weight",
        "avg",
        "bit_and",
        "bit_or",
        "bit_xor",
        "bool_and",
        "bool_or",
        "corr",
        "count",
        "covar_pop",
        "covar_samp",
        "first_value",
        "grouping",
        "last_value",
        "max",
        "median",
        "min",
        "nth_value",
        "percentile_cont",
        "regr_avgx",
        "regr_avgy",
        "regr_count",
        "regr_intercept",
        "regr_r2",
        "regr_slope",
        "regr_sxx",
        "regr_sxy",
        "regr_syy",
        "stddev",
        "stddev_pop",
        "sum",
        "var",
        "var_pop",
    ],
    // What views are made of. No session has functions of these names.
    &["pseudonym", "of_many"],
];

/// Says what of a query is not allowed, if anything is not.
pub(crate) fn check(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|whole| {
            whole.apply(|part| match excluded(part) {
                None => Ok(TreeNodeRecursion::Continue),
                Some((what, why)) => Err(DataFusionError::Plan(format!("{what} may not be used: {why}"))),
            })
        })
    })
    .map(|_| ())
}

/// Why what makes values grow is not allowed.
const GROWS: &str = "a value is a number, a moment or a text no longer than those it is made of";

/// Why windows are not.
const WINDOWS: &str = "it keeps every row in memory; GROUP BY, or ORDER BY and LIMIT, do not";

/// What a step of an expression is called, and why it is not allowed, where it is not.
fn excluded(expression: &Expr) -> Option<(String, &'static str)> {
    let name = match expression {
        Expr::ScalarFunction(call) => call.func.name(),
        Expr::AggregateFunction(call) => call.func.name(),
        Expr::WindowFunction(_) => return Some(("a window function (OVER)".to_owned(), WINDOWS)),
        Expr::BinaryExpr(pair) if pair.op == Operator::StringConcat => return Some(("||".to_owned(), GROWS)),
        Expr::Cast(cast) => return long(cast.field.data_type()),
        Expr::TryCast(cast) => return long(cast.field.data_type()),
        Expr::Literal(value, _) => return long(&value.data_type()),
        Expr::Unnest(_) => return Some(("unnest".to_owned(), GROWS)),
        Expr::HigherOrderFunction(_) | Expr::Lambda(_) | Expr::LambdaVariable(_) => {
            return Some(("a function of a function".to_owned(), GROWS));
        }
        _ => return None,
    };
    let is_allowed = ALLOWED.iter().any(|names| names.contains(&name));
    (!is_allowed).then(|| (name.to_owned(), GROWS))
}

/// A type of which one value may be as long as the type says.
fn long(kind: &DataType) -> Option<(String, &'static str)> {
    let is_long = kind.is_nested() || matches!(kind, DataType::FixedSizeBinary(_));
    is_long.then(|| (format!("the type {kind}"), GROWS))
}

#[cfg(test)]
mod tests {
    use datafusion::execution::FunctionRegistry as _;
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::functions;

    #[test]
    fn what_is_allowed_is_there() {
        let context = SessionContext::new();
        functions::all().for_each(|function| context.register_udf(function));
        let state = context.state();
        let (inner, told) = ALLOWED.split_last().unwrap();
        let is_there = |name: &&str| {
            let found = [
                state.udf(name).map(|function| function.name().to_owned()),
                state.udaf(name).map(|function| function.name().to_owned()),
            ];
            found.iter().flatten().any(|found| found == name)
        };
        let missing: Vec<_> = told.iter().copied().flatten().filter(|name| !is_there(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        for name in *inner {
            assert!(state.udf(name).is_err(), "{name}");
        }
    }
}
