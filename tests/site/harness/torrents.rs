//! Torrents for tests, made by the production code, and their way in through the form.

use seedbank::bittorrent::create::{self, Options};
use seedbank::bittorrent::metainfo::{self, Kind, Metainfo};

use super::{Browser, Reply, Site};

/// A .torrent of one small file whose content is its own name.
pub fn small(name: &str, kind: Kind) -> Vec<u8> {
    with(
        name,
        &[(&format!("{name}.bin"), 40_000)],
        Options {
            kind,
            ..Options::default()
        },
    )
}

/// A .torrent of files of these sizes; a path may hold folders.
pub fn with(name: &str, files: &[(&str, usize)], options: Options) -> Vec<u8> {
    let files: Vec<(Vec<String>, Vec<u8>)> = files
        .iter()
        .map(|(path, size)| {
            let content: Vec<u8> = name
                .bytes()
                .chain(path.bytes())
                .cycle()
                .take(*size)
                .collect();
            (path.split('/').map(str::to_owned).collect(), content)
        })
        .collect();
    let options = Options {
        piece_length: options.piece_length.or(Some(16 * 1024)),
        ..options
    };
    create::create_from_memory(name, &files, &options).unwrap()
}

pub fn parse(bytes: &[u8]) -> Metainfo {
    metainfo::parse(bytes).unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// Uploads through the form and gives the answer.
pub async fn upload(browser: &mut Browser, file: &[u8], title: &str) -> Reply {
    upload_with(browser, file, &[("title", title), ("category", "other")]).await
}

pub async fn upload_with(browser: &mut Browser, file: &[u8], fields: &[(&str, &str)]) -> Reply {
    browser.get("/upload").await.expect(200);
    browser
        .upload("/upload", |form| {
            let form = fields
                .iter()
                .fold(form, |form, (name, value)| form.text(name, value));
            form.file("files", "upload.torrent", file)
        })
        .await
}

/// Uploads and gives the id of the new torrent.
pub async fn publish(browser: &mut Browser, file: &[u8], title: &str) -> i64 {
    let reply = upload(browser, file, title).await.expect(303);
    id_in(reply.location())
}

/// The id in `/torrents/123-words`.
pub fn id_in(path: &str) -> i64 {
    let segment = path
        .strip_prefix("/torrents/")
        .unwrap_or_else(|| panic!("no torrent in {path}"));
    segment.split('-').next().unwrap().parse().unwrap()
}

impl Site {
    /// Waits until everything committed so far can be found.
    pub async fn indexed(&self) {
        self.app.search.refresh_now().await.unwrap();
    }
}
