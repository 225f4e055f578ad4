//! Configuration: defaults, then `seedbank.toml`, then `SEEDBANK__SECTION__KEY` from the environment, or
//! `SEEDBANK__SECTION__KEY_FILE`, which names a file that holds the value.
//!
//! One struct per concern. Unknown keys are refused with the nearest known one named; secrets print as `***`.

#[cfg(test)]
mod tests;
mod tracker;

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub use tracker::{ApiAuth, Tracker, TrackerKind};

const ENV_PREFIX: &str = "SEEDBANK__";
/// At the end of a variable's key, in lower case: its value is in a file.
const FILE_SUFFIX: &str = "_file";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub server: Server,
    pub database: Database,
    pub log: Log,
    pub accounts: Accounts,
    pub torrents: Torrents,
    pub search: Search,
    pub tracker: Tracker,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address and port to serve on.
    pub listen: SocketAddr,
    /// Where the database, the search index and the secrets live.
    pub data_dir: PathBuf,
    /// Addresses of reverse proxies whose X-Forwarded-For is believed, for log-ins and announces alike.
    pub trusted_proxies: Vec<IpAddr>,
    /// Where `/metrics` and `/health/*` are answered, apart from the site; empty for nowhere.
    pub metrics_listen: Listen,
    /// Threads that answer requests; 0 takes one per processor.
    pub workers: usize,
    /// Seconds for which a stop goes on listening, not ready any more, so that a balancer can notice.
    pub drain_s: u64,
    /// Seconds that running requests may take to finish at a stop.
    pub shutdown_timeout_s: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `postgres://user:password@host/name`; empty takes SQLite in the data directory.
    pub url: Secret,
    /// The password, for a URL that leaves it out.
    pub password: Secret,
    /// Connections for reading (SQLite) or altogether (Postgres).
    pub connections: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    /// A `tracing` filter, such as `info` or `seedbank=debug`.
    pub filter: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// Signs session cookies and form tokens; at least 32 characters. Empty takes the generated one in the data
    /// directory. Nodes that share a database must share it.
    pub session_key: Secret,
    /// Days after which a session ends however busy it is, and how long an idle one lives.
    pub session_days: i64,
    pub session_idle_days: i64,
    /// argon2id: memory in KiB and passes.
    pub argon2_memory_kib: u32,
    pub argon2_passes: u32,
    /// Failed log-ins per account and per address within 15 minutes before answers are delayed by refusal.
    pub failures_per_account: i64,
    pub failures_per_address: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Torrents {
    /// Files in one batch upload.
    pub batch_files: usize,
    /// .torrent downloads a member may make in an hour.
    pub downloads_per_hour: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Bytes of memory the index writer may use while indexing (at least 15,000,000); five times as many while it
    /// writes a whole index.
    pub writer_bytes: usize,
}

/// An address to listen on, or none: written as empty text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Listen(pub Option<SocketAddr>);

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.trim() {
            "" => Ok(Self(None)),
            address => address
                .parse()
                .map(|address| Self(Some(address)))
                .map_err(|_| format!("{address:?} is no address and port, such as 0.0.0.0:6969")),
        }
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        listen
            .0
            .map(|address| address.to_string())
            .unwrap_or_default()
    }
}

/// Text that never shows in a log or in `seedbank config`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "\"***\"" })
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            data_dir: PathBuf::from("data"),
            trusted_proxies: Vec::new(),
            metrics_listen: Listen(None),
            workers: 0,
            drain_s: 0,
            shutdown_timeout_s: 10,
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: Secret::default(),
            password: Secret::default(),
            connections: 8,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
        }
    }
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            session_key: Secret::default(),
            session_days: 90,
            session_idle_days: 30,
            argon2_memory_kib: 19_456,
            argon2_passes: 2,
            failures_per_account: 5,
            failures_per_address: 30,
        }
    }
}

impl Default for Torrents {
    fn default() -> Self {
        Self {
            batch_files: 50,
            downloads_per_hour: 1_000,
        }
    }
}

impl Default for Search {
    fn default() -> Self {
        Self {
            writer_bytes: 32_000_000,
        }
    }
}

impl Config {
    /// Reads the file (a missing one is fine unless it was named) and the environment.
    pub fn load(named: Option<&Path>) -> anyhow::Result<Self> {
        let path = named.unwrap_or(Path::new("seedbank.toml"));
        let file = match std::fs::read_to_string(path) {
            Ok(text) => text
                .parse::<Table>()
                .with_context(|| format!("reading {}", path.display()))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && named.is_none() => Table::new(),
            Err(e) => {
                return Err(e).with_context(|| format!("reading {}", path.display()));
            }
        };
        Self::merge(file, std::env::vars())
            .with_context(|| format!("in {} or the environment", path.display()))
    }

    /// Defaults, overlaid by a file's table, overlaid by the environment.
    pub fn merge(
        file: Table,
        environment: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let mut merged = Table::try_from(Self::default()).context("the defaults as a table")?;
        for (section, value) in file {
            let known = section_mut(&mut merged, &section, &section)?;
            let Value::Table(keys) = value else {
                bail!("`{section}` must be a section: write [{section}] and its keys below");
            };
            for (key, value) in keys {
                *key_mut(known, &section, &key)? = value;
            }
        }
        let mut named = HashMap::new();
        for (name, text) in environment {
            let Some(rest) = name.strip_prefix(ENV_PREFIX) else {
                continue;
            };
            let Some((section, key)) = rest.split_once("__") else {
                bail!("{name}: write {ENV_PREFIX}SECTION__KEY, such as SEEDBANK__SERVER__LISTEN");
            };
            let (section, key) = (section.to_lowercase(), key.to_lowercase());
            let keys = section_mut(&mut merged, &section, &name)?;
            let (key, text) = match key.strip_suffix(FILE_SUFFIX) {
                Some(in_file) if keys.contains_key(in_file) && !keys.contains_key(&key) => {
                    let text = read_value(&text).with_context(|| name.clone())?;
                    (in_file.to_owned(), text)
                }
                _ => (key, text),
            };
            let slot = key_mut(keys, &section, &key).with_context(|| name.clone())?;
            if let Some(other) = named.insert((section.clone(), key.clone()), name.clone()) {
                bail!("{name} and {other} both say {section}.{key}: leave one of them away");
            }
            *slot = typed_like(slot, &text)
                .with_context(|| format!("{name} does not fit: {section}.{key}"))?;
        }
        let config: Self = Value::Table(merged).try_into()?;
        config.check()?;
        Ok(config)
    }

