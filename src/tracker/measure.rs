//! What is measured of the tracker, of whichever kind: announces and swarms of the one inside, what waits for a
//! companion and whether it answers.

use super::Tracker;
use super::embedded::Embedded;
use super::torrust::Torrust;
use crate::clock::Timestamp;
use crate::metrics::text::Page;

impl Tracker {
    pub fn measure(&self, page: &mut Page, now: Timestamp) {
        match self {
            Self::Embedded(tracker) => of_the_one_inside(page, tracker),
            Self::Torrust(tracker) => of_the_companion(page, tracker, now),
            Self::Public(_) => {}
        }
    }
}

fn of_the_one_inside(page: &mut Page, tracker: &Embedded) {
    let counted = tracker.counters();
    page.counter(
        "seedbank_tracker_announces_total",
        "Announces by the way they came; refused ones are among them.",
    )
    .sample(&[("via", "http")], counted.announces_http)
    .sample(&[("via", "udp")], counted.announces_udp);
    page.counter("seedbank_tracker_scrapes_total", "Scrapes by either way.")
        .sample(&[], counted.scrapes);
    page.counter(
        "seedbank_tracker_refused_total",
        "Refused announces and scrapes by reason.",
    )
    .sample(&[("reason", "passkey")], counted.refused_passkey)
    .sample(&[("reason", "banned")], counted.refused_banned)
    .sample(&[("reason", "guest")], counted.refused_guest)
    .sample(&[("reason", "torrent")], counted.refused_torrent)
    .sample(&[("reason", "limit")], counted.refused_limit)
    .sample(&[("reason", "request")], counted.refused_request)
    .sample(&[("reason", "busy")], counted.refused_busy);
    page.gauge("seedbank_tracker_peers", "Peers in all swarms.")
        .sample(&[], counted.peers);
    page.gauge("seedbank_tracker_swarms", "Torrents with peers.")
        .sample(&[], counted.torrents);
    page.counter(
        "seedbank_tracker_too_fast_total",
        "Reports not counted, because no client moves that much in that time.",
    )
    .sample(&[], counted.too_fast);
    page.counter(
        "seedbank_tracker_udp_datagrams_total",
        "Datagrams received.",
    )
    .sample(&[], counted.udp_datagrams);
    page.counter(
        "seedbank_tracker_udp_dropped_total",
        "Datagrams that got no answer.",
    )
    .sample(&[], counted.udp_dropped);
}

fn of_the_companion(page: &mut Page, tracker: &Torrust, now: Timestamp) {
    let status = tracker.status();
    page.gauge(
        "seedbank_outbox_messages",
        "Messages that wait for the companion tracker, and those given up until an admin tries them again.",
    )
    .sample(&[("state", "waiting")], status.depth.waiting)
    .sample(&[("state", "given-up")], status.depth.parked);
    page.gauge(
        "seedbank_outbox_oldest_seconds",
        "How long the oldest message waits, but for those that repeat everything.",
    )
    .sample(&[], status.depth.oldest_at.map_or(0, |at| now.since(at)));
    page.gauge(
        "seedbank_outbox_breaker_open",
        "1 while the companion tracker fails and is only asked whether it is back.",
    )
    .sample(&[], u8::from(status.ailing.is_some()));
    // What is not known is left out: it is not zero.
    if let Some(at) = status.counted_at {
        page.gauge(
            "seedbank_swarm_numbers_age_seconds",
            "How long ago the numbers of all swarms were last fetched.",
        )
        .sample(&[], now.since(at));
    }
}
