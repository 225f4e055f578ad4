//! Torrust Tracker's REST API as version 3.0.0 really answers it: errors are text with status 500, unknown torrents
//! are status 200, and what exists already is an error. Statuses alone say little, so bodies are read. The URL holds
//! the token, so it is in no error.

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::{Deserialize, Serialize};
use url::Url;

use super::breaker::jittered;
use crate::config::{self, ApiAuth};

const CONNECT: Duration = Duration::from_secs(1);
/// One call of those that change or ask little.
const TOTAL: Duration = Duration::from_secs(3);
/// Between two pieces of a long answer, and all of it.
const PIECE: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(120);
/// While its database is locked, the same call again after this, for so long.
const LOCKED: Duration = Duration::from_millis(100);
const LOCKED_FOR: Duration = Duration::from_secs(1);
/// More than this is no answer to a small question.
const SMALL_ANSWER: usize = 64 * 1024;
/// What is quoted of an answer that makes no sense.
const QUOTED: usize = 160;

pub struct Api {
    client: reqwest::Client,
    base: Url,
    token: String,
    auth: ApiAuth,
}

/// Why a call did not work. The texts are for the log and for admins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Not reached, no answer, a broken one, or an error of its own: may work later.
    #[error("{0}")]
    Away(String),
    /// Its database is busy with another change.
    #[error("its database is locked")]
    Locked,
    /// The token is not accepted: nothing works until somebody changes it.
    #[error("it does not accept tracker.api_token")]
    Token,
    /// This very call will never work.
    #[error("it refuses this: {0}")]
    Refused(String),
}

/// Whether a key was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    New,
    Known,
}

/// The tracker's sums; what a version does not tell is zero.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Torrents with somebody in their swarm.
    pub torrents: u64,
    pub seeders: u64,
    pub leechers: u64,
}

/// A swarm's numbers as the tracker gives them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Swarm {
    /// 40 hex digits.
    pub info_hash: String,
    pub seeders: u32,
    /// Since the tracker's start.
    pub completed: u32,
    pub leechers: u32,
}

#[derive(Serialize)]
struct NewKey<'a> {
    key: &'a str,
    /// `null`: for ever. The field must be there.
    seconds_valid: Option<u64>,
}

