//! Requests by route, method and status. Routes are the patterns of the route table and nothing else, so what
//! strangers ask for cannot make a label; counting one is two additions and a look into a table that never changes.

use std::collections::HashMap;
use std::time::Duration;

use actix_web::http::Method;

use super::text::Page;
use crate::counters::{Counter, Gauge, Histogram};

/// What no route matches.
pub const UNMATCHED: &str = "unmatched";
const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "other"];
/// The statuses this site answers with; a rarer one counts under its hundred, of which there are four.
const STATUSES: [u16; 23] = [
    200, 204, 206, 301, 302, 303, 304, 400, 401, 403, 404, 405, 408, 409, 410, 413, 414, 415, 422,
    429, 431, 500, 503,
];
const HUNDREDS: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

pub struct Requests {
    places: HashMap<&'static str, usize>,
    routes: Vec<Route>,
    pub running: Gauge,
}

#[derive(Default)]
struct Route {
    pattern: &'static str,
    answered: [[Counter; STATUSES.len() + HUNDREDS.len()]; METHODS.len()],
    took: Histogram,
}

impl Requests {
    pub fn new(patterns: impl IntoIterator<Item = &'static str>) -> Self {
        let mut new = Self {
            places: HashMap::new(),
            routes: Vec::new(),
            running: Gauge::default(),
        };
        for pattern in std::iter::once(UNMATCHED).chain(patterns) {
            let next = new.routes.len();
            if *new.places.entry(pattern).or_insert(next) == next {
                new.routes.push(Route {
                    pattern,
                    ..Route::default()
                });
            }
        }
        new
    }

    /// `pattern` is the route's, never the path.
    pub fn answered(&self, pattern: Option<&str>, method: &Method, status: u16, took: Duration) {
        let place = pattern.and_then(|p| self.places.get(p)).copied();
        let Some(route) = self.routes.get(place.unwrap_or(0)) else {
            return;
        };
        let method = match *method {
            Method::GET => 0,
            Method::HEAD => 1,
            Method::POST => 2,
            _ => 3,
        };
        route.answered[method][status_place(status)].add_one();
        route.took.observe(took);
    }

    /// Routes that were never asked for are left out: they would be most of the page.
    pub fn measure(&self, page: &mut Page) {
        let mut family = page.counter(
            "seedbank_http_requests_total",
            "Answered requests by method, route and status.",
        );
        let names: Vec<String> = STATUSES.iter().map(u16::to_string).collect();
        let names = || names.iter().map(String::as_str).chain(HUNDREDS);
        for route in &self.routes {
            for (method, statuses) in METHODS.iter().zip(&route.answered) {
                for (status, counter) in names().zip(statuses) {
                    let n = counter.get();
                    if n > 0 {
                        let labels = [
                            ("method", *method),
                            ("route", route.pattern),
                            ("status", status),
                        ];
                        family.sample(&labels, n);
                    }
                }
            }
        }
        let mut family = page.histogram(
            "seedbank_http_request_duration_seconds",
            "Time from a request's head to its answer's, by route.",
        );
        for route in &self.routes {
            let took = route.took.read();
            if took.count() > 0 {
                family.durations(&[("route", route.pattern)], &took);
            }
        }
        page.gauge(
            "seedbank_http_requests_running",
            "Requests that are being answered.",
        )
        .sample(&[], self.running.get());
    }
}

fn status_place(status: u16) -> usize {
    let exact = STATUSES.iter().position(|known| *known == status);
    // A hundred of its own for each but 1xx, which does not end a request.
    let hundred = usize::from((status / 100).clamp(2, 5)) - 2;
    exact.unwrap_or(STATUSES.len() + hundred)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_table() {
        let requests = Requests::new(["/torrents/{id}", "/torrents/{id}", "/login"]);
        assert_eq!(requests.routes.len(), 3);
        let ms = Duration::from_millis(1);
        requests.answered(Some("/torrents/{id}"), &Method::GET, 200, ms);
        requests.answered(Some("/torrents/7\"}"), &Method::GET, 418, ms);
        requests.answered(None, &Method::DELETE, 599, ms);
        let mut page = Page::default();
        requests.measure(&mut page);
        let text = page.finish();
        let totals: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("seedbank_http_requests_total{"))
            .collect();
        assert_eq!(
            totals,
            [
                r#"seedbank_http_requests_total{method="GET",route="unmatched",status="4xx"} 1"#,
                r#"seedbank_http_requests_total{method="other",route="unmatched",status="5xx"} 1"#,
                r#"seedbank_http_requests_total{method="GET",route="/torrents/{id}",status="200"} 1"#,
            ]
        );
    }
}
