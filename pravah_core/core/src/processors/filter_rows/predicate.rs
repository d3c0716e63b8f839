//! The expression of `filter_rows`, read by an SQL parser; what it does not have is refused before a job begins.

use regex::Regex;
use sqlparser::{
    ast::{BinaryOperator, Expr, Ident, InTarget, UnaryOperator, Value, ValueWithSpan},
    dialect::PostgreSqlDialect,
    parser::Parser,
    tokenizer::Token,
};

/// Expressions within expressions, at most: each takes stack.
const MOST_NESTED: usize = 50;

/// What may hold for a row, or not, or be unknown.
#[derive(Debug)]
pub enum Predicate {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    /// A column of booleans.
    Column(String),
    Constant(bool),
    Compare(Operand, Comparison, Operand),
    /// The column is one of these values.
    In(Operand, Vec<Operand>),
    IsNull(Operand),
    /// The text of a column looks like this (`%` is any text, `_` any character).
    Like {
        text: Operand,
        pattern: String,
        ignores_case: bool,
    },
    Matches(Operand, Regex),
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    Column(String),
    Text(String),
    /// A number, as it is written.
    Number(String),
    Boolean(bool),
    Null,
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Predicate {
    /// Read an expression; the error says what can't be read.
    pub fn read(text: &str) -> Result<Self, String> {
        let dialect = PostgreSqlDialect {};
        let parsed =
            Parser::new(&dialect).with_recursion_limit(MOST_NESTED).try_with_sql(text).and_then(|mut parser| {
                let expression = parser.parse_expr()?;
                parser.expect_token(&Token::EOF)?;
                Ok(expression)
            });
        let expression = parsed.map_err(|error| {
            let told = error.to_string();
            let told = told.strip_prefix("sql parser error: ").unwrap_or(&told).to_owned();
            format!("`{text}` can't be read: {told}")
        })?;
        Self::of(&expression)
    }

    fn of(expression: &Expr) -> Result<Self, String> {
        Ok(match expression {
            Expr::Nested(inner) => Self::of(inner)?,
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                Self::And(Box::new(Self::of(left)?), Box::new(Self::of(right)?))
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                Self::Or(Box::new(Self::of(left)?), Box::new(Self::of(right)?))
            }
            Expr::BinaryOp { left, op, right } => Self::of_operator(left, op, right)?,
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Self::Not(Box::new(Self::of(expr)?)),
            Expr::IsNull(inner) => Self::IsNull(operand(inner)?),
            Expr::IsNotNull(inner) => Self::Not(Box::new(Self::IsNull(operand(inner)?))),
            Expr::In { expr, target: InTarget::List(list), negated, .. } => {
                let values = list.iter().map(operand).collect::<Result<_, _>>()?;
                negate(Self::In(operand(expr)?, values), *negated)
            }
            Expr::Between { expr, negated, low, high } => {
                let value = operand(expr)?;
                let from = Self::Compare(value.clone(), Comparison::GreaterOrEqual, operand(low)?);
                let to = Self::Compare(value, Comparison::LessOrEqual, operand(high)?);
                negate(Self::And(Box::new(from), Box::new(to)), *negated)
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                negate(like(expr, pattern, false)?, *negated)
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char: None } => {
                negate(like(expr, pattern, true)?, *negated)
            }
            other => match operand(other)? {
                Operand::Column(name) => Self::Column(name),
                Operand::Boolean(value) => Self::Constant(value),
                _ => return Err(format!("`{other}` is neither true nor false")),
            },
        })
    }

    fn of_operator(left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Self, String> {
        let comparison = match op {
            BinaryOperator::Eq => Comparison::Equal,
            BinaryOperator::NotEq => Comparison::NotEqual,
            BinaryOperator::Lt => Comparison::Less,
            BinaryOperator::LtEq => Comparison::LessOrEqual,
            BinaryOperator::Gt => Comparison::Greater,
            BinaryOperator::GtEq => Comparison::GreaterOrEqual,
            BinaryOperator::PGRegexMatch => return matches(left, right),
            BinaryOperator::PGRegexNotMatch => return Ok(negate(matches(left, right)?, true)),
            other => return Err(format!("the operator `{other}` is not known here")),
        };
        let (left, right) = (operand(left)?, operand(right)?);
        if !matches!(left, Operand::Column(_)) && !matches!(right, Operand::Column(_)) {
            return Err("a comparison needs a column; text is in single quotes, names of columns are not".to_owned());
        }
        Ok(Self::Compare(left, comparison, right))
    }
}

fn negate(predicate: Predicate, negated: bool) -> Predicate {
    if negated { Predicate::Not(Box::new(predicate)) } else { predicate }
}

fn like(text: &Expr, pattern: &Expr, ignores_case: bool) -> Result<Predicate, String> {
    let Operand::Text(pattern) = operand(pattern)? else {
        return Err("the pattern behind `like` is text in single quotes".to_owned());
    };
    Ok(Predicate::Like { text: operand(text)?, pattern, ignores_case })
}

fn matches(text: &Expr, pattern: &Expr) -> Result<Predicate, String> {
    let Operand::Text(pattern) = operand(pattern)? else {
        return Err("the pattern behind `~` is text in single quotes".to_owned());
    };
    let regex = Regex::new(&pattern).map_err(|error| format!("`{pattern}` is no regular expression: {error}"))?;
    Ok(Predicate::Matches(operand(text)?, regex))
}

fn operand(expression: &Expr) -> Result<Operand, String> {
    match expression {
        Expr::Nested(inner) => operand(inner),
        Expr::Identifier(Ident { value, .. }) => Ok(Operand::Column(value.clone())),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match operand(expr)? {
            Operand::Number(number) => Ok(Operand::Number(format!("-{number}"))),
            _ => Err(format!("`{expression}` is no value")),
        },
        Expr::Value(ValueWithSpan { value, .. }) => match value {
            Value::Number(number, _) => Ok(Operand::Number(number.clone())),
            Value::SingleQuotedString(text) => Ok(Operand::Text(text.clone())),
            Value::Boolean(value) => Ok(Operand::Boolean(*value)),
            Value::Null => Ok(Operand::Null),
            _ => Err(format!("`{expression}` is no value that is known here")),
        },
        other => Err(format!("`{other}` is neither a column nor a value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_what_is_not_known_is_refused_with_its_text() {
        for (text, told) in [
            ("a >", "`a >` can't be read: "),
            ("a > 1 b", "can't be read: "),
            ("1 = 1", "needs a column"),
            ("a + 1", "the operator `+` is not known here"),
            ("f(a) = 1", "`f(a)` is neither a column nor a value"),
            ("'x'", "is neither true nor false"),
            ("a like b", "the pattern behind `like` is text"),
            ("a ~ '('", "is no regular expression"),
            ("a in (select 1)", "neither"),
        ] {
            let error = Predicate::read(text).expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
        let deep = format!("{}a{}", "(".repeat(1_000), ")".repeat(1_000));
        assert!(Predicate::read(&deep).is_err());
    }
}
