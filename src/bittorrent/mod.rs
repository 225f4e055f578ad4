//! Torrents as bytes and values: reading, checking, hashing, rebuilding and making .torrent files.
//! Nothing here knows SQL or HTTP, and only `create` touches files. Everything that comes from outside
//! goes through `metainfo::parse`, which goes through `bencode::scan`; both are fuzzed.

pub mod bencode;
pub mod create;
pub mod download;
pub mod files;
pub mod infohash;
pub mod magnet;
pub mod merkle;
pub mod metainfo;
