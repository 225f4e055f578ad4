//! Whether this process lives, and whether it should be sent requests: for balancers, containers and people.
//! Strangers may ask too, so an answer names what is wrong and nothing of how.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use crate::app::App;
use crate::db::migrate;

/// Longest time that the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// A stop has begun; requests are still answered, but new ones should go elsewhere.
    Stopping,
    /// It does not answer within a second.
    Database,
    /// The database is older than this program: somebody restored a backup under it.
    Migrations,
}

impl Unready {
    fn word(self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::Database => "the database does not answer",
            Self::Migrations => "the database is not up to date",
        }
    }
}

pub async fn readiness(app: &App) -> Result<(), Unready> {
    if app.is_stopping() {
        return Err(Unready::Stopping);
    }
    let version = async { migrate::version(&mut app.db.read().await?).await };
    match tokio::time::timeout(PATIENCE, version).await {
        // A stop may have begun meanwhile.
        Ok(Ok(_)) if app.is_stopping() => Err(Unready::Stopping),
        Ok(Ok(version)) if version < migrate::schema_version() => Err(Unready::Migrations),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready: the database does not answer");
            Err(Unready::Database)
        }
        Err(_) => {
            tracing::warn!("not ready: the database takes longer than a second");
            Err(Unready::Database)
        }
    }
}

/// `GET /health/live`: the process answers.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body("ok\n")
}

/// `GET /health/ready`: 200 when it can serve, 503 with the reason when it cannot.
pub async fn ready(app: web::Data<App>) -> HttpResponse {
    let (mut builder, body) = match readiness(&app).await {
        Ok(()) => (HttpResponse::Ok(), serde_json::json!({ "ready": true })),
        Err(why) => (
            HttpResponse::ServiceUnavailable(),
            serde_json::json!({ "ready": false, "why": why.word() }),
        ),
    };
    builder
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(format!("{body}\n"))
}
