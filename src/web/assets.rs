//! Static files: embedded in the binary, served under a content hash and cached for ever.

use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use data_encoding::HEXLOWER;
use rust_embed::{EmbeddedFile, RustEmbed};
use serde::Serialize;

use crate::error::Error;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// Where the page finds its files; the hash in the path changes with the content.
#[derive(Clone, Debug, Serialize)]
pub struct AssetUrls {
    pub css: String,
    pub js: String,
    pub icons: String,
    pub favicon: String,
}

static HASHES: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    Files::iter()
        .filter_map(|name| {
            let file = Files::get(&name)?;
            let hash = HEXLOWER.encode(file.metadata.sha256_hash().get(..8)?);
            Some((name.into_owned(), hash))
        })
        .collect()
});

pub static URLS: LazyLock<AssetUrls> = LazyLock::new(|| AssetUrls {
    css: url("seedbank.css"),
    js: url("seedbank.js"),
    icons: url("icons.svg"),
    favicon: url("favicon.svg"),
});

fn url(name: &str) -> String {
    let hash = HASHES.get(name).map_or("0", String::as_str);
    format!("/static/{hash}/{name}")
}

/// `GET /static/{hash}/{name}`: an old hash still finds the file, but is not to be kept.
pub async fn file(path: web::Path<(String, String)>) -> Result<HttpResponse, Error> {
    let (hash, name) = path.into_inner();
    let file = Files::get(&name).ok_or(Error::NotFound)?;
    let cache = if HASHES.get(&name) == Some(&hash) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    Ok(respond(&name, file, cache))
}

/// `GET /favicon.ico`, which browsers ask for unasked.
pub async fn favicon() -> Result<HttpResponse, Error> {
    let file = Files::get("favicon.svg").ok_or(Error::NotFound)?;
    Ok(respond("favicon.svg", file, "public, max-age=86400"))
}

fn respond(name: &str, file: EmbeddedFile, cache: &'static str) -> HttpResponse {
    let kind = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        _ => "application/octet-stream",
    };
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, kind))
        .insert_header((header::CACHE_CONTROL, cache))
        .body(file.data.into_owned())
}