impl Api {
    pub fn new(config: &config::Tracker) -> anyhow::Result<Self> {
        // Another part of the program may have chosen the same one already.
        let _chosen_before = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            client: reqwest::Client::builder()
                .connect_timeout(CONNECT)
                .read_timeout(PIECE)
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("seedbank/", env!("CARGO_PKG_VERSION")))
                .build()?,
            base: Url::parse(&config.api_url)?,
            token: config.api_token.0.clone(),
            auth: config.api_auth,
        })
    }

    pub async fn allow(&self, infohash: &str) -> Result<(), Failure> {
        self.change(Method::POST, &["whitelist", infohash]).await
    }

    pub async fn forbid(&self, infohash: &str) -> Result<(), Failure> {
        self.change(Method::DELETE, &["whitelist", infohash]).await
    }

    /// Adds a key that never expires.
    pub async fn admit(&self, key: &str) -> Result<Admitted, Failure> {
        let request = self.request(Method::POST, &["keys"]).json(&NewKey {
            key,
            seconds_valid: None,
        });
        let answer = self.answer(request, key).await?;
        if answer.status.is_success() {
            return match serde_json::from_str::<serde_json::Value>(&answer.body) {
                Ok(body) if body.get("key").and_then(|k| k.as_str()) == Some(key) => {
                    Ok(Admitted::New)
                }
                _ => Err(answer.nonsense()),
            };
        }
        let exists = ["UNIQUE constraint failed", "Duplicate entry"];
        if exists.iter().any(|text| answer.body.contains(text)) {
            return Ok(Admitted::Known);
        }
        match answer.failure() {
            None => Ok(Admitted::Known),
            Some(failure) => Err(failure),
        }
    }

    /// Takes a key away; one that is not there is as good.
    pub async fn revoke(&self, key: &str) -> Result<(), Failure> {
        let request = self.request(Method::DELETE, &["key", key]);
        let answer = self.answer(request, key).await?;
        if answer.body.contains("Failed to remove record") && answer.body.contains("error-code: 0")
        {
            return Ok(());
        }
        answer.done()
    }

    pub async fn stats(&self) -> Result<Stats, Failure> {
        let request = self.request(Method::GET, &["stats"]);
        let answer = self.answer(request, "").await?;
        if let Some(failure) = answer.failure() {
            return Err(failure);
        }
        let body: serde_json::Value =
            serde_json::from_str(&answer.body).map_err(|_| answer.nonsense())?;
        if body.get("torrents").is_none() {
            return Err(answer.nonsense());
        }
        serde_json::from_value(body).map_err(|_| answer.nonsense())
    }

    /// Every swarm that the tracker has.
    pub async fn all_swarms(&self) -> Result<Swarms, Failure> {
        let request = self
            .request(Method::GET, &["torrents"])
            .query(&[("offset", "0"), ("limit", "100000000")])
            .timeout(LONG);
        let response = self.send(request).await?;
        if !response.status().is_success() {
            let answer = read(response, self.hidden("")).await?;
            return Err(answer.failure().unwrap_or_else(|| answer.nonsense()));
        }
        Ok(Swarms {
            response,
            list: list::Reader::default(),
        })
    }

    /// The swarms of these infohashes (40 hex digits each); those without peers are missing.
    pub async fn swarms_of(&self, infohashes: &[String]) -> Result<Vec<Swarm>, Failure> {
        let query: Vec<(&str, &str)> = infohashes
            .iter()
            .map(|h| ("info_hash", h.as_str()))
            .collect();
        let request = self
            .request(Method::GET, &["torrents"])
            .query(&query)
            .timeout(LONG);
        let response = self.send(request).await?;
        let status = response.status();
        let body = response
            .text()
            .await
            .map_err(|e| Failure::Away(sentence(e)))?;
        let answer = Answer {
            status,
            body,
            hidden: self.hidden(""),
        };
        if let Some(failure) = answer.failure() {
            return Err(failure);
        }
        serde_json::from_str(&answer.body).map_err(|_| answer.nonsense())
    }

    async fn change(&self, method: Method, path: &[&str]) -> Result<(), Failure> {
        self.answer(self.request(method, path), "").await?.done()
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        let request = self.client.request(method, url).timeout(TOTAL);
        match self.auth {
            ApiAuth::Query => request.query(&[("token", &self.token)]),
            ApiAuth::Bearer => request.bearer_auth(&self.token),
        }
    }

    /// The answer to a request about a passkey, or about none (empty).
    async fn answer(&self, mut request: RequestBuilder, passkey: &str) -> Result<Answer, Failure> {
        let begun = Instant::now();
        loop {
            let again = request.try_clone();
            let answer = read(self.send(request).await?, self.hidden(passkey)).await?;
            match again {
                Some(again) if answer.is_locked() && begun.elapsed() < LOCKED_FOR => {
                    request = again;
                    tokio::time::sleep(jittered(LOCKED)).await;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// What an answer may say and nobody shall read: proxies like to quote the URL.
    fn hidden(&self, passkey: &str) -> Vec<String> {
        let in_urls = url::form_urlencoded::byte_serialize(self.token.as_bytes()).collect();
        let mut hidden = vec![self.token.clone(), in_urls, passkey.to_owned()];
        hidden.retain(|text| !text.is_empty());
        hidden
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        request.send().await.map_err(|e| Failure::Away(sentence(e)))
    }
}

/// A long list of swarms on its way.
pub struct Swarms {
    response: Response,
    list: list::Reader,
}

impl Swarms {
    /// The next of them; `None` at the end. An answer that breaks off is a failure, however much of it came.
    pub async fn next(&mut self) -> Result<Option<Vec<Swarm>>, Failure> {
        let broken = |text: &str| Failure::Away(text.to_owned());
        let piece = self.response.chunk().await;
        match piece.map_err(|e| Failure::Away(sentence(e)))? {
            Some(piece) => self.list.take(&piece).map(Some).map_err(broken),
            None => self.list.end().map(|()| None).map_err(broken),
        }
    }
}

/// A small answer, read whole.
struct Answer {
    status: StatusCode,
    body: String,
    hidden: Vec<String>,
}

async fn read(response: Response, hidden: Vec<String>) -> Result<Answer, Failure> {
    let status = response.status();
    let mut response = response;
    let mut body = Vec::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|e| Failure::Away(sentence(e)))?
    {
        body.extend_from_slice(&piece);
        if body.len() > SMALL_ANSWER {
            return Err(Failure::Away(
                "its answer is too long to be a tracker's".to_owned(),
            ));
        }
    }
    Ok(Answer {
        status,
        body: String::from_utf8_lossy(&body).into_owned(),
        hidden,
    })
}

impl Answer {
    /// `{"status":"ok"}`, and nothing else, is a done change.
    fn done(&self) -> Result<(), Failure> {
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        #[derive(Deserialize)]
        struct Status {
            status: String,
        }
        // Version 4 says so where it keeps no list or no keys: there is nothing to change then.
        if self.status == StatusCode::CONFLICT {
            return Ok(());
        }
        match serde_json::from_str::<Status>(&self.body) {
            Ok(body) if body.status == "ok" => Ok(()),
            _ => Err(self.nonsense()),
        }
    }

    /// What is wrong with it; `None` for a success, and for "switched off here".
    fn failure(&self) -> Option<Failure> {
        if self.status.is_success() || self.status == StatusCode::CONFLICT {
            return None;
        }
        let says = |text: &str| self.body.contains(text);
        let token =
            says("unauthorized") || says("token not valid") || says("unknown token provided");
        Some(match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::Token,
            StatusCode::INTERNAL_SERVER_ERROR if token => Failure::Token,
            StatusCode::INTERNAL_SERVER_ERROR if says("database is locked") => Failure::Locked,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Failure::Away(format!(
                "{} where its API should be: tracker.api_url must be the tracker's own API, such as http://127.0.0.1:1212",
                self.status
            )),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Failure::Away(self.quoted())
            }
            status if status.is_client_error() => Failure::Refused(self.quoted()),
            _ => Failure::Away(self.quoted()),
        })
    }

    fn is_locked(&self) -> bool {
        self.failure() == Some(Failure::Locked)
    }

    fn nonsense(&self) -> Failure {
        Failure::Away(format!("its answer makes no sense: {}", self.quoted()))
    }

    fn quoted(&self) -> String {
        let mut text = self.body.clone();
        for secret in &self.hidden {
            text = text.replace(secret, "…");
        }
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(QUOTED)
            .collect();
        format!("{} {}", self.status.as_u16(), text.trim())
    }
}

