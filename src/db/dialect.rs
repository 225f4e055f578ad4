//! What truly differs between the two databases, each with a line of why.

use super::{Conn, Handle};

/// Refreshes the planner's statistics; the statements have other names.
pub async fn analyze(conn: &mut Conn) -> Result<(), sqlx::Error> {
    match conn.handle() {
        Handle::Sqlite(c) => sqlx::query("pragma optimize").execute(c).await.map(drop),
        Handle::Postgres(c) => sqlx::query("analyze").execute(c).await.map(drop),
    }
}

/// `json_array(..)` gathered over rows: one row instead of many, because sqlx pays per row on SQLite.
/// SQLite calls it `json_group_array`, Postgres `json_agg` (which answers null for no row).
pub fn json_rows_of(conn: &Conn) -> &'static str {
    match conn {
        Conn::Sqlite(_) | Conn::SqliteTx(_) => "json_group_array",
        Conn::Postgres(_) | Conn::PostgresTx(_) => "json_agg",
    }
}

/// Bytes as lower-case hex digits.
pub fn lower_hex(conn: &Conn, expression: &str) -> String {
    match conn {
        Conn::Sqlite(_) | Conn::SqliteTx(_) => format!("lower(hex({expression}))"),
        Conn::Postgres(_) | Conn::PostgresTx(_) => format!("encode({expression}, 'hex')"),
    }
}
