//! The books behind the embedded tracker: what is written, what is left alone, and what is not trusted to memory.

use seedbank::clock::Timestamp;
use seedbank::ids::UserId;
use seedbank::{exec, on};

use crate::harness::Site;
use crate::tracker::{Client, embedded, torrent};

/// When a member's only session was stored last, and the transfer.
async fn stored_at(site: &Site, member: UserId) -> (Timestamp, Timestamp) {
    const SQL: &str = "select s.last_at, x.last_at from announce_sessions s \
        join transfers x on x.torrent_id = s.torrent_id and x.user_id = s.user_id where s.user_id = $1";
    let mut conn = site.app.db.read().await.unwrap();
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(member)
        .fetch_one(c)
        .await)
    .unwrap()
}

async fn flush(site: &Site) {
    embedded(site).flush().await.unwrap();
}

both! {
    async fn what_changes_nothing_is_left_alone_for_a_day(site: Site) {
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        torrent(&site, ann.id, Some(1), None).await;
        let begun = site.clock.now();
        ann.report(1, (100, 0), "&event=started").await;
        flush(&site).await;
        assert_eq!(stored_at(&site, ann.id).await, (begun, begun));
        for _ in 0..4 {
            site.clock.advance(1_800);
            ann.report(1, (100, 0), "").await;
            flush(&site).await;
        }
        assert_eq!(stored_at(&site, ann.id).await, (begun, begun));
        site.clock.advance(1_800);
        ann.report(1, (130, 0), "").await;
        flush(&site).await;
        let moved = site.clock.now();
        // When a transfer was last used is known to the day.
        assert_eq!(stored_at(&site, ann.id).await, (moved, begun));
        // Long silent, so forgotten, then known again: the same bytes add nothing, and more bytes what they are more.
        site.clock.advance(20_000);
        flush(&site).await;
        site.clock.advance(20_000);
        flush(&site).await;
        ann.report(1, (130, 0), "").await;
        flush(&site).await;
        assert_eq!(stored_at(&site, ann.id).await, (moved, begun));
        assert_eq!(ann.sums(&site).await, (130, 0));
        // Within a day and a half it is shown to be alive.
        for _ in 0..40 {
            site.clock.advance(1_800);
            ann.report(1, (130, 0), "").await;
            flush(&site).await;
        }
        let (session, transfer) = stored_at(&site, ann.id).await;
        assert!(session > moved && transfer > moved);
        ann.report(1, (150, 0), "&event=stopped").await;
        assert_eq!(ann.sums(&site).await, (150, 0));
    }

    /// A transaction whose answer is lost may have been stored or not.
    async fn what_may_have_been_stored_is_read_again(site: Site) {
        const HIDE: &str = "alter table announce_sessions rename to hidden";
        const SHOW: &str = "alter table hidden rename to announce_sessions";
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let mut bob = Client::of(&site, "bob").await;
        torrent(&site, ann.id, Some(1), None).await;
        for client in [&mut ann, &mut bob] {
            client.report(1, (100, 0), "&event=started").await;
        }
        flush(&site).await;
        let mut tx = site.app.db.write().await.unwrap();
        exec!(tx, HIDE).unwrap();
        tx.commit().await.unwrap();
        for client in [&mut ann, &mut bob] {
            client.report(1, (300, 0), "").await;
        }
        embedded(&site).flush().await.unwrap_err();
        // As if what was ann's had been stored and what was bob's had not.
        let mut tx = site.app.db.write().await.unwrap();
        exec!(tx, SHOW).unwrap();
        exec!(tx, "update announce_sessions set uploaded = 300 where user_id = $1", ann.id).unwrap();
        exec!(tx, "update users set uploaded = 300 where id = $1", ann.id).unwrap();
        tx.commit().await.unwrap();
        flush(&site).await;
        assert_eq!(ann.sums(&site).await, (300, 0));
        assert_eq!(bob.sums(&site).await, (300, 0));
        for client in [&mut ann, &mut bob] {
            client.report(1, (350, 0), "&event=stopped").await;
        }
        assert_eq!(ann.sums(&site).await, (350, 0));
        assert_eq!(bob.sums(&site).await, (350, 0));
    }
}
