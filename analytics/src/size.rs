//! How large a query may be, told before it is planned: planning cannot be interrupted.
//!
//! An expression is planned in a time that grows with the square of its length, and on a stack as deep as it is long.
//! A query of a `WITH` is planned anew wherever it is named: some that each name the one before twice are planned two
//! to the power of their number times.

use std::collections::HashMap;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::limits::{SQL_MAX_BYTES, SQL_MAX_REPEATS, SQL_MAX_TOKENS, SQL_MAX_WORD_BYTES};

/// Says why a query is too large, if it is.
pub(crate) fn check(sql: &str) -> Result<(), String> {
    if sql.len() > SQL_MAX_BYTES {
        return Err(format!("a query may not exceed {SQL_MAX_BYTES} bytes"));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().map_err(|error| error.to_string())?;
    let words: Vec<_> = tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    if words.len() > SQL_MAX_TOKENS {
        return Err(format!("a query may not have more than {SQL_MAX_TOKENS} words and signs"));
    }
    if words.iter().any(|word| word.to_string().len() > SQL_MAX_WORD_BYTES) {
        return Err(format!("a name or text of a query may not exceed {SQL_MAX_WORD_BYTES} bytes"));
    }
    if repeats(&words) > SQL_MAX_REPEATS {
        return Err(format!(
            "the queries of WITH may not name each other so often that one is planned more than {SQL_MAX_REPEATS} times"
        ));
    }
    Ok(())
}

/// How often a query of a `WITH` is planned at most: the product of how often each of them is named.
fn repeats(words: &[Token]) -> u64 {
    let mut named = HashMap::<String, u64>::new();
    for (at, word) in words.iter().enumerate() {
        // `name.column` names a column.
        if let Some(name) = name(word)
            && words.get(at + 1) != Some(&Token::Period)
        {
            *named.entry(name).or_default() += 1;
        }
    }
    let definitions = (0..words.len()).filter_map(|at| defined(words, at));
    let factors = definitions.map(|name| named.get(&name).map_or(1, |named| named.saturating_sub(1).max(1)));
    factors.fold(1, u64::saturating_mul)
}

/// What `AS (` at a place gives a name to: `name AS (`, or `name (columns) AS (`.
fn defined(words: &[Token], at: usize) -> Option<String> {
    let is_as = matches!(words.get(at)?, Token::Word(word) if word.keyword == Keyword::AS);
    let opens = words[at + 1..].iter().find(|word| {
        !matches!(word, Token::Word(word) if matches!(word.keyword, Keyword::NOT | Keyword::MATERIALIZED))
    });
    if !is_as || opens != Some(&Token::LParen) {
        return None;
    }
    let before = words[..at].iter().rposition(|word| *word != Token::RParen)?;
    let of_columns = words[..at].last() == Some(&Token::RParen);
    let place = if of_columns {
        words[..before].iter().rposition(|word| *word == Token::LParen)?.checked_sub(1)?
    } else {
        before
    };
    name(words.get(place)?)
}

fn name(word: &Token) -> Option<String> {
    match word {
        Token::Word(word) => Some(word.value.to_lowercase()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many queries, each of which names the one before twice.
    fn doubled(count: usize, header: &str) -> String {
        let names: Vec<_> = (1..count)
            .map(|n| format!("A{n}{header} AS (SELECT 1 x FROM a{} p, \"a{}\" q)", n - 1, n - 1))
            .collect();
        format!("WITH a0{header} AS (SELECT 1 x), {} SELECT * FROM a{}", names.join(", "), count - 1)
    }

    #[test]
    fn queries_that_name_each_other_are_bounded() {
        for header in ["", "(x)", " (x)"] {
            assert_eq!(check(&doubled(8, header)), Ok(()));
            assert!(check(&doubled(40, header)).unwrap_err().contains("WITH"), "{header}");
        }
        let materialized = doubled(40, "").replace(" AS (", " AS NOT MATERIALIZED (");
        assert!(check(&materialized).is_err());
    }

    #[test]
    fn many_columns_of_one_are_no_repetition() {
        let columns = vec!["a.x"; 200].join(", ");
        assert_eq!(check(&format!("WITH a AS (SELECT 1 x) SELECT {columns} FROM a")), Ok(()));
    }

    #[test]
    fn what_is_too_long_or_no_sql_is_refused() {
        assert!(check(&"x".repeat(SQL_MAX_BYTES + 1)).unwrap_err().contains("bytes"));
        assert!(check(&"1+".repeat(SQL_MAX_TOKENS)).unwrap_err().contains("words"));
        assert!(check("SELECT 'x").is_err());
        for word in ["'x'", "\"x\"", "x", "E'x'"] {
            let sql = |times| format!("SELECT {}", word.replace('x', &"x".repeat(times)));
            assert_eq!(check(&sql(SQL_MAX_WORD_BYTES - 10)), Ok(()), "{word}");
            assert!(check(&sql(SQL_MAX_WORD_BYTES + 1)).unwrap_err().contains("text"), "{word}");
        }
    }
}
