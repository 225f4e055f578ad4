//! Finding out, at the start and for `seedbank tracker check`, whether the companion is what the configuration says:
//! its API by asking for its sums, its mode by announcing what no tracker of that mode lets pass.

use std::time::Duration;

use url::Url;

use super::api::{Api, Failure};
use crate::config;
use crate::secrets::random_passkey;

const PATIENCE: Duration = Duration::from_secs(3);
const LONGEST_ANSWER: usize = 16 * 1024;

/// A sentence about what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding(pub String);

/// What keeps the API from being used, if anything.
pub async fn api(api: &Api, config: &config::Tracker) -> Option<Finding> {
    let url = &config.api_url;
    Some(Finding(match api.stats().await {
        Ok(_) => return None,
        Err(Failure::Token) => format!(
            "the tracker at {url} does not accept tracker.api_token: use one of its [http_api.access_tokens]"
        ),
        Err(failure) => format!("the tracker's API at {url} does not work: {failure}"),
    }))
}

/// Where the tracker's mode is not the configured one. `sentinel` is a key that it knows, if there is one.
pub async fn mode(config: &config::Tracker, sentinel: &str) -> Vec<Finding> {
    let announce = config
        .announce_urls
        .iter()
        .filter_map(|url| Url::parse(url).ok())
        .find(|url| matches!(url.scheme(), "http" | "https"));
    let Some(announce) = announce else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let key_is_asked_for = match refusal(&announce, &random_passkey()).await {
        Ok(refusal) => refusal.is_some_and(|text| text.contains("Authentication error")),
        Err(why) => {
            findings.push(Finding(format!(
                "tracker.announce_urls: {announce} cannot be asked from here ({why}), so its mode is not known"
            )));
            return findings;
        }
    };
    if key_is_asked_for != config.private {
        findings.push(Finding(if key_is_asked_for {
            "the tracker asks for keys, but tracker.private is false: nobody could announce; set it to true".to_owned()
        } else {
            "tracker.private is true, but the tracker takes any key: set private = true in its [core], or tracker.private to false".to_owned()
        }));
    }
    // Only a key that is let pass gets as far as the list.
    if key_is_asked_for && sentinel.is_empty() {
        return findings;
    }
    if let Ok(refusal) = refusal(&announce, sentinel_or_any(sentinel).as_str()).await {
        let wants_listed = refusal.is_some_and(|text| text.contains("not whitelisted"));
        if wants_listed != config.listed {
            findings.push(Finding(if wants_listed {
                "the tracker serves listed torrents only, but tracker.listed is false: nothing could be announced; set it to true".to_owned()
            } else {
                "tracker.listed is true, but the tracker serves any torrent: set listed = true in its [core], or tracker.listed to false".to_owned()
            }));
        }
    }
    findings
}

fn sentinel_or_any(sentinel: &str) -> String {
    if sentinel.is_empty() {
        random_passkey()
    } else {
        sentinel.to_owned()
    }
}

/// Announces a torrent that nobody has, as a client that leaves; the failure reason, or `None` where it is served.
async fn refusal(announce: &Url, key: &str) -> Result<Option<String>, String> {
    let infohash: [u8; 20] = rand::random();
    let infohash: String = infohash.iter().map(|byte| format!("%{byte:02x}")).collect();
    let url = format!(
        "{}/{key}?info_hash={infohash}&peer_id=-SB0000-000000000000&port=1&uploaded=0&downloaded=0&left=0&event=stopped&compact=1",
        announce.as_str().trim_end_matches('/')
    );
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|e| e.to_string())?;
    let response = client
        .get(url)
        .send()
        .await
        .map_err(|e| e.without_url().to_string())?;
    let body = response
        .bytes()
        .await
        .map_err(|e| e.without_url().to_string())?;
    let text = String::from_utf8_lossy(&body[..body.len().min(LONGEST_ANSWER)]);
    if !text.starts_with('d') {
        return Err("its answer is no tracker's".to_owned());
    }
    Ok(text.contains("failure reason").then(|| text.into_owned()))
}
