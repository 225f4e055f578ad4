//! How a database would run a statement, without running it: the two findings that matter, whichever it is. A `scan`
//! reads a table that grows from end to end; a `sort` orders or groups rows beside the table.

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row, SqliteConnection};

use super::allowed::{FEW_IN_INDEX, On, SMALL, TYPES};
use super::fill;
use super::statement::aliases;

pub enum Explainer {
    Sqlite(SqliteConnection, Vec<String>),
    Postgres(PgConnection),
}

/// What is wrong with a plan, and the plan as the database says it.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// `scan torrents`, `sort`.
    pub findings: Vec<String>,
    pub text: String,
}

impl Plan {
    fn add(&mut self, finding: String) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }
}

impl Explainer {
    pub async fn of(url: &str) -> Self {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let options = SqliteConnectOptions::new().filename(path);
            let mut c = options.disable_statement_logging().connect().await.unwrap();
            let tables = "select name from sqlite_schema where type = 'table'";
            let tables = sqlx::query_scalar(tables).fetch_all(&mut c).await.unwrap();
            return Self::Sqlite(c, tables);
        }
        let mut c = PgConnection::connect(url).await.unwrap();
        fill::fill(&mut c).await;
        // Whether an index serves is the question, and even so the tables are small: what none can serve remains.
        let settings = "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; \
            set enable_hashjoin = off; set enable_mergejoin = off; set jit = off";
        sqlx::raw_sql(settings).execute(&mut c).await.unwrap();
        Self::Postgres(c)
    }

    pub fn on(&self) -> On {
        match self {
            Self::Sqlite(..) => On::Sqlite,
            Self::Postgres(_) => On::Postgres,
        }
    }

    pub async fn plan(&mut self, sql: &str) -> Result<Plan, sqlx::Error> {
        match self {
            Self::Sqlite(c, tables) => sqlite(c, tables, sql).await,
            Self::Postgres(c) => postgres(c, sql).await,
        }
    }
}

async fn sqlite(
    c: &mut SqliteConnection,
    tables: &[String],
    sql: &str,
) -> Result<Plan, sqlx::Error> {
    let explain = AssertSqlSafe(format!("explain query plan {sql}"));
    let rows = sqlx::raw_sql(explain).fetch_all(c).await?;
    let names = aliases(sql, tables);
    let grows = |table: &String| !SMALL.contains(&table.as_str());
    let inserts = sql.starts_with("insert ");
    let any_grows = names.values().flatten().any(grows);
    let mut plan = Plan::default();
    for row in rows {
        let step: String = row.try_get("detail")?;
        let mut words = step.split(' ');
        let (verb, name) = (words.next(), words.next().unwrap_or_default());
        let few = FEW_IN_INDEX.iter().any(|index| step.ends_with(index));
        // An automatic index is built from the whole table, for this one statement.
        // `min` and `max` without an index are called a search.
        let unlooked =
            verb == Some("SCAN") || (verb == Some("SEARCH") && !step.contains(" USING "));
        if (unlooked && !few) || step.contains("AUTOMATIC") {
            // What foreign keys make it look at is not in the statement; after an insert it only would, had rows
            // been waiting for this one.
            let unnamed = tables
                .iter()
                .filter(|t| !inserts && !names.contains_key(name) && *t == name);
            let named = names.get(name).into_iter().flatten();
            for table in named.chain(unnamed).filter(|t| grows(t)) {
                plan.add(format!("scan {table}"));
            }
        }
        // Of what an index has in order but for ties, the ties.
        let ties = step.contains(" OF ORDER BY");
        if step.starts_with("USE TEMP B-TREE") && !ties && any_grows {
            plan.add("sort".to_owned());
        }
        plan.text.push_str(&format!("    {step}\n"));
    }
    Ok(plan)
}