/// What went wrong between here and there, without the URL.
fn sentence(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return if error.is_connect() {
            "no connection within a second".to_owned()
        } else {
            "no answer in time".to_owned()
        };
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}

/// The long list of swarms, taken apart as it comes.
mod list {
    use super::Swarm;

    const BROKEN: &str = "its list of torrents makes no sense";
    /// No swarm is written with more bytes than this.
    const LONGEST: usize = 4_096;

    /// Finds the objects of `[{..},{..}]`. They hold no objects themselves, and no text with braces.
    #[derive(Default)]
    pub struct Reader {
        begun: bool,
        ended: bool,
        /// The beginning of an object whose end has not come yet.
        rest: Vec<u8>,
    }

    impl Reader {
        pub fn take(&mut self, piece: &[u8]) -> Result<Vec<Swarm>, &'static str> {
            let mut swarms = Vec::new();
            for &byte in piece {
                if !self.rest.is_empty() {
                    self.rest.push(byte);
                    if byte == b'}' {
                        swarms.push(serde_json::from_slice(&self.rest).map_err(|_| BROKEN)?);
                        self.rest.clear();
                    } else if self.rest.len() > LONGEST {
                        return Err(BROKEN);
                    }
                    continue;
                }
                match byte {
                    b'[' if !self.begun => self.begun = true,
                    b'{' if self.begun && !self.ended => self.rest.push(byte),
                    b',' if self.begun && !self.ended => {}
                    b']' if self.begun && !self.ended => self.ended = true,
                    byte if byte.is_ascii_whitespace() => {}
                    _ => return Err(BROKEN),
                }
            }
            Ok(swarms)
        }