    /// What no type says.
    fn check(&self) -> anyhow::Result<()> {
        let key = &self.accounts.session_key.0;
        if !key.is_empty() && key.len() < 32 {
            bail!(
                "accounts.session_key is shorter than 32 characters; leave it empty to have one generated"
            );
        }
        if self.search.writer_bytes < 15_000_000 {
            bail!("search.writer_bytes must be at least 15000000");
        }
        if !self.database.password.0.is_empty() {
            self.database.check_password()?;
        }
        if self.server.drain_s > 3_600 || self.server.shutdown_timeout_s > 3_600 {
            bail!("server.drain_s and server.shutdown_timeout_s must not be above 3600");
        }
        if self.database.connections == 0 {
            bail!("database.connections must be at least 1");
        }
        if self.accounts.argon2_memory_kib < 8 || self.accounts.argon2_passes < 1 {
            bail!("accounts.argon2_memory_kib must be at least 8 and argon2_passes at least 1");
        }
        if self.accounts.session_days < 1 || self.accounts.session_idle_days < 1 {
            bail!("accounts.session_days and session_idle_days must be at least 1");
        }
        self.tracker.check()
    }

    /// Where the database is: the configured URL, or SQLite in the data directory.
    pub fn database_url(&self) -> String {
        if self.database.url.0.is_empty() {
            format!(
                "sqlite:{}",
                self.server.data_dir.join("seedbank.db").display()
            )
        } else {
            self.database.with_password()
        }
    }

    /// The effective configuration as TOML, secrets masked.
    pub fn masked(&self) -> anyhow::Result<String> {
        let mut shown = self.clone();
        for secret in [
            &mut shown.database.url,
            &mut shown.database.password,
            &mut shown.accounts.session_key,
            &mut shown.tracker.api_token,
        ] {
            if !secret.0.is_empty() {
                secret.0 = "***".to_owned();
            }
        }
        Ok(toml::to_string(&shown)?)
    }
}

impl Database {
    /// A password of its own needs a URL that has a place for it.
    fn check_password(&self) -> anyhow::Result<()> {
        let url = url::Url::parse(&self.url.0).ok();
        let Some(url) = url.filter(|url| matches!(url.scheme(), "postgres" | "postgresql")) else {
            bail!(
                "database.password is for Postgres: let database.url say where that is, or leave it empty"
            );
        };
        if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") {
            bail!(
                "database.url has a password and database.password is another: leave one of them away"
            );
        }
        Ok(())
    }

    /// The URL, completed; as a parameter, because a URL that names a socket has no other place.
    fn with_password(&self) -> String {
        match url::Url::parse(&self.url.0) {
            Ok(mut url) if !self.password.0.is_empty() => {
                url.query_pairs_mut()
                    .append_pair("password", &self.password.0);
                url.into()
            }
            _ => self.url.0.clone(),
        }
    }
}

/// A value from the file that a variable names, without the line end that editors and `echo` leave.
fn read_value(path: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{path:?} cannot be read"))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

fn section_mut<'t>(
    table: &'t mut Table,
    section: &str,
    named: &str,
) -> anyhow::Result<&'t mut Table> {
    if !table.contains_key(section) {
        bail!(
            "{named}: there is no section `{section}`{}",
            nearest(section, table.keys())
        );
    }
    match table.get_mut(section) {
        Some(Value::Table(keys)) => Ok(keys),
        _ => bail!("{named}: `{section}` is not a section"),
    }
}

fn key_mut<'t>(keys: &'t mut Table, section: &str, key: &str) -> anyhow::Result<&'t mut Value> {
    if !keys.contains_key(key) {
        bail!(
            "there is no key `{section}.{key}`{}",
            nearest(key, keys.keys())
        );
    }
    match keys.get_mut(key) {
        Some(value) => Ok(value),
        None => bail!("there is no key `{section}.{key}`"),
    }
}

fn nearest<'k>(wrong: &str, known: impl Iterator<Item = &'k String>) -> String {
    known
        .map(|k| (strsim::damerau_levenshtein(wrong, k), k))
        .min()
        .map(|(_, k)| format!("; the nearest is `{k}`"))
        .unwrap_or_default()
}

/// An environment variable's text as the type that the default has.
fn typed_like(default: &Value, text: &str) -> anyhow::Result<Value> {
    Ok(match default {
        Value::Integer(_) => {
            Value::Integer(text.trim().parse().context("a whole number is needed")?)
        }
        Value::Boolean(_) => {
            Value::Boolean(text.trim().parse().context("true or false is needed")?)
        }
        Value::Array(_) => Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| Value::String(part.to_owned()))
                .collect(),
        ),
        Value::Float(_) => Value::Float(text.trim().parse().context("a number is needed")?),
        _ => Value::String(text.to_owned()),
    })
}
