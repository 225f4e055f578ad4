//! `/metrics`: every line is read as Prometheus would, and no stranger can make a label.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::Method;
use seedbank::accounts::Role;
use seedbank::bittorrent::metainfo::Kind;
use seedbank::config::{Listen, TrackerKind};
use seedbank::routes::ROUTES;

use crate::harness::torrents::{publish, small, upload};

type Labels = BTreeMap<String, String>;

/// The samples of a page by family, after checking every line of it.
struct Read {
    kinds: BTreeMap<String, String>,
    samples: Vec<(String, Labels, f64)>,
}

fn is_name(name: &str) -> bool {
    let mut letters = name.bytes();
    letters
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// `a="x",b="y"}` and what stands behind it.
fn labels(mut text: &str) -> (Labels, &str) {
    let mut found = Labels::new();
    loop {
        let (name, rest) = text.split_once("=\"").unwrap();
        assert!(is_name(name), "{name}");
        let mut value = String::new();
        let mut letters = rest.char_indices();
        let end = loop {
            match letters.next().unwrap() {
                (at, '"') => break at,
                (_, '\\') => value.push(match letters.next().unwrap().1 {
                    'n' => '\n',
                    c @ ('"' | '\\') => c,
                    c => panic!("\\{c} is no escape"),
                }),
                (_, c) => value.push(c),
            }
        };
        assert!(
            found.insert(name.to_owned(), value).is_none(),
            "{name} twice"
        );
        text = &rest[end + 1..];
        if let Some(next) = text.strip_prefix(',') {
            text = next;
        } else {
            return (found, text.strip_prefix('}').unwrap());
        }
    }
}

fn read(page: &str) -> Read {
    assert!(page.ends_with('\n'));
    let (mut kinds, mut samples) = (BTreeMap::new(), Vec::new());
    let mut seen = BTreeSet::new();
    let (mut helped, mut current) = (String::new(), String::new());
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            assert!(is_name(name) && !text.is_empty(), "{line}");
            helped = name.to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, helped, "HELP comes before TYPE");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(
                kinds.insert(name.to_owned(), kind.to_owned()).is_none(),
                "{name} twice"
            );
            current = name.to_owned();
        } else {
            let end = line.find(['{', ' ']).unwrap();
            let (name, rest) = line.split_at(end);
            let (labels, value) = match rest.strip_prefix('{') {
                Some(rest) => labels(rest),
                None => (Labels::new(), rest),
            };
            let value = value.strip_prefix(' ').unwrap();
            let number: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(
                !value.contains(' ') && number.is_finite() && number >= 0.0,
                "{line}"
            );
            let family = match kinds[&current].as_str() {
                "histogram" => ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|end| name.strip_suffix(end))
                    .unwrap(),
                _ => name,
            };
            assert_eq!(family, current, "{line} stands in another family");
            assert!(
                seen.insert((name.to_owned(), labels.clone())),
                "{line} twice"
            );
            samples.push((name.to_owned(), labels, number));
        }
    }
    let read = Read { kinds, samples };
    read.check_histograms();
    read
}

impl Read {
    /// Buckets grow to `+Inf`, which is the count.
    fn check_histograms(&self) {
        for (name, _) in self.kinds.iter().filter(|(_, kind)| *kind == "histogram") {
            let mut open: Option<(f64, f64)> = None;
            for (sample, labels, value) in &self.samples {
                if *sample == format!("{name}_bucket") {
                    let bound: f64 = labels["le"].replace("+Inf", "inf").parse().unwrap();
                    if let Some((before, less)) = open {
                        assert!(before < bound && less <= *value, "{name} {labels:?}");
                    }
                    open = Some((bound, *value));
                } else if *sample == format!("{name}_count") {
                    assert_eq!(
                        open.take(),
                        Some((f64::INFINITY, *value)),
                        "{name} {labels:?}"
                    );
                }
            }
            assert!(open.is_none());
        }
    }