        pub fn end(&self) -> Result<(), &'static str> {
            if self.ended {
                Ok(())
            } else {
                Err("its list of torrents breaks off")
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        const LIST: &str = r#"[{"info_hash":"aa","seeders":2,"completed":1,"leechers":0},
            {"info_hash":"bb","seeders":0,"completed":0,"leechers":7}]"#;

        #[test]
        fn pieces_of_any_size_give_the_same_swarms() {
            for size in 1..LIST.len() {
                let mut reader = Reader::default();
                let mut swarms = Vec::new();
                for piece in LIST.as_bytes().chunks(size) {
                    swarms.extend(reader.take(piece).unwrap());
                }
                reader.end().unwrap();
                assert_eq!(swarms.len(), 2, "{size}");
                assert_eq!((swarms[0].seeders, swarms[1].leechers), (2, 7));
            }
        }

        #[test]
        fn what_breaks_off_is_no_list() {
            for at in 0..LIST.len() {
                let mut reader = Reader::default();
                assert!(reader.take(&LIST.as_bytes()[..at]).is_ok());
                assert!(reader.end().is_err(), "{at}");
            }
            for wrong in ["{}", "[}", "<html>", "[{\"info_hash\":1}]", "[]]", "null"] {
                let mut reader = Reader::default();
                let taken = reader.take(wrong.as_bytes());
                assert!(taken.is_err() || reader.end().is_err(), "{wrong}");
            }
            let mut reader = Reader::default();
            assert!(reader.take(&[b'['; 1]).is_ok());
            assert!(reader.take(&[b'{'; 5_000]).is_err());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            body: body.to_owned(),
            hidden: vec!["abc123".to_owned()],
        }
    }

    #[test]
    fn only_ok_is_done() {
        assert_eq!(answer(200, r#"{"status":"ok"}"#).done(), Ok(()));
        assert_eq!(answer(409, r#"{"status":"err"}"#).done(), Ok(()));
        for body in ["", "ok", "{}", r#"{"status":"no"}"#, "<html>", "\"ok\""] {
            assert!(
                matches!(answer(200, body).done(), Err(Failure::Away(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn what_is_quoted_holds_no_secret() {
        for filler in 0..200 {
            let body = format!("{}/api/v1/key/abc123?token=abc123", "x".repeat(filler));
            let failure = answer(502, &body).done().unwrap_err().to_string();
            assert!(!failure.contains("abc1"), "{failure}");
            assert!(failure.starts_with("502 x") || filler == 0, "{failure}");
        }
    }

    #[test]
    fn texts_tell_what_statuses_do_not() {
        let reason = r#"Unhandled rejection: Err { reason: "token not valid" }"#;
        assert_eq!(answer(500, reason).done(), Err(Failure::Token));
        assert_eq!(answer(401, "").done(), Err(Failure::Token));
        let locked =
            "failed to whitelist torrent: The Sqlite3 query was malformed: database is locked, ..";
        assert_eq!(answer(500, locked).done(), Err(Failure::Locked));
        assert!(matches!(
            answer(400, "Invalid URL: invalid infohash param").done(),
            Err(Failure::Refused(_))
        ));
        assert!(matches!(answer(404, "").done(), Err(Failure::Away(_))));
        assert!(matches!(
            answer(502, "bad gateway").done(),
            Err(Failure::Away(_))
        ));
    }
}
