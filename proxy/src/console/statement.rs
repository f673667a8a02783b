//! SQL with its values bound, and how it runs.
//!
//! Promises: a value is a parameter, never part of the text.

use clickhouse::{RowOwned, RowRead};

use super::error::Failure;
use super::filter::Window;
use super::store::Access;

/// A value bound to a name in the SQL.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Int(i64),
    Text(String),
    Texts(Vec<String>),
}

/// SQL and the values bound to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) values: Vec<(&'static str, Value)>,
}

impl Statement {
    pub(super) fn of(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), values: Vec::new() }
    }

    pub(super) fn bind(mut self, name: &'static str, value: Value) -> Self {
        self.values.push((name, value));
        self
    }

    pub(super) fn and(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    pub(super) fn and_text(&mut self, column: &str, name: &'static str, text: &str) {
        if !text.is_empty() {
            self.and(&format!("{column} = {{{name}:String}}"));
            self.values.push((name, Value::Text(text.to_owned())));
        }
    }

    pub(super) fn then(mut self, rest: &str) -> Self {
        self.sql.push(' ');
        self.sql.push_str(rest);
        self
    }

    /// Within a span of time.
    pub(super) fn within(mut self, window: Window) -> Self {
        self.sql.push_str(
            " WHERE started_at >= fromUnixTimestamp64Micro({from:Int64}) AND started_at < fromUnixTimestamp64Micro({to:Int64})",
        );
        self.bind("from", Value::Int(window.from)).bind("to", Value::Int(window.to))
    }
}

impl Access {
    pub(super) async fn all<T: RowOwned + RowRead>(
        &self,
        name: &'static str,
        statement: Statement,
    ) -> Result<Vec<T>, Failure> {
        let Statement { sql, values } = statement;
        let fetch = async |mut query: clickhouse::query::Query| {
            for (name, value) in &values {
                query = match value {
                    Value::Int(value) => query.param(name, value),
                    Value::Text(value) => query.param(name, value),
                    Value::Texts(value) => query.param(name, value),
                };
            }
            query.fetch_all::<T>().await
        };
        self.run(name, &sql, fetch).await
    }

    pub(super) async fn first<T: RowOwned + RowRead>(
        &self,
        name: &'static str,
        sql: Statement,
    ) -> Result<Option<T>, Failure> {
        Ok(self.all(name, sql).await?.into_iter().next())
    }
}
