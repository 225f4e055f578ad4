//! Where to go next: only ever a path of this site.

use actix_web::HttpResponse;
use actix_web::http::header;

/// 303 to a path of this site.
pub fn to(path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, local(path)))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

/// `path` if it is a path of this site, re-serialised after parsing; `/` otherwise.
pub fn local(path: &str) -> String {
    parse(path).unwrap_or_else(|| "/".to_owned())
}

fn parse(path: &str) -> Option<String> {
    let base = url::Url::parse("http://site.invalid/").ok()?;
    // What a browser may read as another host: `//`, `/\`, control characters that it drops.
    if !path.starts_with('/') || path.chars().any(|c| c.is_control() || c == '\\') {
        return None;
    }
    let url = base.join(path).ok()?;
    if url.host_str() != Some("site.invalid")
        || url.scheme() != "http"
        || url.path().starts_with("//")
    {
        return None;
    }
    Some(match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn only_paths_of_this_site() {
        assert_eq!(local("/torrents?q=a%20b"), "/torrents?q=a%20b");
        for hostile in [
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "https://evil.example",
            "\\\\evil",
            "",
            "evil",
            "/%09//evil",
            "/..//evil.example",
            "/.//evil.example",
            "javascript:alert(1)",
        ] {
            let path = local(hostile);
            assert!(
                path.starts_with('/') && !path.starts_with("//"),
                "{hostile}: {path}"
            );
            assert!(!path.starts_with("/\\"), "{hostile}: {path}");
        }
        assert_eq!(local("//evil.example"), "/");
        assert_eq!(local("https://evil.example/x"), "/");
    }
}
