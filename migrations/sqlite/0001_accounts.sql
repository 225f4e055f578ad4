-- Counters that give every change its place in the order of commits: followers (search index, tracker)
-- read what is newer than the last revision they have seen.
create table revisions (
    name text not null primary key,
    value integer not null
) strict;
insert into revisions (name, value) values ('catalogue', 0), ('members', 0);

-- A name for this database: derived state (the search index) carries it, so that it notices a restored backup.
create table identity (
    one integer not null primary key check (one = 1),
    database_id blob not null
) strict;

-- One row once the site is set up; no row before.
create table settings (
    one integer not null primary key check (one = 1),
    site_name text not null,
    base_url text not null,
    registration text not null,
    who_may_look text not null,
    who_may_download text not null,
    who_may_upload text not null,
    private_flag text not null,
    updated_at integer not null
) strict;

-- SHA-256 of the set-up link's token; gone once used.
create table setup_links (
    token_hash blob not null primary key,
    created_at integer not null
) strict;

create table users (
    id integer not null primary key autoincrement,
    name text not null,
    -- The name folded for comparison: `Ann` and `ann` are one member.
    name_folded text not null,
    password_hash text not null,
    role text not null,
    -- Raised by everything that must end the other sessions.
    epoch integer not null default 0,
    -- Stored as it is, because the member sees it and the tracker compares it.
    passkey text not null,
    -- Bytes as the tracker counted them, over all torrents.
    uploaded integer not null default 0,
    downloaded integer not null default 0,
    theme text not null default 'auto',
    invited_by integer references users (id),
    created_at integer not null,
    banned_at integer,
    banned_by integer references users (id),
    ban_reason text,
    revision integer not null default 0
) strict;
create unique index users_name_folded_key on users (name_folded);
create unique index users_passkey_key on users (passkey);
create index users_revision on users (revision, id);

-- Passkeys that no longer count, kept by hash so that one is never given out twice and a refusal can say why.
create table retired_passkeys (
    passkey_hash blob not null primary key,
    user_id integer not null references users (id),
    retired_at integer not null
) strict;

create table sessions (
    -- SHA-256 of the cookie's sid.
    sid_hash blob not null primary key,
    user_id integer not null references users (id),
    epoch integer not null,
    user_agent text not null,
    created_at integer not null,
    last_seen_at integer not null,
    expires_at integer not null
) strict;
create index sessions_user on sessions (user_id, last_seen_at);
create index sessions_expires on sessions (expires_at);

create table invites (
    id integer not null primary key autoincrement,
    token_hash blob not null,
    note text not null,
    created_by integer not null references users (id),
    created_at integer not null,
    expires_at integer not null,
    used_by integer references users (id),
    used_at integer,
    revoked_at integer
) strict;
create unique index invites_token_hash_key on invites (token_hash);

-- Failed log-ins by account and by address: limits hold for all nodes.
create table throttles (
    bucket text not null primary key,
    failures integer not null,
    window_started_at integer not null,
    blocked_until integer not null
) strict;
create index throttles_window on throttles (window_started_at);

-- What moderators and admins did, with the reason they gave. Never changed, never deleted.
create table log_entries (
    id integer not null primary key autoincrement,
    at integer not null,
    -- Empty where the command line acted.
    actor_id integer references users (id),
    action text not null,
    -- What it was done to, as a kind and an id ('user', 12), and the name it had then.
    subject_kind text not null,
    subject_id integer,
    subject_name text not null,
    reason text not null
) strict;
create index log_entries_subject on log_entries (subject_kind, subject_id);