async fn postgres(c: &mut PgConnection, sql: &str) -> Result<Plan, sqlx::Error> {
    let known = TYPES.iter().find(|(begin, _)| sql.starts_with(begin));
    let types = known.map_or_else(String::new, |(_, types)| {
        let count = sql.matches('$').count();
        let types: Vec<_> = types.iter().copied().cycle().take(count).collect();
        format!("({})", types.join(", "))
    });
    sqlx::raw_sql(AssertSqlSafe(format!("prepare asked {types} as {sql}")))
        .execute(&mut *c)
        .await?;
    let parameters: i32 = sqlx::query_scalar(
        "select cardinality(parameter_types) from pg_prepared_statements where name = 'asked'",
    )
    .fetch_one(&mut *c)
    .await?;
    let nulls = vec!["null"; usize::try_from(parameters).unwrap()].join(", ");
    let nulls = if nulls.is_empty() {
        nulls
    } else {
        format!("({nulls})")
    };
    let execute = format!("execute asked{nulls}");
    let mut plan = explained(c, &execute).await?;
    if plan.findings.iter().any(|finding| finding == "sort") {
        // Few rows are sorted where an index has them in order: then it is the planner's choice and no need.
        let set = |to: &str| AssertSqlSafe(format!("set enable_sort = {to}; discard plans"));
        sqlx::raw_sql(set("off")).execute(&mut *c).await?;
        let unsorted = explained(c, &execute).await?;
        sqlx::raw_sql(set("on")).execute(&mut *c).await?;
        if unsorted.findings.is_empty() {
            plan = unsorted;
        }
    }
    sqlx::raw_sql("deallocate asked").execute(&mut *c).await?;
    Ok(plan)
}

async fn explained(c: &mut PgConnection, execute: &str) -> Result<Plan, sqlx::Error> {
    let mut texts = Vec::new();
    for format in ["json", "text"] {
        let explain = AssertSqlSafe(format!("explain (format {format}, costs off) {execute}"));
        let rows = sqlx::raw_sql(explain).fetch_all(&mut *c).await?;
        let lines = rows.iter().map(|row| row.try_get_unchecked::<String, _>(0));
        texts.push(lines.collect::<Result<Vec<_>, _>>()?);
    }
    let json: Value = serde_json::from_str(&texts[0].concat()).unwrap();
    let text = texts[1].iter().map(|line| format!("    {line}\n"));
    let mut plan = Plan {
        text: text.collect(),
        ..Plan::default()
    };
    walk(&json[0]["Plan"], &mut plan);
    Ok(plan)
}

fn walk(node: &Value, plan: &mut Plan) {
    if let Some(table) = scanned(node) {
        plan.add(format!("scan {table}"));
    }
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let hashed = kind == "Aggregate" && node["Strategy"] == "Hashed";
    // An incremental sort has the order from an index but for ties, and sorts these.
    if (kind == "Sort" || hashed) && below(node).any(grows) {
        plan.add("sort".to_owned());
    }
    for child in below(node) {
        walk(child, plan);
    }
}

/// The table that this step reads without looking anything up, if it is one that grows.
fn scanned(node: &Value) -> Option<&str> {
    let table = node["Relation Name"].as_str()?;
    let unlooked = match node["Node Type"].as_str()? {
        "Seq Scan" | "Sample Scan" => true,
        "Index Scan" | "Index Only Scan" => !looks_up(node),
        "Bitmap Heap Scan" => !bitmaps(node).all(looked_up),
        _ => false,
    };
    (unlooked && !SMALL.contains(&table)).then_some(table)
}

fn looked_up(bitmap: &Value) -> bool {
    match bitmap["Node Type"].as_str() {
        Some("BitmapOr") => bitmaps(bitmap).all(looked_up),
        Some("BitmapAnd") => bitmaps(bitmap).any(looked_up),
        _ => looks_up(bitmap),
    }
}

fn looks_up(node: &Value) -> bool {
    let few = |index| FEW_IN_INDEX.contains(&index);
    node.get("Index Cond").is_some() || node["Index Name"].as_str().is_some_and(few)
}

/// Whether what comes out of this step may be more than a page.
fn grows(node: &Value) -> bool {
    if node["Node Type"] == "Limit" {
        return false;
    }
    match node["Relation Name"].as_str() {
        Some(table) => !SMALL.contains(&table),
        None => below(node).any(grows),
    }
}

fn bitmaps(node: &Value) -> impl Iterator<Item = &Value> {
    below(node).filter(|child| {
        let kind = child["Node Type"].as_str().unwrap_or_default();
        kind.starts_with("Bitmap")
    })
}

fn below(node: &Value) -> impl Iterator<Item = &Value> {
    node["Plans"].as_array().into_iter().flatten()
}
