-- The last numbers of a torrent's swarm. No row: nobody has announced yet, and nothing is known.
create table swarms (
    torrent_id bigint not null primary key references torrents (id),
    seeders bigint not null,
    leechers bigint not null,
    -- Ours and monotonic: once per member and torrent.
    completed bigint not null,
    updated_at bigint not null
);
create index swarms_updated on swarms (updated_at, torrent_id);

-- One packed row per torrent and day of samples (src/tracker/history.rs).
create table swarm_history (
    torrent_id bigint not null references torrents (id),
    -- Days since 1970-01-01 UTC.
    day bigint not null,
    samples bytea not null,
    primary key (torrent_id, day)
);
create index swarm_history_day on swarm_history (day);

-- What a member moved on a torrent, over all announce sessions.
create table transfers (
    torrent_id bigint not null references torrents (id),
    user_id bigint not null references users (id),
    uploaded bigint not null,
    downloaded bigint not null,
    completed_at bigint,
    first_at bigint not null,
    last_at bigint not null,
    -- When old sessions of this pair were forgotten: one that starts with totals may be among them.
    sessions_purged_at bigint,
    primary key (torrent_id, user_id)
);
create index transfers_user on transfers (user_id, last_at);

-- The last totals a client reported, so that the next announce counts only the difference,
-- also after a restart. Written in the same transaction as the sums they went into.
create table announce_sessions (
    torrent_id bigint not null references torrents (id),
    user_id bigint not null references users (id),
    peer_id bytea not null,
    client_key text collate "C" not null,
    uploaded bigint not null,
    downloaded bigint not null,
    last_at bigint not null,
    primary key (torrent_id, user_id, peer_id, client_key)
);
create index announce_sessions_last on announce_sessions (last_at);
