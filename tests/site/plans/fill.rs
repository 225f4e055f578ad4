//! Ten thousand rows in every table that grows: over empty ones Postgres takes any plan for as good as another. The
//! rows are nothing to show; they have the shape that plans depend on, in which few are deleted, banned or trusted.

use sqlx::{AssertSqlSafe, PgConnection};

use super::allowed::SMALL;

const ROWS: i64 = 10_000;

pub async fn fill(c: &mut PgConnection) {
    const COLUMNS: &str = "select table_name::text, column_name::text, data_type::text, is_nullable = 'YES' \
        from information_schema.columns where table_schema = 'public' order by table_name, ordinal_position";
    type Column = (String, String, String, bool);
    let columns: Vec<Column> = sqlx::query_as(COLUMNS).fetch_all(&mut *c).await.unwrap();
    // Rows refer to rows of the same numbers, or to none.
    let mut script = "set session_replication_role = replica;\n".to_owned();
    for table in columns.chunk_by(|a, b| a.0 == b.0) {
        let name = &table[0].0;
        if SMALL.contains(&name.as_str()) || name.starts_with('_') {
            continue;
        }
        let names: Vec<_> = table.iter().map(|column| column.1.as_str()).collect();
        let values: Vec<_> = table
            .iter()
            .map(|(table, column, kind, nullable)| value(table, column, kind, *nullable))
            .collect();
        let (names, values) = (names.join(", "), values.join(", "));
        script.push_str(&format!(
            "insert into {name} ({names}) select {values} from generate_series(1, {ROWS}) i on conflict do nothing;\n"
        ));
    }
    script.push_str("set session_replication_role = default");
    sqlx::raw_sql(AssertSqlSafe(script))
        .execute(&mut *c)
        .await
        .unwrap();
    sqlx::raw_sql("vacuum analyze").execute(c).await.unwrap();
}

fn value(table: &str, column: &str, kind: &str, nullable: bool) -> String {
    match (table, column, kind) {
        (_, "state", _) => "case when i % 50 = 0 then 'deleted' else 'published' end".to_owned(),
        (_, "role", _) => "case when i % 500 = 0 then 'moderator' else 'member' end".to_owned(),
        (_, "category_id", _) => "1 + i % 20".to_owned(),
        (_, "lane", _) => "i % 3".to_owned(),
        ("torrent_tags" | "tag_aliases", "tag_id", _) => "1 + i % 1000".to_owned(),
        ("feed_keys", "user_id", _) => "i".to_owned(),
        (_, "uploader_id" | "user_id", _) => "1 + i % 1000".to_owned(),
        (_, _, "bigint") if nullable => "case when i % 50 = 0 then i end".to_owned(),
        (_, _, "bigint") => "i".to_owned(),
        (_, _, "boolean") => "i % 7 = 0".to_owned(),
        (_, "infohash_v2", _) => "case when i % 5 = 0 then sha256(i::text::bytea) end".to_owned(),
        (_, _, "bytea") => "sha256(i::text::bytea)".to_owned(),
        _ => format!("'{column} ' || i"),
    }
}
