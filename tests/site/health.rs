//! Health, and HEAD: what balancers and link checkers ask.

use reqwest::Method;
use seedbank::accounts::Role;
use seedbank::bittorrent::metainfo::Kind;
use seedbank::config::Listen;
use seedbank::exec;
use seedbank::routes::ROUTES;

use crate::harness;
use crate::harness::database::Backend;
use crate::harness::torrents::{publish, small};

both! {
    /// Ready is 200 before the site is set up, and 503 with one line that says why when it cannot serve.
    async fn readiness_says_what_is_wrong_and_no_more(site: Site) {
        site.reconfigure(|config| config.server.metrics_listen = Listen(Some("127.0.0.1:0".parse().unwrap()))).await;
        let mut guest = site.browser();
        let mut watcher = site.watcher();
        assert_eq!(guest.get("/health/live").await.expect(200).text, "ok\n");
        let ready = guest.get("/health/ready").await.expect(200);
        assert_eq!((ready.text.as_str(), ready.header("cache-control")), ("{\"ready\":true}\n", "no-store"));
        assert_eq!(watcher.get("/health/live").await.expect(200).text, "ok\n");
        watcher.get("/health/ready").await.expect(200);

        let mut tx = site.app.db.write().await.unwrap();
        exec!(tx, "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)").unwrap();
        tx.commit().await.unwrap();
        let old = "{\"ready\":false,\"why\":\"the database is not up to date\"}\n";
        assert_eq!(guest.get("/health/ready").await.expect(503).text, old);
        site.app.db.close().await;
        let away = "{\"ready\":false,\"why\":\"the database does not answer\"}\n";
        assert_eq!(guest.get("/health/ready").await.expect(503).text, away);
        assert_eq!(watcher.get("/health/ready").await.expect(503).text, away);
        guest.get("/health/live").await.expect(200);
        site.app.begin_stopping();
        assert_eq!(guest.get("/health/ready").await.expect(503).text, "{\"ready\":false,\"why\":\"stopping\"}\n");
    }

    /// HEAD answered 404 on every page.
    async fn head_is_get_without_the_body(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Admin).await;
        let id = publish(&mut ann, &small("kept", Kind::V1), "Kept").await;
        let mut differing = Vec::new();
        for route in ROUTES.iter().filter(|route| route.method == "get") {
            let path = route
                .pattern
                .replace("{hash}/{name:.*}", "0/seedbank.css")
                .replace("{infohash}", &"0".repeat(40))
                .replace("{name}", "ann")
                .replace("{passkey}", "none")
                .replace("{token}", "none");
            let path = match path.as_str() {
                "/moderation/categories/{id}" => "/moderation/categories/1".to_owned(),
                _ => path.replace("{id}", &id.to_string()),
            };
            assert!(!path.contains('{'), "nobody told this test how to call {path}");
            let get = ann.get(&path).await;
            let request = ann.request(Method::HEAD, &path);
            let head = ann.send(request).await;
            let seen = |reply: &crate::harness::Reply| {
                (reply.status, reply.header("content-type").to_owned(), reply.location().to_owned())
            };
            if seen(&get) != seen(&head) || !head.bytes.is_empty() {
                differing.push(format!("{path}: {:?}, HEAD {:?}", seen(&get), seen(&head)));
            }
        }
        assert!(differing.is_empty(), "{}", differing.join("\n"));
        let head = site.browser();
        let request = head.request(Method::HEAD, "/profile");
        let mut guest = head;
        assert_eq!(guest.send(request).await.expect(303).location(), "/login?next=%2Fprofile");
        // Once by GET above; whoever asks for the head has fetched nothing.
        assert_eq!(site.app.metrics.downloads.get(), 1);
        let request = guest.request(Method::HEAD, "/logout");
        guest.send(request).await.expect(404);
    }
}

/// A connection that has just answered is not asked whether it is still there before it is used again.
#[test]
fn a_postgres_that_hangs_up_makes_no_error_of_ours() {
    const HANG_UP: &str = "select pg_terminate_backend(pid) from pg_stat_activity \
        where datname = current_database() and pid <> pg_backend_pid()";
    harness::run(Backend::Postgres, |site| async move {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        for _ in 0..5 {
            ann.get("/torrents").await.expect(200);
            let mut tx = site.app.db.write().await.unwrap();
            assert!(exec!(tx, HANG_UP).unwrap() > 0, "nobody was hung up on");
            tx.commit().await.unwrap();
            let mut tries = 0;
            loop {
                match ann.get("/torrents").await.status {
                    200 => break,
                    503 => tries += 1,
                    other => panic!("{other}"),
                }
                assert!(tries < 50, "no connection is taken anew");
            }
        }
    });
}
