//! Why the store is not ready.

/// What stands between Weir and a store that can take rows.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server could not be reached, or refused a statement.
    #[error("{0}")]
    ClickHouse(#[from] clickhouse::error::Error),
    /// No answer in time.
    #[error("no answer to {what} within {} s", limit.as_secs())]
    TimedOut {
        /// What was asked.
        what: &'static str,
        /// How long was waited.
        limit: std::time::Duration,
    },
    /// The server lacks what the tables need.
    #[error("this ClickHouse is {version}, Weir needs 26.2 or newer (text indexes); update the server")]
    TooOld {
        /// As the server says it.
        version: String,
    },
    /// An applied migration is not the one that this program carries.
    #[error(
        "migration {name} was changed after it was applied to database '{database}', so the tables may not be \
         what this Weir expects; run the Weir that made them, or name another database"
    )]
    MigrationChanged {
        /// File name without its ending.
        name: String,
        /// Where it was applied.
        database: String,
    },
    /// A file in `migrations/` that is none.
    #[error("'{0}' is no migration: name it NNNN_name.sql and write it in UTF-8")]
    BadMigration(String),
    /// The configured URL cannot work.
    #[error("the url of the store {0}; {1}")]
    BadUrl(String, String),
    /// The embedded engine has no library to load.
    #[error(transparent)]
    NoLibrary(#[from] weir_clickhouse_engine::LibraryNotFound),
    /// The embedded engine could not be started.
    #[error("{0}")]
    Engine(String),
}

impl From<weir_clickhouse_engine::Error> for Error {
    fn from(error: weir_clickhouse_engine::Error) -> Self {
        match error {
            weir_clickhouse_engine::Error::Library(missing) => Self::NoLibrary(missing),
            other => Self::Engine(other.to_string()),
        }
    }
}