    fn of(&self, name: &str, wanted: &[(&str, &str)]) -> f64 {
        let mut fitting = self.samples.iter().filter(|(n, labels, _)| {
            n == name
                && wanted
                    .iter()
                    .all(|(label, value)| labels.get(*label).map(String::as_str) == Some(*value))
        });
        let found = fitting.next().map_or(0.0, |(_, _, value)| *value);
        assert!(
            fitting.next().is_none(),
            "{name} {wanted:?} is not one sample"
        );
        found
    }
}

both! {
    async fn what_happened_is_counted(site: Site) {
        site.reconfigure(|config| config.server.metrics_listen = Listen(Some("127.0.0.1:0".parse().unwrap()))).await;
        site.set_up().await;
        let mut watcher = site.watcher();
        let mut ann = site.member("ann", Role::Member).await;
        let id = publish(&mut ann, &small("one", Kind::V1), "One").await;
        upload(&mut ann, &small("one", Kind::V1), "Again").await.expect(409);
        upload(&mut ann, b"no torrent", "None").await.expect(422);
        ann.get(&format!("/torrents/{id}/download")).await.expect(200);
        let mut guest = site.browser();
        guest.submit("/login", "/login", &[("name", "ann"), ("password", "wrong")]).await.expect(422);
        site.app.search.refresh_now().await.unwrap();

        let page = watcher.get("/metrics").await.expect(200);
        assert_eq!(page.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        let seen = read(&page.text);
        let total = "seedbank_http_requests_total";
        assert_eq!(seen.of(total, &[("method", "POST"), ("route", "/upload"), ("status", "303")]), 1.0);
        assert_eq!(seen.of(total, &[("method", "POST"), ("route", "/upload"), ("status", "409")]), 1.0);
        assert_eq!(seen.of(total, &[("route", "/torrents/{id}/download")]), 1.0);
        assert_eq!(seen.of("seedbank_http_request_duration_seconds_count", &[("route", "/torrents/{id}/download")]), 1.0);
        assert_eq!(seen.of("seedbank_uploads_total", &[("outcome", "added")]), 1.0);
        assert_eq!(seen.of("seedbank_uploads_total", &[("outcome", "known")]), 1.0);
        assert_eq!(seen.of("seedbank_uploads_total", &[("outcome", "refused")]), 1.0);
        let refused = seen.samples.iter().filter(|(name, _, n)| name == "seedbank_uploads_refused_total" && *n > 0.0);
        let reasons: Vec<&str> = refused.map(|(_, labels, _)| labels["reason"].as_str()).collect();
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert_eq!(seen.of("seedbank_downloads_total", &[]), 1.0);
        assert_eq!(seen.of("seedbank_logins_failed_total", &[("reason", "wrong")]), 1.0);
        assert_eq!(seen.of("seedbank_search_documents", &[]), 1.0);
        assert_eq!(seen.of("seedbank_db_up", &[]), 1.0);
        assert!(seen.samples.iter().any(|(name, _, _)| name == "seedbank_search_lag_revisions"));
        assert_eq!(seen.of("seedbank_search_lag_revisions", &[]), 0.0);
        assert!(seen.of("seedbank_db_wait_seconds_count", &[("for", "read")]) > 5.0);
        assert!(seen.of("seedbank_db_wait_seconds_count", &[("for", "write")]) > 2.0);
        assert!(seen.of("process_resident_memory_bytes", &[]) > 1e6);
        assert!(seen.of("process_open_fds", &[]) > 5.0);
        assert_eq!(seen.of("seedbank_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);

        let passkey = "0".repeat(32);
        guest.get(&format!("/announce/{passkey}?info_hash=x")).await.expect(200);
        guest.get("/announce").await.expect(200);
        let seen = read(&watcher.get("/metrics").await.expect(200).text);
        assert_eq!(seen.of("seedbank_tracker_announces_total", &[("via", "http")]), 2.0);
        assert_eq!(seen.of("seedbank_tracker_refused_total", &[("reason", "passkey")]), 1.0);
        assert_eq!(seen.of("seedbank_tracker_refused_total", &[("reason", "guest")]), 1.0);
        assert_eq!(seen.of("seedbank_tracker_peers", &[]), 0.0);

        // Not on the site's own port, whoever asks.
        let mut root = site.member("root", Role::Admin).await;
        guest.get("/metrics").await.expect(404);
        root.get("/metrics").await.expect(404);
        // And nothing else of the site where the metrics are.
        for path in ["/", "/login", "/torrents"] {
            watcher.get(path).await.expect(404);
        }
    }

    /// Paths, methods and queries from hell make no label, and no sample more than the table has.
    async fn what_waits_for_the_companion_is_counted(site: Site) {
        site.set_up().await;
        site.reconfigure(|config| {
            config.server.metrics_listen = Listen(Some("127.0.0.1:0".parse().unwrap()));
            config.tracker.kind = TrackerKind::Torrust;
            // Nobody listens there.
            config.tracker.api_url = "http://127.0.0.1:9".to_owned();
            config.tracker.api_token.0 = "a token that must not show".to_owned();
            config.tracker.announce_urls = vec!["http://127.0.0.1:9/announce".to_owned()];
        })
        .await;
        let mut ann = site.member("ann", Role::Member).await;
        publish(&mut ann, &small("one", Kind::V1), "One").await;
        let mut watcher = site.watcher();
        let seen = loop {
            let page = watcher.get("/metrics").await.expect(200);
            assert!(!page.text.contains("must not show"));
            let seen = read(&page.text);
            if seen.of("seedbank_outbox_messages", &[("state", "waiting")]) == 2.0
                && seen.of("seedbank_outbox_breaker_open", &[]) == 1.0
            {
                break seen;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        site.clock.advance(90);
        assert_eq!(seen.of("seedbank_outbox_messages", &[("state", "given-up")]), 0.0);
        let seen = read(&watcher.get("/metrics").await.expect(200).text);
        assert_eq!(seen.of("seedbank_outbox_oldest_seconds", &[]), 90.0);
        assert!(!seen.samples.iter().any(|(name, _, _)| name == "seedbank_swarm_numbers_age_seconds"));
    }

    async fn strangers_make_no_labels(site: Site) {
        site.reconfigure(|config| config.server.metrics_listen = Listen(Some("127.0.0.1:0".parse().unwrap()))).await;
        site.set_up().await;
        let mut guest = site.browser();
        let secret = "0123456789abcdef0123456789abcdef";
        for n in 0..40 {
            for path in [
                format!("/nothing/{n}/%22%7D%0Aseedbank_http_requests_total%7B"),
                format!("/torrents/{n}%22"),
                format!("/announce/{secret}?info_hash={n}"),
                format!("/{}", "x/".repeat(n * 20)),
                format!("/t/{n}?route={n}"),
                format!("/metrics/{n}"),
            ] {
                for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE, Method::OPTIONS, Method::from_bytes(format!("EVIL{n}").as_bytes()).unwrap()] {
                    let request = guest.request(method, &path);
                    assert!(guest.send(request).await.status < 500);
                }
            }
        }
        let page = site.watcher().get("/metrics").await.expect(200).text;
        assert!(!page.contains(secret) && !page.contains("EVIL") && !page.contains("nothing"), "{page}");
        let seen = read(&page);
        let routes: BTreeSet<&str> = ROUTES.iter().map(|route| route.pattern).chain(["unmatched"]).collect();
        for (name, labels, _) in &seen.samples {
            for (label, value) in labels {
                let known = match label.as_str() {
                    "route" => routes.contains(value.as_str()),
                    "method" => ["GET", "HEAD", "POST", "other"].contains(&value.as_str()),
                    "status" => value.len() == 3,
                    _ => true,
                };
                assert!(known, "{name} {labels:?}");
            }
        }
        assert!(seen.of("seedbank_http_request_duration_seconds_count", &[("route", "unmatched")]) >= 240.0);
        assert!(seen.samples.len() < 1_000, "{}", seen.samples.len());
    }
}
