//! The addresses clients announce to, as .torrents and magnet links name them.

use std::net::SocketAddr;

use url::Url;

use crate::config;

/// `{tracker.url or base}/announce/{passkey}` and, where UDP is served (at `udp`), `udp://{host}:{port}/announce/{passkey}`
/// (BEP 41) of `tracker.udp_url`, or of the base's host and the port listened on. Guests' end with `/announce`.
pub fn announce_urls(
    config: &config::Tracker,
    udp: Option<SocketAddr>,
    base_url: &str,
    passkey: Option<&str>,
) -> Vec<String> {
    let path = match passkey {
        Some(passkey) => format!("/announce/{passkey}"),
        None => "/announce".to_owned(),
    };
    let http = match config.url.as_str() {
        "" => base_url,
        url => url,
    };
    let mut urls = vec![format!("{}{path}", http.trim_end_matches('/'))];
    if let Some(authority) = udp.and_then(|udp| udp_authority(config, udp, base_url)) {
        urls.push(format!("udp://{authority}{path}"));
    }
    urls
}

/// The host and port that UDP announces go to; a `udp_url` without a port means the one listened on.
fn udp_authority(config: &config::Tracker, udp: SocketAddr, base_url: &str) -> Option<String> {
    let port = udp.port();
    let known_by = match config.udp_url.as_str() {
        "" => base_url,
        url => url,
    };
    let url = Url::parse(known_by).ok()?;
    let port = match config.udp_url.is_empty() {
        true => port,
        false => url.port().unwrap_or(port),
    };
    Some(format!("{}:{port}", url.host_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    fn urls(udp_listen: &str, url: &str, udp_url: &str, base: &str) -> Vec<String> {
        let config = config::Tracker {
            url: url.to_owned(),
            udp_url: udp_url.to_owned(),
            ..config::Tracker::default()
        };
        let udp = (!udp_listen.is_empty()).then(|| udp_listen.parse().unwrap());
        announce_urls(&config, udp, base, Some("k"))
    }

    #[test]
    fn http_comes_first_and_udp_where_it_is_served() {
        let base = "https://site.test";
        assert_eq!(urls("", "", "", base), ["https://site.test/announce/k"]);
        assert_eq!(
            urls("0.0.0.0:6969", "", "", base),
            [
                "https://site.test/announce/k",
                "udp://site.test:6969/announce/k"
            ]
        );
        assert_eq!(
            urls("[::]:6969", "", "", "http://[2001:db8::1]:3000"),
            [
                "http://[2001:db8::1]:3000/announce/k",
                "udp://[2001:db8::1]:6969/announce/k"
            ]
        );
        assert_eq!(
            urls(
                "0.0.0.0:6969",
                "http://t.test:7070/",
                "udp://u.test:80",
                base
            ),
            [
                "http://t.test:7070/announce/k",
                "udp://u.test:80/announce/k"
            ]
        );
        assert_eq!(
            urls("0.0.0.0:6969", "", "udp://u.test", base)[1],
            "udp://u.test:6969/announce/k"
        );
        let config = config::Tracker::default();
        assert_eq!(
            announce_urls(&config, None, base, None),
            ["https://site.test/announce"]
        );
    }
}
