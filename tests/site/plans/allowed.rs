//! What may be read from end to end or sorted all the same, each with its reason. An entry that no plan needs any
//! more fails the test.

/// Tables that do not grow with the catalogue or the members.
pub const SMALL: &[&str] = &[
    // One row each, or one a feature.
    "settings",
    "identity",
    "revisions",
    "companion",
    "leases",
    "setup_links",
    // Made by hand, some dozens; all of them are read for each listing.
    "categories",
];

/// Partial indexes that hold a handful of rows: reading one from end to end is no scan.
pub const FEW_IN_INDEX: &[&str] = &[
    // Who has more than a member's rights.
    "users_trusted",
    // Who may not come in.
    "users_banned",
];

/// Types of parameters that Postgres cannot tell from the statement alone, over and over; the driver says them.
pub const TYPES: &[(&str, &[&str])] = &[
    (
        "with k (place, torrent, member, peer, client) as (",
        &["bigint", "bigint", "bigint", "bytea", "text"],
    ),
    ("with d (id, up, down) as (", &["bigint"]),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Both,
    Sqlite,
    Postgres,
}

pub struct Allowed {
    pub on: On,
    /// In the statement's text.
    pub within: &'static str,
    /// What its plan does: `scan torrents`, `sort`.
    pub findings: &'static [&'static str],
    pub why: &'static str,
}

pub const ALLOWED: &[Allowed] = &[
    // A page at a time, in the order of an index.
    Allowed {
        on: On::Both,
        within: "as count from tags t where true order by t.name limit",
        findings: &["scan tags"],
        why: "the first page in the order of tags_name_key",
    },
    Allowed {
        on: On::Both,
        within: "as uploads from users u where true order by u.name_folded limit",
        findings: &["scan users"],
        why: "the first page in the order of users_name_folded_key",
    },
    // A sort of a page.
    Allowed {
        on: On::Both,
        within: "from torrent_tags l join tags t on t.id = l.tag_id where l.torrent_id in (",
        findings: &["sort"],
        why: "the tags of the torrents on one page",
    },
    Allowed {
        on: On::Both,
        within: "select tag_id, alias from tag_aliases where tag_id in (",
        findings: &["sort"],
        why: "the aliases of the tags on one page",
    },
    // Pages of moderators and admins.
    Allowed {
        on: On::Both,
        within: "as count from tags t where t.id in (select id from tags where name >= ",
        findings: &["sort"],
        why: "moderators look for tags by how they begin; tags, not torrents",
    },
    Allowed {
        on: On::Postgres,
        within: "select count(*) from tags t where t.id in (select id from tags where name >= ",
        findings: &["sort"],
        why: "as above: each tag is to count once",
    },
    Allowed {
        on: On::Both,
        within: "select count(*) from tags t where true",
        findings: &["scan tags"],
        why: "the total on the moderators' page of tags",
    },
    Allowed {
        on: On::Both,
        within: "select category_id, count(*) from torrents group by category_id",
        findings: &["scan torrents"],
        why: "exact totals on the moderators' page of categories, from an index alone",
    },
    Allowed {
        on: On::Both,
        within: "select count(*) from users u where true",
        findings: &["scan users"],
        why: "the total on the admins' page of members",
    },
    Allowed {
        on: On::Both,
        within: "select count(*) from invites",
        findings: &["scan invites"],
        why: "the total on the admins' page; each was made by hand",
    },
    Allowed {
        on: On::Both,
        within: "select count(*) from log_entries",
        findings: &["scan log_entries"],
        why: "the total on the admins' page; each is something that somebody did",
    },
    // The companion's outbox: empty but while it catches up, and read for the companion alone.
    Allowed {
        on: On::Both,
        within: "where parked_at is null and due_at <= $1 order by lane, rank, id limit",
        findings: &["scan outbox"],
        why: "from the front of the queue, in the order of outbox_order",
    },
    Allowed {
        on: On::Both,
        within: "count(parked_at) as parked from outbox where delivered_at is null",
        findings: &["scan outbox"],
        why: "how much waits",
    },
    Allowed {
        on: On::Both,
        within: "left join users u on u.id = o.user_id where o.delivered_at is null order by case",
        findings: &["scan outbox", "sort"],
        why: "the admins' page: what is in trouble first",
    },
    Allowed {
        on: On::Both,
        within: "update outbox set due_at = $1 where due_at > $1 and tries > 0 and parked_at is null",
        findings: &["scan outbox"],
        why: "the companion is back after a failure",
    },
    Allowed {
        on: On::Both,
        within: "update outbox set parked_at = null, tries = 0, due_at = $1 where parked_at is not null",
        findings: &["scan outbox"],
        why: "an admin asks for everything once more",
    },
    Allowed {
        on: On::Both,
        within: "delete from outbox",
        findings: &["scan outbox"],
        why: "the companion was dismissed",
    },
    Allowed {
        on: On::Both,
        within: "delete from companion_swarms",
        findings: &["scan companion_swarms"],
        why: "the companion was dismissed",
    },
    Allowed {
        on: On::Both,
        within: "select count(*) from torrents where state <> 'deleted'",
        findings: &["scan torrents"],
        why: "once a round through the numbers of the whole catalogue",
    },
    // Jobs.
    Allowed {
        on: On::Postgres,
        within: "update transfers set sessions_purged_at = ",
        findings: &["sort"],
        why: "the sessions of one step of the purge",
    },
    // No work at all.
    Allowed {
        on: On::Sqlite,
        within: "insert into users (name, ",
        findings: &["scan users"],
        why: "a look for members who have waited for this one to have invited them, left out while none waits: none \
            ever does, for no key is deferred",
    },
];
