//! `[tracker]`: which tracker, and what each kind needs.

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::{Listen, Secret};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tracker {
    /// The tracker inside, a Torrust Tracker through its API, or none but public ones.
    pub kind: TrackerKind,
    /// Seconds between announces that clients are asked for, and the least they may wait. (These down to
    /// `max_bytes_per_s` are the embedded tracker's.)
    pub interval_s: u32,
    pub min_interval_s: u32,
    /// Peers in one answer at the most.
    pub max_peers: usize,
    /// An address of its own for HTTP announces, besides the site's; empty for none.
    pub listen: Listen,
    /// Where announces by UDP are answered (BEP 15); empty for nowhere.
    pub udp_listen: Listen,
    /// What clients know these two by, such as `http://tracker.example.org:7070` and
    /// `udp://tracker.example.org:6969`. Empty takes the site's own URL, and its host with the UDP port.
    pub url: String,
    pub udp_url: String,
    /// Peers remembered in all swarms, of 150 to 220 bytes each; and at most as many sessions' last totals, of 140
    /// to 250.
    pub total_peers: usize,
    /// Torrents that one member may be in at once, and peers that one member may have in all of them.
    pub member_torrents: usize,
    pub member_peers: usize,
    /// Bytes a second above which a client's report is noted and not counted.
    pub max_bytes_per_s: i64,
    /// Where clients announce: of the companion, without the passkey; of `none`, as they stand.
    pub announce_urls: Vec<String>,
    /// The companion's API, such as `http://tracker:1212`, and one of its access tokens.
    pub api_url: String,
    pub api_token: Secret,
    /// How the token is sent.
    pub api_auth: ApiAuth,
    /// Whether the companion serves listed torrents only, and holders of passkeys only.
    pub listed: bool,
    pub private: bool,
    /// Seconds between two fetches of the companion's numbers.
    pub numbers_every_s: u64,
    /// Seconds between two looks whether the companion still has what it was told.
    pub check_every_s: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackerKind {
    Embedded,
    Torrust,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiAuth {
    /// `?token=..`, which every version takes.
    Query,
    /// `Authorization: Bearer ..`, from version 4 on.
    Bearer,
}

impl Default for Tracker {
    fn default() -> Self {
        Self {
            kind: TrackerKind::Embedded,
            interval_s: 1_800,
            min_interval_s: 300,
            max_peers: 100,
            listen: Listen(None),
            udp_listen: Listen(None),
            url: String::new(),
            udp_url: String::new(),
            total_peers: 2_000_000,
            member_torrents: 10_000,
            member_peers: 30_000,
            max_bytes_per_s: 1_250_000_000,
            announce_urls: Vec::new(),
            api_url: String::new(),
            api_token: Secret::default(),
            api_auth: ApiAuth::Query,
            listed: true,
            private: true,
            numbers_every_s: 60,
            check_every_s: 60,
        }
    }
}

impl Tracker {
    /// What each kind needs, and URLs that are ones.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        is_url("tracker.url", &self.url, &["http", "https"])?;
        is_url("tracker.udp_url", &self.udp_url, &["udp"])?;
        is_url("tracker.api_url", &self.api_url, &["http", "https"])?;
        for announce in &self.announce_urls {
            is_url("tracker.announce_urls", announce, &["http", "https", "udp"])?;
        }
        let missing = |key: &str, why: &str| {
            bail!(
                "tracker.kind is {:?}, so tracker.{key} must say {why}",
                self.kind
            )
        };
        match self.kind {
            TrackerKind::Embedded => {}
            TrackerKind::Torrust if self.api_url.is_empty() => {
                missing("api_url", "where its API is, such as http://127.0.0.1:1212")?;
            }
            TrackerKind::Torrust if self.api_token.0.is_empty() => {
                missing("api_token", "one of its access tokens")?;
            }
            TrackerKind::Torrust | TrackerKind::None if self.announce_urls.is_empty() => {
                missing(
                    "announce_urls",
                    "where clients announce, such as http://tracker.example.org:7070/announce",
                )?;
            }
            TrackerKind::Torrust | TrackerKind::None => {}
        }
        if self.min_interval_s == 0 || self.interval_s < self.min_interval_s {
            bail!("tracker.min_interval_s must be at least 1 and not above tracker.interval_s");
        }
        if self.numbers_every_s == 0 || self.check_every_s == 0 {
            bail!("tracker.numbers_every_s and check_every_s must be at least 1");
        }
        for (key, value) in [
            ("max_peers", self.max_peers),
            ("total_peers", self.total_peers),
            ("member_torrents", self.member_torrents),
            ("member_peers", self.member_peers),
        ] {
            if value == 0 {
                bail!("tracker.{key} must be at least 1");
            }
        }
        if self.max_bytes_per_s < 1 {
            bail!("tracker.max_bytes_per_s must be at least 1");
        }
        Ok(())
    }
}

/// Empty, or a URL of one of these schemes with a host.
fn is_url(key: &str, text: &str, schemes: &[&str]) -> anyhow::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let parsed = url::Url::parse(text).with_context(|| format!("{key}: {text:?} is no URL"))?;
    if !schemes.contains(&parsed.scheme()) || parsed.host_str().is_none_or(str::is_empty) {
        bail!(
            "{key}: {text:?} must begin with {}:// and name a host",
            schemes.join(":// or ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn from_env(vars: &[(&str, &str)]) -> anyhow::Result<Config> {
        let vars = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::merge(toml::Table::new(), vars)
    }

    #[test]
    fn a_tracker_says_what_it_lacks() {
        let torrust = ("SEEDBANK__TRACKER__KIND", "torrust");
        let api = ("SEEDBANK__TRACKER__API_URL", "http://127.0.0.1:1212");
        let token = ("SEEDBANK__TRACKER__API_TOKEN", "secret");
        let announce = (
            "SEEDBANK__TRACKER__ANNOUNCE_URLS",
            "http://t.test:7070/announce",
        );
        let fails = |vars: &[(&str, &str)], with: &str| {
            let error = format!("{:#}", from_env(vars).unwrap_err());
            assert!(error.contains(with), "{error}");
        };
        fails(&[torrust], "tracker.api_url");
        fails(&[torrust, api], "tracker.api_token");
        fails(&[torrust, api, token], "tracker.announce_urls");
        let config = from_env(&[torrust, api, token, announce]).unwrap();
        assert!(!format!("{} {config:?}", config.masked().unwrap()).contains("\"secret\""));
        fails(
            &[("SEEDBANK__TRACKER__KIND", "none")],
            "tracker.announce_urls",
        );
        fails(&[("SEEDBANK__TRACKER__KIND", "opentracker")], "kind");
        fails(
            &[("SEEDBANK__TRACKER__UDP_LISTEN", "6969")],
            "address and port",
        );
        fails(
            &[("SEEDBANK__TRACKER__API_URL", "tracker:1212")],
            "tracker.api_url",
        );
        let config = from_env(&[("SEEDBANK__TRACKER__UDP_LISTEN", "127.0.0.1:6969")]).unwrap();
        assert_eq!(config.tracker.udp_listen.0.map(|a| a.port()), Some(6969));
        assert_eq!(config.tracker.listen.0, None);
    }
}
