//! The text index over both databases: what is found, by whom, how it follows, and how it heals.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use seedbank::accounts::Role;
use seedbank::bittorrent::files;
use seedbank::bittorrent::metainfo::File;
use seedbank::clock::Timestamp;
use seedbank::db::Db;
use seedbank::db::revisions::{self, Revision};
use seedbank::ids::{CategoryId, TagId, TorrentId, UserId};
use seedbank::search::rule::Rule;
use seedbank::search::{Filter, Found, Kind, Search, Sort, SortKey, Swarm, Who};
use seedbank::{config, exec, on};

use crate::harness::{PATIENCE, START};

struct Torrent<'t> {
    title: &'t str,
    name: &'t str,
    owner: UserId,
    category: CategoryId,
    anonymous: bool,
    tags: &'t [TagId],
    files: &'t [&'t str],
    hashes: (bool, bool),
}

impl Default for Torrent<'_> {
    fn default() -> Self {
        Self {
            title: "untitled",
            name: "payload",
            owner: UserId(0),
            category: CategoryId(0),
            anonymous: false,
            tags: &[],
            files: &[],
            hashes: (true, false),
        }
    }
}

async fn insert(db: &Db, torrent: Torrent<'_>) -> TorrentId {
    const SQL: &str = "insert into torrents (revision, state, infohash_v1, infohash_v2, name, title, description, category_id, \
        uploader_id, anonymous, private, size, file_count, piece_length, piece_count, web_seeds, created_at, updated_at) \
        values (0, 'published', $1, $2, $3, $4, '', $5, $6, $7, $8, 1000, 1, 16384, 1, '[]', $9, $9) returning id";
    let packed = files::pack(
        &torrent
            .files
            .iter()
            .map(|path| File {
                path: path.split('/').map(str::to_owned).collect(),
                length: 10,
                ..File::default()
            })
            .collect::<Vec<_>>(),
    );
    let hash: [u8; 32] = rand::random();
    let mut tx = db.write().await.unwrap();
    let id: TorrentId = on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(torrent.hashes.0.then(|| hash[..20].to_vec()))
        .bind(torrent.hashes.1.then(|| hash.to_vec()))
        .bind(torrent.name)
        .bind(torrent.title)
        .bind(torrent.category)
        .bind(torrent.owner)
        .bind(torrent.anonymous)
        .bind(false)
        .bind(START)
        .fetch_one(c)
        .await)
    .unwrap();
    exec!(
        tx,
        "insert into torrent_files (torrent_id, packed) values ($1, $2)",
        id,
        &packed
    )
    .unwrap();
    for tag in torrent.tags {
        exec!(
            tx,
            "insert into torrent_tags (torrent_id, tag_id) values ($1, $2)",
            id,
            tag
        )
        .unwrap();
    }
    let revision = revisions::bump(&mut tx, Revision::Catalogue).await.unwrap();
    exec!(
        tx,
        "update torrents set revision = $1 where id = $2",
        revision,
        id
    )
    .unwrap();
    tx.commit().await.unwrap();
    id
}

async fn change(db: &Db, id: TorrentId, sql: &'static str, value: &str) {
    let mut tx = db.write().await.unwrap();
    assert_eq!(exec!(tx, sql, value, id).unwrap(), 1);
    let revision = revisions::bump(&mut tx, Revision::Catalogue).await.unwrap();
    exec!(
        tx,
        "update torrents set revision = $1 where id = $2",
        revision,
        id
    )
    .unwrap();
    tx.commit().await.unwrap();
}

const RETITLE: &str = "update torrents set title = $1 where id = $2";
const SET_STATE: &str = "update torrents set state = $1 where id = $2";

