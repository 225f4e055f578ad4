//! The site, tested through HTTP as a person would use it, on SQLite and on Postgres.

#[macro_use]
mod harness;

mod accounts;
mod commands;
mod migrations;
mod pages;
mod search;
mod torrents;
