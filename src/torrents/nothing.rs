//! When nothing was found: which of the things asked for took everything away, the listing without it, and the
//! nearest spelling that finds something.

use serde::Serialize;

use super::asked::Asked;
use crate::clock::Timestamp;
use crate::search::{Filter, Search, Who};
use crate::web::pager::counted;

/// More things than this are not tried one by one.
const TRIED: usize = 8;
const OFFERED: usize = 4;

#[derive(Clone, Debug, Default, Serialize)]
pub struct Nothing {
    /// What matches nothing by itself.
    pub dead: Vec<String>,
    pub offers: Vec<Offer>,
    pub spellings: Vec<Offer>,
}

/// A listing that has something.
#[derive(Clone, Debug, Serialize)]
pub struct Offer {
    pub label: String,
    pub count_text: String,
    pub url: String,
}

/// Takes a search for each thing asked for.
pub fn explain(
    search: &Search,
    who: Who,
    asked: &Asked,
    now: Timestamp,
) -> anyhow::Result<Nothing> {
    let filter = asked.filter(now);
    let places: Vec<usize> = (0..filter.all.len()).take(TRIED).collect();
    let without = |left_out: &[usize]| Filter {
        all: filter
            .all
            .iter()
            .enumerate()
            .filter(|(n, _)| !left_out.contains(n))
            .map(|(_, rule)| rule.clone())
            .collect(),
    };
    let mut nothing = Nothing::default();
    let mut dead = Vec::new();
    for &place in &places {
        let alone = Filter::of(filter.all[place].clone());
        if search.count(who, &alone)? == 0 {
            dead.push(place);
            nothing.dead.push(asked.label(place));
        }
    }
    let mut found = Vec::new();
    if filter.all.len() > 1 {
        for &place in &places {
            let count = search.count(who, &without(&[place]))?;
            if count > 0 {
                found.push((count, vec![place]));
            }
        }
        // Two that match nothing hide each other.
        if found.is_empty() && dead.len() > 1 && dead.len() < filter.all.len() {
            let count = search.count(who, &without(&dead))?;
            if count > 0 {
                found.push((count, dead));
            }
        }
    }
    found.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    found.truncate(OFFERED);
    nothing.offers = found
        .into_iter()
        .map(|(count, places)| {
            let labels: Vec<String> = places.iter().map(|place| asked.label(*place)).collect();
            offer(
                format!("Without {}", labels.join(" and ")),
                count,
                asked.without(&places),
            )
        })
        .collect();
    for word in asked.words() {
        for other in search.nearest(&word)? {
            let respelled = asked.respelled(&word, &other);
            let count = search.count(who, &respelled.filter(now))?;
            if count > 0 && nothing.spellings.len() < OFFERED {
                nothing.spellings.push(offer(other, count, respelled.url()));
            }
        }
    }
    Ok(nothing)
}

fn offer(label: String, count: u64, url: String) -> Offer {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    Offer {
        label,
        count_text: counted(count, "torrent", "torrents"),
        url,
    }
}
