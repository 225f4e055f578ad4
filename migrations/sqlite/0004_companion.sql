-- What only one node does at a time. The holder's beat moves each second; others take over when it stands still
-- for some seconds of their own clock, so that no two clocks are ever compared.
create table leases (
    name text not null primary key,
    -- Empty: nobody.
    holder text not null,
    beat integer not null
) strict;

-- One row since a companion tracker was first used; without one nothing is listed or private, and no messages to it
-- are written.
create table companion (
    one integer not null primary key check (one = 1),
    -- Whether it wants to be told of torrents, and of passkeys.
    listed integer not null check (listed in (0, 1)),
    private integer not null check (private in (0, 1)),
    -- A key of nobody's: that the tracker knows it tells that it has the database we filled. Empty: none yet.
    sentinel text not null,
    sentinel_at integer not null,
    -- When everything was last put into the outbox; null: that is to be done.
    queued_at integer,
    -- When the numbers of all swarms were last fetched.
    counted_at integer,
    -- Since when the tracker fails, and how.
    ailing_since integer,
    ailing_why text not null
) strict;

-- Messages to the companion, written in the transaction of the change that causes them: what shall be true of an
-- infohash or a passkey. A newer message takes the place of an older one of the same subject, so that their order
-- cannot be confused.
create table outbox (
    id integer not null primary key autoincrement,
    -- 40 hex digits of an infohash, or a passkey.
    subject text not null,
    -- 'allow' or 'forbid' an infohash, 'admit' or 'revoke' a passkey.
    kind text not null,
    -- 0: revocations, 1: additions, before them what is sent once more, 2: repeating everything.
    lane integer not null,
    -- Within the lane; lower goes first.
    rank integer not null,
    -- Raised by every newer message, so that a delivery knows whether it delivered the last one.
    version integer not null,
    torrent_id integer references torrents (id),
    user_id integer references users (id),
    created_at integer not null,
    due_at integer not null,
    tries integer not null,
    -- Sent once more, some time after this.
    delivered_at integer,
    -- Given up until an admin says otherwise.
    parked_at integer,
    last_error text not null
) strict;
create unique index outbox_subject_key on outbox (subject);
create index outbox_order on outbox (lane, rank, id);
create index outbox_torrent on outbox (torrent_id);
create index outbox_user on outbox (user_id);

-- The companion's numbers by infohash (of v2 the first 20 bytes), as it last gave them. Torrent by
-- torrent, so that what is written together lies together.
create table companion_swarms (
    infohash blob not null,
    torrent_id integer not null references torrents (id),
    seeders integer not null,
    leechers integer not null,
    -- Completed as the tracker says, which forgets it in a restart; and ours, which only grows.
    reported integer not null,
    completed integer not null,
    primary key (torrent_id, infohash)
) strict, without rowid;

-- Kept so that a tracker put back from a backup can be told again.
alter table retired_passkeys add column passkey text;

-- Trackers know v2 torrents by the first 20 bytes.
create index torrents_infohash_v2_short on torrents (substr(infohash_v2, 1, 20)) where state <> 'deleted';

-- The books lie in the order in which a batch is written, and have no index that every announce would change.
create table transfers_ordered (
    torrent_id integer not null references torrents (id),
    user_id integer not null references users (id),
    uploaded integer not null,
    downloaded integer not null,
    completed_at integer,
    first_at integer not null,
    -- To the day.
    last_at integer not null,
    -- When old sessions of this pair were forgotten: one that starts with totals may be among them.
    sessions_purged_at integer,
    primary key (torrent_id, user_id)
) strict, without rowid;
insert into transfers_ordered select torrent_id, user_id, uploaded, downloaded, completed_at, first_at, last_at,
    sessions_purged_at from transfers;
drop table transfers;
alter table transfers_ordered rename to transfers;
create index transfers_user on transfers (user_id, last_at);

create table announce_sessions_ordered (
    torrent_id integer not null references torrents (id),
    user_id integer not null references users (id),
    peer_id blob not null,
    client_key text not null,
    uploaded integer not null,
    downloaded integer not null,
    last_at integer not null,
    primary key (torrent_id, user_id, peer_id, client_key)
) strict, without rowid;
insert into announce_sessions_ordered select torrent_id, user_id, peer_id, client_key, uploaded, downloaded, last_at
    from announce_sessions;
drop table announce_sessions;
alter table announce_sessions_ordered rename to announce_sessions;
