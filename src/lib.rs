//! Seedbank, a torrent index with a tracker inside. The map of the house:

#![warn(clippy::unwrap_used)]

/// The application every request shares; building, running, stopping.
pub mod app;
/// Defaults, `seedbank.toml`, environment.
pub mod config;
/// What can go wrong in a request.
pub mod error;
/// Whether this process lives and is ready.
pub mod health;
/// Background work and its pace.
pub mod jobs;
/// What the site counts about itself, for Prometheus.
pub mod metrics;
/// Every URL of the site, with who may reach it.
pub mod routes;
/// Keys and tokens of this installation.
pub mod secrets;
/// The HTTP server and the tasks around it, from start to stop.
pub mod serve;

/// The time, as a value.
pub mod clock;
/// Counters and histograms.
pub mod counters;
/// One serving process to a data directory.
pub mod data_dir;
/// SQLite and Postgres behind one type.
pub mod db;
/// Row ids as types.
pub mod ids;
/// Messages to the companion tracker, written with the change that causes them.
pub mod outbox;

/// Bencode, metainfo, infohashes, magnets: no I/O.
pub mod bittorrent;

/// Who somebody is and what they may do.
pub mod accounts;
/// The text index: words, facets, pages of ids, swarm numbers in memory.
pub mod search;
/// The site's settings.
pub mod settings;
/// What Seedbank asks of a tracker, and the one inside.
pub mod tracker;

/// Torrents that members keep in mind.
pub mod bookmarks;
/// Categories: two levels, merged and deleted without losing a torrent.
pub mod categories;
/// Listings as RSS, for readers that know a key instead of a cookie.
pub mod feeds;
/// Pages about members: profile, public page, administration.
pub mod members;
/// The log of what was done, and changes that touch many torrents.
pub mod moderation;
/// Searches that members come back to, and what is new in them.
pub mod saved;
/// The style page.
pub mod style;
/// Tags and their aliases.
pub mod tags;
/// Torrents: in, out, their pages and the listing.
pub mod torrents;

/// Rendering, forms, errors, headers, assets: names no feature.
pub mod web;
