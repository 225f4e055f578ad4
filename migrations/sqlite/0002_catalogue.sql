create table categories (
    id integer not null primary key autoincrement,
    -- Two levels: a parent has none itself.
    parent_id integer references categories (id),
    slug text not null,
    name text not null,
    description text not null,
    icon text not null,
    position integer not null,
    -- The standard number that Torznab clients know it by.
    torznab integer not null
) strict;
create unique index categories_slug_key on categories (slug);
create index categories_parent on categories (parent_id, position);

create table tags (
    id integer not null primary key autoincrement,
    name text not null,
    created_at integer not null
) strict;
create unique index tags_name_key on tags (name);

-- Other words for a tag; what is typed becomes the tag.
create table tag_aliases (
    alias text not null primary key,
    tag_id integer not null references tags (id)
) strict;
create index tag_aliases_tag on tag_aliases (tag_id);

create table torrents (
    id integer not null primary key autoincrement,
    -- The catalogue revision of the last change to what can be found.
    revision integer not null,
    -- 'published' or 'deleted'; deleted rows keep their stamp, so that they leave the index too.
    state text not null,
    infohash_v1 blob,
    infohash_v2 blob,
    name text not null,
    title text not null,
    description text not null,
    category_id integer not null references categories (id),
    uploader_id integer not null references users (id),
    anonymous integer not null check (anonymous in (0, 1)),
    private integer not null check (private in (0, 1)),
    -- Bytes of payload, without padding.
    size integer not null,
    file_count integer not null,
    piece_length integer not null,
    piece_count integer not null,
    source text,
    created_by text,
    metainfo_created_at integer,
    -- JSON array of URLs, as shown on the page and put into magnets.
    web_seeds text not null,
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer,
    deleted_by integer references users (id),
    delete_reason text,
    check (infohash_v1 is not null or infohash_v2 is not null)
) strict;
-- A hash lives once; deleting frees it.
create unique index torrents_infohash_v1_key on torrents (infohash_v1) where state <> 'deleted';
create unique index torrents_infohash_v2_key on torrents (infohash_v2) where state <> 'deleted';
create index torrents_revision on torrents (revision, id);
create index torrents_uploader on torrents (uploader_id, id);
create index torrents_category on torrents (category_id, id);

create table torrent_tags (
    torrent_id integer not null references torrents (id),
    tag_id integer not null references tags (id),
    primary key (torrent_id, tag_id)
) strict;
create index torrent_tags_tag on torrent_tags (tag_id, torrent_id);

-- What is big and seldom read, kept apart so that a listed row stays small.
create table torrent_blobs (
    torrent_id integer not null primary key references torrents (id),
    -- The bytes of `info` as uploaded.
    info blob not null,
    -- A bencoded dictionary of the outer keys that are kept.
    kept blob not null
) strict;

create table torrent_files (
    torrent_id integer not null primary key references torrents (id),
    -- The whole file list, packed (src/bittorrent/files.rs).
    packed blob not null
) strict;

-- Who fetched which .torrent, written in batches; guests have no user.
create table downloads (
    id integer not null primary key autoincrement,
    torrent_id integer not null references torrents (id),
    user_id integer references users (id),
    at integer not null
) strict;
create index downloads_user on downloads (user_id, at);

create table download_counts (
    torrent_id integer not null primary key references torrents (id),
    count integer not null
) strict;
