//! Handing out a .torrent: `info` as it came, the announce URL of whoever asks, nothing else that could leak.

use actix_web::http::Method;
use actix_web::http::header::{
    self, Charset, ContentDisposition, DispositionParam, DispositionType, ExtendedValue,
};
use actix_web::{HttpResponse, web};

use super::downloads::{self, Download};
use super::{id_of, queries};
use crate::accounts::extract::NO_STORE;
use crate::accounts::{Downloader, LinkHolder, Visit};
use crate::bittorrent::download::assemble;
use crate::bittorrent::magnet::Magnet;
use crate::error::{Error, Result};
use crate::ids::TorrentId;

const HOUR_S: i64 = 3_600;

/// `GET /torrents/{id}/download`
pub async fn torrent(viewer: Downloader, id: web::Path<String>) -> Result<HttpResponse> {
    let id = id_of(&id).ok_or(Error::NotFound)?;
    hand_out(&viewer, id).await
}

/// `GET /torrents/{id}/download.torrent`: the link inside a feed, whose token stands for the member.
pub async fn by_token(holder: LinkHolder) -> Result<HttpResponse> {
    hand_out(&holder, holder.torrent).await
}

/// To somebody who may download: within their budget, counted as theirs, with their announce address.
async fn hand_out(visit: &Visit, id: TorrentId) -> Result<HttpResponse> {
    let app = &visit.app;
    let now = app.clock.now();
    let user = visit.user().map(|user| user.id);
    let mut conn = app.db.read().await?;
    if let Some(user) = user {
        let fetched = downloads::count_since(&mut conn, user, now.plus(-HOUR_S)).await?
            + app.downloads.of_user(user);
        if fetched >= app.config.torrents.downloads_per_hour {
            tracing::warn!(%user, fetched, "download budget used up");
            return Err(Error::TooMany {
                retry_after_s: HOUR_S / 4,
            });
        }
    }
    let blob = queries::blob(&mut conn, id).await?.ok_or(Error::NotFound)?;
    drop(conn);
    let trackers = announce_urls(visit);
    let page = visit.settings.link(&format!("/torrents/{id}"));
    let bytes = assemble(&blob.info, &blob.kept, &trackers, &page);
    // Whoever looks at the head alone has fetched nothing.
    if *visit.req.method() != Method::HEAD {
        app.metrics.downloads.add_one();
        app.downloads.add(Download {
            torrent: id,
            user,
            at: now,
        });
    }
    Ok(HttpResponse::Ok()
        .content_type("application/x-bittorrent")
        .insert_header(disposition(&blob.name))
        .insert_header(NO_STORE)
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(bytes))
}

/// `GET /torrents/{id}/magnet`: sends the browser to the member's own magnet, so that no listing carries a key.
pub async fn magnet_link(viewer: Downloader, id: web::Path<String>) -> Result<HttpResponse> {
    let id = id_of(&id).ok_or(Error::NotFound)?;
    let mut conn = viewer.app.db.read().await?;
    let torrent = queries::by_id(&mut conn, id)
        .await?
        .filter(|t| !t.is_deleted())
        .ok_or(Error::NotFound)?;
    let magnet = magnet(&viewer, &torrent)?.ok_or_else(|| {
        Error::Conflict("A private torrent has no magnet link: its peers come from this tracker only. Download the .torrent.".to_owned())
    })?;
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, magnet))
        .insert_header(NO_STORE)
        .finish())
}

/// The viewer's magnet link; none for private torrents, whose hash must not be asked of strangers.
pub fn magnet(visit: &Visit, torrent: &queries::Torrent) -> Result<Option<String>> {
    if torrent.private {
        return Ok(None);
    }
    let trackers = announce_urls(visit);
    let web_seeds = torrent.web_seeds()?;
    let magnet = Magnet {
        v1: torrent.infohash_v1(),
        v2: torrent.infohash_v2(),
        name: &torrent.name,
        size: u64::try_from(torrent.size).ok(),
        trackers: &trackers,
        web_seeds: &web_seeds,
    };
    Ok(Some(magnet.to_string()))
}

fn announce_urls(visit: &Visit) -> Vec<String> {
    let passkey = visit.user().map(|user| user.passkey.as_str());
    visit
        .app
        .tracker
        .announce_urls(&visit.settings.base_url, passkey)
}

/// `attachment` with a plain name for old clients and the real one (RFC 6266, RFC 8187).
fn disposition(name: &str) -> ContentDisposition {
    let clean: String = name
        .chars()
        .map(|c| {
            if c.is_control() || "/\\:*?\"<>|;=".contains(c) {
                '_'
            } else {
                c
            }
        })
        .take(150)
        .collect();
    let plain: String = clean
        .chars()
        .map(|c| if c.is_ascii() && c != '%' { c } else { '_' })
        .collect();
    ContentDisposition {
        disposition: DispositionType::Attachment,
        parameters: vec![
            DispositionParam::Filename(format!("{plain}.torrent")),
            DispositionParam::FilenameExt(ExtendedValue {
                charset: Charset::Ext("UTF-8".to_owned()),
                language_tag: None,
                value: format!("{clean}.torrent").into_bytes(),
            }),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_inside_the_header() {
        for name in [
            "a\r\nSet-Cookie: x=1",
            "a\";filename=evil.exe",
            "../../etc/passwd",
            "\u{202e}gpj.exe",
            "日本",
            "",
        ] {
            let header = disposition(name).to_string();
            assert!(!header.contains(['\r', '\n']), "{header:?}");
            assert!(header.starts_with("attachment; filename=\""), "{header:?}");
            assert_eq!(header.matches("filename=").count(), 1, "{header:?}");
            assert!(
                !header.contains('/') && !header.contains('\\'),
                "{header:?}"
            );
            assert!(header.is_ascii(), "{header:?}");
        }
    }
}
