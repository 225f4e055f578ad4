//! Delivery without features: rendering, forms, errors, headers, assets. Nothing here knows what a torrent is.

pub mod assets;
pub mod body;
pub mod client;
pub mod cookies;
pub mod csrf;
pub mod errors;
pub mod filters;
pub mod flash;
pub mod forms;
pub mod gate;
pub mod markdown;
pub mod multipart;
pub mod pager;
pub mod redirect;
pub mod render;
pub mod xml;