async fn category(db: &Db, slug: &str, parent: Option<CategoryId>) -> CategoryId {
    const SQL: &str = "insert into categories (parent_id, slug, name, description, icon, position, torznab) \
        values ($1, $2, $2, '', 'disc', 1, 8000) returning id";
    let mut tx = db.write().await.unwrap();
    let id = on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(parent)
        .bind(slug)
        .fetch_one(c)
        .await)
    .unwrap();
    revisions::bump(&mut tx, Revision::Catalogue).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn tag(db: &Db, name: &str) -> TagId {
    const SQL: &str = "insert into tags (name, created_at) values ($1, $2) returning id";
    let mut tx = db.write().await.unwrap();
    let id = on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(name)
        .bind(START)
        .fetch_one(c)
        .await)
    .unwrap();
    tx.commit().await.unwrap();
    id
}

async fn swarm(db: &Db, id: TorrentId, seeders: i64, at: i64) {
    const SQL: &str = "insert into swarms (torrent_id, seeders, leechers, completed, updated_at) values ($1, $2, 1, 2, $3) \
        on conflict (torrent_id) do update set seeders = excluded.seeders, updated_at = excluded.updated_at";
    let mut tx = db.write().await.unwrap();
    exec!(tx, SQL, id, seeders, at).unwrap();
    tx.commit().await.unwrap();
}

fn words(text: &str) -> Filter {
    Filter::words(text)
}

fn find(search: &Search, who: Who, filter: &Filter) -> Found {
    search.page(who, filter, Sort::NEWEST, None, 50).unwrap()
}

fn ids(search: &Search, text: &str) -> Vec<TorrentId> {
    find(search, Who::Guest, &words(text)).ids
}

/// An index of its own in `folder`, which nothing follows but the test.
fn open(folder: &Path, db: &Db) -> Arc<Search> {
    let config = config::Search {
        writer_bytes: 15_000_000,
    };
    Search::open(folder, db.clone(), &config).unwrap()
}

/// Left in the index folder, this is gone after a rebuild.
fn marker(folder: &Path) -> PathBuf {
    folder.join("search").join("marker")
}

