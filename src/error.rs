//! What can go wrong in a request. The visitor gets a sentence to act on; the log gets the cause, once (`web::errors`).

use actix_web::http::StatusCode;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such page or thing, or not for this viewer.
    #[error("There is nothing here. It may have moved, or the address may have a slip in it.")]
    NotFound,
    /// Signed out where a member is needed: pages send to the log-in form.
    #[error("Log in to see this.")]
    Unauthenticated,
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    Unprocessable(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    UnsupportedMedia(String),
    #[error("Too many tries. Wait {} and try again.", wait(*.retry_after_s))]
    TooMany { retry_after_s: i64 },
    /// Busy: the database or the password hasher has no room right now.
    #[error("The site is busy. Try again in a moment.")]
    Busy,
    #[error(
        "Something went wrong here. It has been logged; try again, and tell the operator if it stays."
    )]
    Internal(#[source] anyhow::Error),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Seconds after which a retry makes sense.
    pub fn retry_after_s(&self) -> Option<i64> {
        match self {
            Self::TooMany { retry_after_s } => Some(*retry_after_s),
            Self::Busy => Some(2),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::Busy,
            // The connection broke, as all do when Postgres restarts: the next try takes another.
            sqlx::Error::Io(e) => {
                tracing::warn!("a connection to the database broke: {e}");
                Self::Busy
            }
            // Deadlock, serialisation failure; SQLite's writer held by another process; Postgres shutting down or
            // starting. The next try goes through.
            sqlx::Error::Database(e)
                if matches!(
                    e.code().as_deref(),
                    Some("40P01" | "40001" | "5" | "261" | "517" | "57P01" | "57P02" | "57P03")
                ) =>
            {
                Self::Busy
            }
            other => Self::Internal(other.into()),
        }
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl From<actix_web::error::BlockingError> for Error {
    fn from(error: actix_web::error::BlockingError) -> Self {
        Self::Internal(error.into())
    }
}

fn wait(seconds: i64) -> String {
    match seconds {
        ..=1 => "a second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", (seconds + 59) / 60),
    }
}
