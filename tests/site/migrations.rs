//! The two folders of migrations say the same: file names, tables, columns, nullability, unique sets.

use std::collections::BTreeMap;

use sqlx::{Connection, PgConnection, Row, SqliteConnection};

use crate::harness::database::{self, Backend, Temporary};

type Columns = BTreeMap<(String, String), (String, bool)>;

#[test]
fn same_file_names() {
    let names = |folder: &str| {
        let mut names: Vec<_> = std::fs::read_dir(format!(
            "{}/migrations/{folder}",
            env!("CARGO_MANIFEST_DIR")
        ))
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
}

#[test]
fn same_tables_columns_and_unique_sets() {
    crate::harness::run_bare(async {
        let Some(postgres) = database::fresh(Backend::Postgres).await else {
            return;
        };
        let sqlite = database::fresh(Backend::Sqlite).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (columns, uniques) = of_sqlite(&sqlite, directory.path()).await;
        let (pg_columns, pg_uniques) = of_postgres(&postgres, directory.path()).await;
        assert!(columns.len() > 50, "the comparison sees the tables");
        assert_eq!(columns, pg_columns);
        assert_eq!(uniques, pg_uniques);
        postgres.remove().await;
    });
}

async fn of_sqlite(database: &Temporary, directory: &std::path::Path) -> (Columns, Vec<String>) {
    let mut c = SqliteConnection::connect(&database.url(directory))
        .await
        .unwrap();
    let rows = sqlx::query(
        "select t.name, c.name, c.type, c.\"notnull\" from sqlite_schema t, pragma_table_info(t.name) c \
         where t.type = 'table' and t.name not like 'sqlite_%' and t.name not like '\\_sqlx%' escape '\\'",
    )
    .fetch_all(&mut c)
    .await
    .unwrap();
    let columns = rows
        .iter()
        .map(|r| {
            let kind = match r.get::<String, _>(2).to_lowercase().as_str() {
                "integer" => "number",
                "text" => "text",
                "blob" => "bytes",
                other => panic!("a type nobody mapped: {other}"),
            };
            (
                (r.get(0), r.get(1)),
                (kind.to_owned(), r.get::<i64, _>(3) == 1),
            )
        })
        .collect();
    let rows = sqlx::query(
        "select t.name, (select group_concat(name, ',') from (select i.name from pragma_index_info(x.name) i order by i.seqno)) \
         from sqlite_schema t, pragma_index_list(t.name) x where t.type = 'table' and x.\"unique\" = 1 \
         and t.name not like '\\_sqlx%' escape '\\' and x.origin <> 'pk'",
    )
    .fetch_all(&mut c)
    .await
    .unwrap();
    let mut uniques: Vec<String> = rows
        .iter()
        .map(|r| format!("{}({})", r.get::<String, _>(0), r.get::<String, _>(1)))
        .collect();
    uniques.sort();
    (columns, uniques)
}

async fn of_postgres(database: &Temporary, directory: &std::path::Path) -> (Columns, Vec<String>) {
    let mut c = PgConnection::connect(&database.url(directory))
        .await
        .unwrap();
    let rows = sqlx::query(
        "select table_name::text, column_name::text, data_type::text, is_nullable = 'NO' \
         from information_schema.columns where table_schema = 'public' and table_name not like '\\_sqlx%'",
    )
    .fetch_all(&mut c)
    .await
    .unwrap();
    let columns = rows
        .iter()
        .map(|r| {
            let kind = match r.get::<String, _>(2).as_str() {
                // SQLite has no booleans: a checked 0 or 1 stands for them.
                "bigint" | "boolean" => "number",
                "text" => "text",
                "bytea" => "bytes",
                other => panic!("a type nobody mapped: {other}"),
            };
            ((r.get(0), r.get(1)), (kind.to_owned(), r.get(3)))
        })
        .collect();
    let rows = sqlx::query(
        "select t.relname::text, string_agg(a.attname::text, ',' order by k.ord) from pg_index i \
         join pg_class t on t.oid = i.indrelid join pg_namespace n on n.oid = t.relnamespace \
         cross join unnest(i.indkey) with ordinality k(attnum, ord) \
         join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum \
         where i.indisunique and not i.indisprimary and n.nspname = 'public' and t.relname not like '\\_sqlx%' \
         group by i.indexrelid, t.relname",
    )
    .fetch_all(&mut c)
    .await
    .unwrap();
    let mut uniques: Vec<String> = rows
        .iter()
        .map(|r| format!("{}({})", r.get::<String, _>(0), r.get::<String, _>(1)))
        .collect();
    uniques.sort();
    (columns, uniques)
}