both! {
    /// Title, name, tags, uploader and file names, each found in the torrent that has it and not in the other.
    async fn words_are_found_where_they_stand(site: Site) {
        let db = &site.app.db;
        let (ann, bob) = (site.account("ann", Role::Member).await, site.account("bob", Role::Member).await);
        let (linux, films) = (category(db, "linux", None).await, category(db, "films", None).await);
        let (lts, noir) = (tag(db, "lts").await, tag(db, "film-noir").await);
        let ubuntu = insert(db, Torrent {
            title: "Ubuntu 24.04 «Noble»", name: "ubuntu-24.04-desktop-amd64.iso", owner: ann, category: linux,
            tags: &[lts], files: &["ubuntu-24.04-desktop-amd64.iso"], ..Torrent::default()
        }).await;
        let detour = insert(db, Torrent {
            title: "Détour (1945)", name: "Detour.1945.1080p", owner: bob, category: films,
            tags: &[noir, lts], files: &["Detour.1945.1080p.mkv", "Subs/français.srt"], ..Torrent::default()
        }).await;
        let search = &site.app.search;
        search.refresh_now().await.unwrap();
        for text in ["noble", "ubuntu 2404", "UBUNTU-24.04", "desktop", "ann", "amd* iso", "24 -1945"] {
            assert_eq!(ids(search, text), [ubuntu], "{text}");
        }
        for text in ["detour", "dÉtour", "1080p.mkv", "FRANCAIS", "filmnoir", "film noir", "\"film noir\"", "bob", "Subs"] {
            assert_eq!(ids(search, text), [detour], "{text}");
        }
        assert_eq!(ids(search, "lts"), [detour, ubuntu]);
        assert_eq!(ids(search, "ubuntu detour"), []);
        assert_eq!(ids(search, "\"noir film\""), []);
        let by_tag = Filter { all: vec![Rule::Tag(noir), Rule::Tag(lts)] };
        assert_eq!(find(search, Who::Guest, &by_tag).ids, [detour]);
        assert!(search.check().await.unwrap().is_sound());
    }

    /// The follower is woken by the commit. One second is promised; a machine that runs all tests at once gets more.
    async fn a_commit_is_found_by_itself(site: Site) {
        let db = &site.app.db;
        let ann = site.account("ann", Role::Member).await;
        let linux = category(db, "linux", None).await;
        let search = &site.app.search;
        for n in 0..3 {
            let title = format!("release{n}");
            let id = insert(db, Torrent { title: &title, owner: ann, category: linux, ..Torrent::default() }).await;
            let seen = async {
                while ids(search, &title) != [id] {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(PATIENCE, seen).await.unwrap();
        }
    }

    /// What one transaction changed shares a revision, and is more than is read at once.
    async fn a_revision_may_be_larger_than_a_batch(site: Site) {
        let db = &site.app.db;
        let ann = site.account("ann", Role::Member).await;
        let linux = category(db, "linux", None).await;
        let first = insert(db, Torrent { title: "first", owner: ann, category: linux, ..Torrent::default() }).await;
        const COPIES: &str = "insert into torrents (revision, state, infohash_v1, name, title, description, category_id, \
            uploader_id, anonymous, private, size, file_count, piece_length, piece_count, web_seeds, created_at, updated_at) \
            select $1, state, $2, name, title, description, category_id, uploader_id, anonymous, private, size, file_count, \
            piece_length, piece_count, web_seeds, created_at, updated_at from torrents where id = $3";
        let mut tx = db.write().await.unwrap();
        let revision = revisions::bump(&mut tx, Revision::Catalogue).await.unwrap();
        for _ in 0..2_300 {
            let hash: [u8; 20] = rand::random();
            exec!(tx, COPIES, revision, &hash[..], first).unwrap();
        }
        tx.commit().await.unwrap();
        let search = &site.app.search;
        search.refresh_now().await.unwrap();
        assert_eq!(find(search, Who::Guest, &words("first")).total, 2_301);
        let checked = search.check().await.unwrap();
        assert!(checked.is_sound(), "{checked:?}");
        assert_eq!((checked.stored, checked.indexed), (2_301, 2_301));
    }

    /// An edit replaces what was indexed; a deleted torrent leaves results, counts and facets.
    async fn edits_and_deletions_follow(site: Site) {
        let db = &site.app.db;
        let ann = site.account("ann", Role::Member).await;
        let linux = category(db, "linux", None).await;
        let one = insert(db, Torrent { title: "first", owner: ann, category: linux, ..Torrent::default() }).await;
        let two = insert(db, Torrent { title: "second", owner: ann, category: linux, ..Torrent::default() }).await;
        let search = &site.app.search;
        search.refresh_now().await.unwrap();
        change(db, one, RETITLE, "renamed").await;
        search.refresh_now().await.unwrap();
        assert_eq!(ids(search, "first"), []);
        assert_eq!(ids(search, "renamed"), [one]);
        change(db, one, SET_STATE, "deleted").await;
        search.refresh_now().await.unwrap();
        let all = find(search, Who::Moderator(ann), &Filter::default());
        assert_eq!((all.ids, all.total), (vec![two], 1));
        assert_eq!(all.facets.categories, [(linux, 1)]);
        let checked = search.check().await.unwrap();
        assert!(checked.is_sound(), "{checked:?}");
        assert_eq!((checked.stored, checked.indexed), (1, 1));
    }

    async fn a_category_holds_its_children_and_counts_them(site: Site) {
        let db = &site.app.db;
        let ann = site.account("ann", Role::Member).await;
        let software = category(db, "software", None).await;
        let linux = category(db, "linux", Some(software)).await;
        let films = category(db, "films", None).await;
        let iso = insert(db, Torrent { owner: ann, category: linux, hashes: (true, true), ..Torrent::default() }).await;
        let tool = insert(db, Torrent { owner: ann, category: software, ..Torrent::default() }).await;
        let film = insert(db, Torrent { owner: ann, category: films, hashes: (false, true), ..Torrent::default() }).await;
        let search = &site.app.search;
        search.refresh_now().await.unwrap();
        let found = find(search, Who::Guest, &Filter::of(Rule::Category(software)));
        assert_eq!(found.ids, [tool, iso]);
        // What choosing another category would give is told, too.
        assert_eq!(found.facets.categories, [(software, 2), (linux, 1), (films, 1)]);
        assert_eq!(found.facets.kinds, [(Kind::V1, 1), (Kind::Hybrid, 1)]);
        let found = find(search, Who::Guest, &Filter::of(Rule::Kind(Kind::V2)));
        assert_eq!(found.ids, [film]);
        // Moving a category changes no torrent, yet changes what its parent holds.
        let mut tx = db.write().await.unwrap();
        exec!(tx, "update categories set parent_id = $1 where id = $2", films, linux).unwrap();
        revisions::bump(&mut tx, Revision::Catalogue).await.unwrap();
        tx.commit().await.unwrap();
        search.refresh_now().await.unwrap();
        let found = find(search, Who::Guest, &Filter::of(Rule::Category(films)));
        assert_eq!(found.ids, [film, iso]);
    }

    /// An anonymous upload must not be told to be somebody's: not by results, counts, facets or words.
    async fn anonymous_uploads_match_their_uploader_for_owner_and_moderators_only(site: Site) {
        let db = &site.app.db;
        let (ann, bob) = (site.account("annabel", Role::Member).await, site.account("bob", Role::Member).await);
        let linux = category(db, "linux", None).await;
        let lts = tag(db, "lts").await;
        let open = insert(db, Torrent { title: "open", owner: ann, category: linux, ..Torrent::default() }).await;
        let hidden = insert(db, Torrent {
            title: "hidden", owner: ann, category: linux, anonymous: true, tags: &[lts], ..Torrent::default()
        }).await;
        let other = insert(db, Torrent { title: "other", owner: bob, category: linux, tags: &[lts], ..Torrent::default() }).await;
        let search = &site.app.search;
        search.refresh_now().await.unwrap();
        let of_ann = Filter::of(Rule::Uploaders(vec![ann]));
        for stranger in [Who::Guest, Who::Member(bob)] {
            let found = find(search, stranger, &of_ann);
            assert_eq!((found.ids, found.total), (vec![open], 1), "{stranger:?}");
            assert_eq!(found.facets.categories, [(linux, 1)]);
            assert_eq!(found.facets.tags, []);
            assert_eq!(found.facets.kinds, [(Kind::V1, 1)]);
        }
        for knowing in [Who::Member(ann), Who::Moderator(bob)] {
            let found = find(search, knowing, &of_ann);
            assert_eq!((found.ids, found.total), (vec![hidden, open], 2), "{knowing:?}");
            assert_eq!(found.facets.tags, [(lts, 1)]);
        }
        // The torrent itself is everybody's to find; the name is in no text of it.
        assert_eq!(ids(search, ""), [other, hidden, open]);
        assert_eq!(ids(search, "hidden"), [hidden]);
        assert_eq!(find(search, Who::Moderator(bob), &words("annabel")).ids, [open]);
    }

    /// Numbers come from the database, or at once from the tracker; never seen is not zero.
    async fn swarm_numbers_order_the_listing(site: Site) {
        let db = &site.app.db;
        let ann = site.account("ann", Role::Member).await;
        let linux = category(db, "linux", None).await;
        let mut made = Vec::new();
        for _ in 0..4 {
            made.push(insert(db, Torrent { owner: ann, category: linux, ..Torrent::default() }).await);
        }
        let [none, zero, few, many] = made[..] else { unreachable!() };
        for (id, seeders) in [(zero, 0), (few, 3), (many, 8)] {
            swarm(db, id, seeders, START.0).await;
        }
        let search = &site.app.search;
        search.refresh_now().await.unwrap();
        let by_seeders = |descending| {
            let sort = Sort { key: SortKey::Seeders, descending };
            search.page(Who::Guest, &Filter::default(), sort, None, 50).unwrap().ids
        };
        assert_eq!(by_seeders(true), [many, few, zero, none]);
        assert_eq!(by_seeders(false), [zero, few, many, none]);
        assert_eq!(search.numbers.get(none), None);
        swarm(db, few, 20, START.0 + 1).await;
        search.refresh_now().await.unwrap();
        assert_eq!(by_seeders(true), [few, many, zero, none]);
        let now = Swarm { seeders: 30, leechers: 0, completed: 0, updated_at: Timestamp(START.0 + 2) };
        search.numbers.set(zero, now);
        assert_eq!(by_seeders(true), [zero, few, many, none]);
    }

    /// What was committed while nobody followed is caught up with; what was indexed is served at once.
    async fn an_index_goes_on_where_it_was(site: Site) {
        let db = &site.app.db;
        let ann = site.account("ann", Role::Member).await;
        let linux = category(db, "linux", None).await;
        let one = insert(db, Torrent { title: "same one", owner: ann, category: linux, ..Torrent::default() }).await;
        let folder = tempfile::tempdir().unwrap();
        let search = open(folder.path(), db);
        search.refresh_now().await.unwrap();
        drop(search);
        std::fs::write(marker(folder.path()), "").unwrap();
        let two = insert(db, Torrent { title: "same two", owner: ann, category: linux, ..Torrent::default() }).await;
        let search = open(folder.path(), db);
        assert_eq!(ids(&search, "same"), [one]);
        search.refresh_now().await.unwrap();
        assert_eq!(ids(&search, "same"), [two, one]);
        assert_eq!(search.progress(), None);
        assert!(marker(folder.path()).exists(), "rebuilt without need");
    }

    /// However the index on disk is broken, it is built anew.
    async fn a_damaged_index_is_rebuilt(site: Site) {
        let db = &site.app.db;
        let ann = site.account("ann", Role::Member).await;
        let linux = category(db, "linux", None).await;
        let one = insert(db, Torrent { title: "one", owner: ann, category: linux, ..Torrent::default() }).await;
        let two = insert(db, Torrent { title: "two", owner: ann, category: linux, ..Torrent::default() }).await;
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("search");
        type Damage = (&'static str, fn(&Path));
        let damages: [Damage; 5] = [
            ("no folder", |index| std::fs::remove_dir_all(index).unwrap()),
            ("meta.json is nonsense", |index| std::fs::write(index.join("meta.json"), "{").unwrap()),
            ("a flipped bit", |index| {
                let terms = file_of(index, "term");
                let mut bytes = std::fs::read(&terms).unwrap();
                bytes[0] ^= 1;
                std::fs::write(&terms, bytes).unwrap();
            }),
            ("a file cut short", |index| std::fs::write(file_of(index, "fast"), "x").unwrap()),
            ("a file missing", |index| std::fs::remove_file(file_of(index, "idx")).unwrap()),
        ];
        for (what, damage) in damages {
            let search = open(folder.path(), db);
            search.refresh_now().await.unwrap();
            drop(search);
            std::fs::write(marker(folder.path()), "").unwrap();
            damage(&index);
            let search = open(folder.path(), db);
            search.refresh_now().await.unwrap();
            assert_eq!(ids(&search, ""), [two, one], "{what}");
            assert!(search.check().await.unwrap().is_sound(), "{what}");
            assert!(!marker(folder.path()).exists(), "{what}");
        }
    }

    /// A restored backup is behind its index, or has another id: either way the index belongs to no such history.
    async fn an_index_of_another_history_is_rebuilt(site: Site) {
        let db = &site.app.db;
        let ann = site.account("ann", Role::Member).await;
        let linux = category(db, "linux", None).await;
        let one = insert(db, Torrent { title: "one", owner: ann, category: linux, ..Torrent::default() }).await;
        let two = insert(db, Torrent { title: "two", owner: ann, category: linux, ..Torrent::default() }).await;
        let folder = tempfile::tempdir().unwrap();
        let search = open(folder.path(), db);
        search.refresh_now().await.unwrap();
        assert_eq!(ids(&search, ""), [two, one]);
        // As the backup from before the second upload would be.
        let mut tx = db.write().await.unwrap();
        for sql in ["delete from torrent_files where torrent_id = $1", "delete from torrents where id = $1"] {
            exec!(tx, sql, two).unwrap();
        }
        exec!(tx, "update revisions set value = value - 1 where name = 'catalogue'").unwrap();
        tx.commit().await.unwrap();
        // It is noticed by one that runs, and by one that starts.
        std::fs::write(marker(folder.path()), "").unwrap();
        search.refresh_now().await.unwrap();
        assert!(!marker(folder.path()).exists());
        assert_eq!(ids(&search, ""), [one]);
        drop(search);
        std::fs::write(marker(folder.path()), "").unwrap();
        let mut tx = db.write().await.unwrap();
        exec!(tx, "update identity set database_id = $1", &[7_u8; 16][..]).unwrap();
        tx.commit().await.unwrap();
        let search = open(folder.path(), db);
        search.refresh_now().await.unwrap();
        assert!(!marker(folder.path()).exists());
        assert_eq!(ids(&search, ""), [one]);
        assert!(search.check().await.unwrap().is_sound());
    }

    /// Ended at any moment, it goes on without losing or doubling anything.
    async fn a_killed_follower_costs_nothing(site: Site) {
        let db = &site.app.db;
        let ann = site.account("ann", Role::Member).await;
        let linux = category(db, "linux", None).await;
        let folder = tempfile::tempdir().unwrap();
        let mut first = None;
        for round in 0..6_u64 {
            for n in 0..20 {
                let id = insert(db, Torrent { title: &format!("t{n}"), owner: ann, category: linux, ..Torrent::default() }).await;
                first.get_or_insert(id);
            }
            change(db, first.unwrap(), RETITLE, &format!("round {round}")).await;
            let search = open(folder.path(), db);
            let follow = search.clone();
            let task = tokio::spawn(async move { follow.refresh_now().await });
            tokio::time::sleep(Duration::from_millis(round * 7)).await;
            task.abort();
            let _ = task.await;
        }
        let search = open(folder.path(), db);
        // A batch that was being written when its task ended may hold the folder a moment longer.
        while search.refresh_now().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let checked = search.check().await.unwrap();
        assert!(checked.is_sound(), "{checked:?}");
        assert_eq!(checked.indexed, 120);
        assert_eq!(ids(&search, "\"round 5\""), [first.unwrap()]);
    }

    /// Two nodes on one database keep an index each.
    async fn a_second_node_follows_too(site: Site) {
        let db = &site.app.db;
        let ann = site.account("ann", Role::Member).await;
        let linux = category(db, "linux", None).await;
        let folder = tempfile::tempdir().unwrap();
        let other = open(folder.path(), db);
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let running = tokio::spawn(other.clone().run(stopped));
        let id = insert(db, Torrent { title: "shared", owner: ann, category: linux, ..Torrent::default() }).await;
        let seen = async {
            while ids(&other, "shared") != [id] || ids(&site.app.search, "shared") != [id] {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.unwrap();
        stop.send(true).unwrap();
        running.await.unwrap();
        // A stopped one has let go of its folder.
        let again = open(folder.path(), db);
        again.refresh_now().await.unwrap();
        assert_eq!(ids(&again, "shared"), [id]);
    }
}

fn file_of(index: &Path, extension: &str) -> PathBuf {
    std::fs::read_dir(index)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == extension))
        .unwrap()
}
