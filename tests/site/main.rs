//! The site, tested through HTTP as a person would use it, on SQLite and on Postgres.

#[macro_use]
mod harness;

mod fixtures;

mod access;
mod accounts;
mod admin;
mod books;
mod cached;
mod categories;
mod commands;
mod companion;
mod compose;
mod costs;
mod feeds;
mod health;
mod hostile;
mod image;
mod keeping;
mod language;
mod limits;
mod members;
mod metrics;
mod migrations;
mod pages;
mod paging;
mod plans;
mod search;
mod search_kills;
mod search_tools;
mod stopping;
mod tags;
mod torrents;
mod torrust_contract;
mod tracker;
mod udp;
