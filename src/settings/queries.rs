//! The settings row.

use super::Settings;
use crate::clock::Timestamp;
use crate::db::{Conn, Tx};
use crate::{exec, on};

#[derive(sqlx::FromRow)]
struct Row {
    site_name: String,
    base_url: String,
    registration: String,
    who_may_look: String,
    who_may_download: String,
    who_may_upload: String,
    private_flag: String,
}

/// `None` until the site is set up.
pub async fn find(conn: &mut Conn) -> anyhow::Result<Option<Settings>> {
    const SQL: &str = "select site_name, base_url, registration, who_may_look, who_may_download, who_may_upload, \
        private_flag from settings where one = 1";
    let row: Option<Row> = on!(conn, |c| sqlx::query_as(SQL).fetch_optional(c).await)?;
    let wrong = anyhow::Error::msg;
    row.map(|row| {
        Ok(Settings {
            site_name: row.site_name,
            base_url: row.base_url,
            registration: row.registration.parse().map_err(wrong)?,
            who_may_look: row.who_may_look.parse().map_err(wrong)?,
            who_may_download: row.who_may_download.parse().map_err(wrong)?,
            who_may_upload: row.who_may_upload.parse().map_err(wrong)?,
            private_flag: row.private_flag.parse().map_err(wrong)?,
        })
    })
    .transpose()
}

pub async fn save(tx: &mut Tx, settings: &Settings, at: Timestamp) -> Result<(), sqlx::Error> {
    const SQL: &str = "insert into settings (one, site_name, base_url, registration, who_may_look, who_may_download, \
        who_may_upload, private_flag, updated_at) values (1, $1, $2, $3, $4, $5, $6, $7, $8) \
        on conflict (one) do update set site_name = excluded.site_name, base_url = excluded.base_url, \
        registration = excluded.registration, who_may_look = excluded.who_may_look, \
        who_may_download = excluded.who_may_download, who_may_upload = excluded.who_may_upload, \
        private_flag = excluded.private_flag, updated_at = excluded.updated_at";
    exec!(
        tx,
        SQL,
        &settings.site_name,
        &settings.base_url,
        settings.registration.as_str(),
        settings.who_may_look.as_str(),
        settings.who_may_download.as_str(),
        settings.who_may_upload.as_str(),
        settings.private_flag.as_str(),
        at
    )
    .map(drop)
}
