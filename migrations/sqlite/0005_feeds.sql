-- What members' feed keys are made from. The keys themselves are nowhere: each is an HMAC of this under the
-- installation's key, so that a copy of the database reads nobody's feeds. No row: a key that was never reset nor used.
create table feed_keys (
    user_id integer not null primary key references users (id),
    -- Empty until the first reset.
    nonce blob not null,
    changed_at integer,
    last_used_at integer
) strict;

create table bookmarks (
    id integer not null primary key autoincrement,
    user_id integer not null references users (id),
    torrent_id integer not null references torrents (id),
    created_at integer not null
) strict;
create unique index bookmarks_torrent_id_key on bookmarks (user_id, torrent_id);
create index bookmarks_user on bookmarks (user_id, id);

create table saved_searches (
    id integer not null primary key autoincrement,
    user_id integer not null references users (id),
    name text not null,
    -- The listing's query string, read anew each time: what it names may have been renamed or be gone.
    query text not null,
    -- The newest torrent it had found when its owner last looked; 0: none. Later ones are new.
    seen_torrent_id integer not null,
    created_at integer not null,
    looked_at integer
) strict;
create unique index saved_searches_name_key on saved_searches (user_id, name);
