//! What Torrust Tracker 3.0.0 answers, call by call: the same table for the real program and for its stand-in, so
//! that whatever is tested against the stand-in holds. And the stand-in's moods.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::torrust_real::{self, TorrustReal};
use crate::harness::torrust_stub::{self, Mode, Mood, TorrustStub, WriteCall};
use crate::harness::{Browser, Reply, run_bare};

const CLOSED: Mode = Mode {
    listed: true,
    private: true,
};
const HASH: &str = "00112233445566778899aabbccddeeff00112233";
const OTHER: &str = "ff112233445566778899aabbccddeeff00112233";
const KEY: &str = "abcdefghijklmnopqrstuvwxyz012345";
const STRANGER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
const WELL: &str = r#"{"status":"ok"}"#;

/// A tracker's two addresses, as a client of its API and a torrent client see them.
struct Companion {
    api: Browser,
    announce: Browser,
    token: &'static str,
}

impl Companion {
    fn at(api: String, announce: String, token: &'static str) -> Self {
        let mut one = Browser::new(0);
        let mut two = Browser::new(0);
        (one.base, two.base) = (api, announce);
        Self {
            api: one,
            announce: two,
            token,
        }
    }

    fn stand_in(stub: &TorrustStub) -> Self {
        Self::at(stub.api_url(), stub.announce_url(), torrust_stub::TOKEN)
    }

    fn real(tracker: &TorrustReal) -> Self {
        Self::at(
            tracker.api_url(),
            tracker.announce_url(),
            torrust_real::TOKEN,
        )
    }

    /// A call with the token; `path` is below `/api/v1`.
    async fn call(&mut self, method: &str, path: &str) -> Reply {
        let token = self.token;
        let mark = if path.contains('?') { '&' } else { '?' };
        self.bare(method, &format!("/api/v1{path}{mark}token={token}"))
            .await
    }

    async fn bare(&mut self, method: &str, path: &str) -> Reply {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.api.request(method, path);
        self.api.send(request).await
    }

    async fn add_key(&mut self, json: &str) -> Reply {
        let path = format!("/api/v1/keys?token={}", self.token);
        let request = self.api.request(Method::POST, &path);
        let request = request.header(CONTENT_TYPE, "application/json");
        self.api.send(request.body(json.to_owned())).await
    }

    async fn announced(&mut self, key: &str, hash: &str) -> Reply {
        self.announce.get(&announce(key, hash)).await
    }
}

/// What follows the announce URL.
fn announce(key: &str, hash: &str) -> String {
    let hash: String = (0..20)
        .map(|i| format!("%{}", &hash[i * 2..i * 2 + 2]))
        .collect();
    format!(
        "{key}?info_hash={hash}&peer_id=-XX0001-000000000001&port=5001&uploaded=0&downloaded=0&left=0&compact=1"
    )
}

#[track_caller]
fn is(reply: &Reply, status: u16, text: &str) {
    assert_eq!((reply.status, reply.text.as_str()), (status, text));
}

#[track_caller]
fn says(reply: &Reply, status: u16, part: &str) {
    assert_eq!(reply.status, status, "{}", reply.text);
    reply.shows(part);
}

/// Every row that the site's client relies on, from a tracker that has just started empty.
async fn contract(c: &mut Companion) {
    rejects_what_has_no_token(c).await;
    lists_torrents(c).await;
    keeps_keys(c).await;
    answers_announces(c).await;
}

async fn rejects_what_has_no_token(c: &mut Companion) {
    let unauthorized = r#"Unhandled rejection: Err { reason: "unauthorized" }"#;
    is(
        &c.bare("GET", "/api/health_check").await,
        200,
        r#"{"status":"Ok"}"#,
    );
    is(&c.bare("GET", "/api/v1/stats").await, 500, unauthorized);
    is(&c.bare("GET", "/api/v1/nothing").await, 500, unauthorized);
    let request = c.api.request(Method::GET, "/api/v1/stats");
    let bearer = request.header(AUTHORIZATION, format!("Bearer {}", c.token));
    is(&c.api.send(bearer).await, 500, unauthorized);
    let reply = c.bare("GET", "/api/v1/stats?token=wrong").await;
    is(
        &reply,
        500,
        r#"Unhandled rejection: Err { reason: "token not valid" }"#,
    );
    assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    is(
        &c.call("GET", "/stats?token=twice").await,
        400,
        "Failed to deserialize query string: duplicate field `token`",
    );
    is(&c.call("GET", "/nothing").await, 404, "");
    is(&c.call("PUT", "/stats").await, 405, "");
}

async fn lists_torrents(c: &mut Companion) {
    let listed = format!("/whitelist/{HASH}");
    is(&c.call("GET", &listed).await, 405, "");
    for path in [
        listed.clone(),
        listed.to_uppercase().to_lowercase(),
        format!("/whitelist/{}", HASH.to_uppercase()),
    ] {
        let reply = c.call("POST", &path).await;
        is(&reply, 200, WELL);
        assert_eq!(reply.header("content-type"), "application/json");
    }
    let malformed =
        r#"Invalid URL: invalid infohash param: string "xx", expected a 40 character long string"#;
    is(&c.call("POST", "/whitelist/xx").await, 400, malformed);
    is(&c.call("DELETE", "/whitelist/xx").await, 400, malformed);
    is(&c.call("GET", "/torrent/xx").await, 400, malformed);
    is(
        &c.call("GET", "/torrents?info_hash=xx").await,
        400,
        malformed,
    );
    is(
        &c.call("GET", "/torrents?limit=x").await,
        400,
        "Failed to deserialize query string: invalid digit found in string",
    );
    is(
        &c.call("DELETE", &format!("/whitelist/{OTHER}")).await,
        200,
        WELL,
    );
    is(
        &c.call("GET", &format!("/torrent/{HASH}")).await,
        200,
        r#""torrent not known""#,
    );
    is(&c.call("GET", "/torrents").await, 200, "[]");
    is(&c.call("GET", "/whitelist/reload").await, 200, WELL);
    let reply = c.call("GET", "/stats").await;
    says(
        &reply,
        200,
        r#"{"torrents":0,"seeders":0,"completed":0,"leechers":0,"tcp4_connections_handled":0,"#,
    );
    assert_eq!(too_long(&c.api.base).await, "HTTP/1.1 414 ");
}

/// How the answer to a URL begins that no ordinary client would send.
async fn too_long(base: &str) -> String {
    let address = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let long = "info_hash=0000000000000000000000000000000000000000&".repeat(1_400);
    let request = format!("GET /api/v1/torrents?{long} HTTP/1.1\r\nhost: t\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut begin = [0; 13];
    stream.read_exact(&mut begin).await.unwrap();
    String::from_utf8_lossy(&begin).into_owned()
}

async fn keeps_keys(c: &mut Companion) {
    let ours = format!(r#"{{"key":"{KEY}","seconds_valid":null}}"#);
    let reply = c.add_key(&ours).await;
    is(
        &reply,
        200,
        &format!(r#"{{"key":"{KEY}","valid_until":null,"expiry_time":null}}"#),
    );
    let taken = c.add_key(&ours).await;
    says(
        &taken,
        500,
        r#"Unhandled rejection: Err { reason: "failed to generate key: The Sqlite3 query was malformed: UNIQUE constraint failed: keys.key, "#,
    );
    says(
        &c.add_key(r#"{"key":"short","seconds_valid":null}"#).await,
        400,
        r#"Invalid URL: invalid auth key: string "short", Invalid key length. Key must be have 32 chars, "#,
    );
    says(
        &c.add_key(r#"{"key":"abcdefghijklmnopqrstuvwxyz0123!5","seconds_valid":null}"#)
            .await,
        400,
        "Invalid chars for key. Key can only alphanumeric chars (0-9, a-z, A-Z), ",
    );
    says(
        &c.add_key(r#"{"seconds_valid":1}"#).await,
        422,
        "Failed to deserialize the JSON body into the target type: missing field `key` at line 1",
    );
    says(
        &c.add_key(r#"{"key":null,"seconds_valid":-1}"#).await,
        422,
        "Failed to deserialize the JSON body into the target type: ",
    );
    says(
        &c.add_key(r#"{"key":null"#).await,
        400,
        "Failed to parse the request body as JSON: ",
    );
    is(
        &c.call("POST", "/keys").await,
        415,
        "Expected request with `Content-Type: application/json`",
    );
    for reply in [
        c.add_key(r#"{"key":null,"seconds_valid":100}"#).await,
        c.call("POST", "/key/100").await,
    ] {
        says(&reply, 200, " UTC\"}");
        let made: serde_json::Value = serde_json::from_str(&reply.text).unwrap();
        assert_eq!(made["key"].as_str().unwrap().len(), 32);
        assert!(made["valid_until"].as_i64().unwrap() > 1_700_000_000);
    }
    let gone = format!("/key/{STRANGER}");
    says(
        &c.call("DELETE", &gone).await,
        500,
        r#"Unhandled rejection: Err { reason: "failed to delete key: Failed to remove record from Sqlite3 database, error-code: 0, "#,
    );
    is(
        &c.call("DELETE", "/key/short").await,
        400,
        r#"Invalid auth key id param "short""#,
    );
    is(&c.call("GET", "/keys/reload").await, 200, WELL);
}

async fn answers_announces(c: &mut Companion) {
    let with_key = format!("/{KEY}");
    let fails = |reply: &Reply, why: &str| {
        says(reply, 200, why);
        assert!(reply.text.starts_with("d14:failure reason"));
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    };
    fails(
        &c.announce.get(&with_key).await,
        "Cannot parse query params for announce request: missing query params",
    );
    fails(
        &c.announced("", HASH).await,
        "Authentication error: Missing authentication key param for private tracker. Error in ",
    );
    fails(
        &c.announced("/short", HASH).await,
        "Authentication error: Invalid format for authentication key param. Error in ",
    );
    fails(
        &c.announced(&format!("/{STRANGER}"), OTHER).await,
        &format!("Authentication error: Failed to read key: {STRANGER}, "),
    );
    fails(
        &c.announced(&with_key, OTHER).await,
        &format!("Tracker error: The torrent: {OTHER}, is not whitelisted, "),
    );
    let reply = c.announced(&with_key, HASH).await;
    is(
        &reply,
        200,
        "d8:completei1e10:incompletei0e8:intervali5e12:min intervali2e5:peers0:6:peers60:e",
    );
    assert_eq!(reply.header("content-type"), "application/octet-stream");

    let line = format!(r#"{{"info_hash":"{HASH}","seeders":1,"completed":0,"leechers":0"#);
    is(
        &c.call("GET", "/torrents?limit=1000000").await,
        200,
        &format!("[{line}}}]"),
    );
    is(&c.call("GET", "/torrents?offset=1").await, 200, "[]");
    is(&c.call("GET", "/torrents?limit=0").await, 200, "[]");
    let asked = format!("/torrents?info_hash={HASH}&info_hash={OTHER}&info_hash={HASH}");
    is(
        &c.call("GET", &asked).await,
        200,
        &format!("[{line}}},{line}}}]"),
    );
    let alone = c.call("GET", &format!("/torrent/{HASH}")).await;
    says(&alone, 200, &format!(r#"{line},"peers":["#));
    says(
        &c.call("GET", "/stats").await,
        200,
        r#"{"torrents":1,"seeders":1,"completed":0,"leechers":0,"tcp4_connections_handled":1,"tcp4_announces_handled":1,"#,
    );

    // What is taken away is gone from the next announce on, the key before the hash.
    is(
        &c.call("DELETE", &format!("/whitelist/{HASH}")).await,
        200,
        WELL,
    );
    fails(&c.announced(&with_key, HASH).await, "is not whitelisted");
    is(&c.call("DELETE", &format!("/key/{KEY}")).await, 200, WELL);
    fails(&c.announced(&with_key, HASH).await, "Failed to read key");
}

#[test]
fn the_stand_in_answers_as_the_real_one() {
    run_bare(async {
        let stub = TorrustStub::start(CLOSED).await;
        contract(&mut Companion::stand_in(&stub)).await;
        assert_eq!(stub.whitelist(), BTreeSet::new());
        assert_eq!(stub.keys().len(), 2);
    });
}

#[test]
fn the_real_one_answers_as_told() {
    run_bare(async {
        let Some(tracker) = TorrustReal::start(CLOSED).await else {
            return;
        };
        contract(&mut Companion::real(&tracker)).await;
        assert_eq!(tracker.whitelist().await, BTreeSet::new());
        assert_eq!(tracker.keys().await.len(), 2);
        assert!(tracker.stop().await.success());
    });
}

#[test]
fn an_open_tracker_takes_any_key_of_the_right_form() {
    let open = Mode {
        listed: false,
        private: false,
    };
    async fn story(mut c: Companion) {
        let reply = c.announced("", HASH).await;
        says(&reply, 200, "d8:completei1e");
        let reply = c.announced(&format!("/{STRANGER}"), HASH).await;
        says(&reply, 200, "d8:completei1e");
        let reply = c.announced("/short", HASH).await;
        says(&reply, 200, "Invalid format for authentication key param");
        // Lists and keys are kept all the same.
        let reply = c.call("POST", &format!("/whitelist/{HASH}")).await;
        is(&reply, 200, WELL);
    }
    run_bare(async {
        let stub = TorrustStub::start(open).await;
        story(Companion::stand_in(&stub)).await;
        if let Some(tracker) = TorrustReal::start(open).await {
            story(Companion::real(&tracker)).await;
        }
    });
}

#[test]
fn the_real_one_survives_a_kill_and_forgets_with_its_database() {
    run_bare(async {
        let Some(mut tracker) = TorrustReal::start(CLOSED).await else {
            return;
        };
        let mut c = Companion::real(&tracker);
        let path = format!("/whitelist/{HASH}");
        c.call("POST", &path).await.expect(200);
        let key = format!(r#"{{"key":"{KEY}","seconds_valid":null}}"#);
        c.add_key(&key).await.expect(200);

        tracker.kill();
        tracker.start_again().await;
        assert_eq!(tracker.whitelist().await, BTreeSet::from([HASH.to_owned()]));
        assert_eq!(tracker.keys().await, BTreeSet::from([KEY.to_owned()]));
        let reply = c.announced(&format!("/{KEY}"), HASH).await;
        says(&reply, 200, "d8:completei1e");

        tracker.start_again_empty().await;
        assert_eq!(tracker.whitelist().await, BTreeSet::new());
        assert_eq!(tracker.keys().await, BTreeSet::new());
        let reply = c.announced(&format!("/{KEY}"), HASH).await;
        says(&reply, 200, "Failed to read key");
    });
}

// ---- The stand-in's moods

/// Long enough for an answer that comes, on a busy machine too; and short, where none will.
const ANSWERED: Duration = Duration::from_secs(60);
const NOT_ANSWERED: Duration = Duration::from_millis(300);

/// A call as a client makes it that does not wait for ever.
async fn tried(stub: &TorrustStub, hash: &str) -> Result<(u16, String), String> {
    tried_for(ANSWERED, stub, hash).await
}

async fn tried_for(
    patience: Duration,
    stub: &TorrustStub,
    hash: &str,
) -> Result<(u16, String), String> {
    let c = Companion::stand_in(stub);
    let path = format!("/api/v1/whitelist/{hash}?token={}", c.token);
    let request = c.api.request(Method::POST, &path);
    let sent = async {
        let response = request.timeout(patience).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    };
    sent.await
        .map_err(|error: reqwest::Error| format!("{:?}", error.without_url()))
}

fn listed(stub: &TorrustStub) -> bool {
    stub.whitelist().contains(HASH)
}

/// Everything that can go wrong: what the client sees, and whether the work was done.
#[test]
fn each_mood_is_what_it_says() {
    run_bare(async {
        let fails = [
            (Mood::Refused, "ConnectionRefused", false),
            (Mood::BlackHole, "TimedOut", false),
            (Mood::HalfBody, "IncompleteBody", true),
            (Mood::DiesAfter, "IncompleteMessage", true),
        ];
        for (mood, how, done) in fails {
            let stub = TorrustStub::start(CLOSED).await;
            stub.set(mood).await;
            let patience = match mood {
                Mood::BlackHole => NOT_ANSWERED,
                _ => ANSWERED,
            };
            let error = tried_for(patience, &stub, HASH).await.unwrap_err();
            assert!(
                error.contains(how) || error.contains("UnexpectedEof"),
                "{mood:?}: {error}"
            );
            assert_eq!(listed(&stub), done, "{mood:?}");
            stub.set(Mood::Well).await;
            let (status, _) = tried(&stub, HASH).await.unwrap();
            assert_eq!((status, listed(&stub)), (200, true), "{mood:?}");
        }
        let answers = [
            (Mood::Error500, 500, "database is locked"),
            (Mood::WrongToken, 500, "token not valid"),
            (Mood::Garbage, 200, "weather"),
            (Mood::Garbage, 200, r#"{"status":"o"#),
        ];
        let stub = TorrustStub::start(CLOSED).await;
        for (mood, status, text) in answers {
            stub.set(mood).await;
            let answer = tried(&stub, HASH).await.unwrap();
            assert_eq!(answer.0, status, "{mood:?}");
            assert!(answer.1.contains(text), "{mood:?}: {}", answer.1);
            assert!(!listed(&stub), "{mood:?}");
        }
    });
}

#[test]
fn a_slow_one_does_the_work_though_the_client_has_gone() {
    run_bare(async {
        let stub = TorrustStub::start(CLOSED).await;
        stub.set(Mood::Slow(Duration::from_millis(1_500))).await;
        let given_up = tried_for(NOT_ANSWERED, &stub, HASH).await;
        assert!(given_up.unwrap_err().contains("TimedOut"));
        assert!(!listed(&stub));
        stub.set(Mood::Well).await;
        while !listed(&stub) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let [write] = stub.writes().try_into().unwrap();
        assert_eq!(write.call, WriteCall::Allow(HASH.to_owned()));
        assert!(write.done.unwrap() - write.arrived >= Duration::from_millis(1_500));
    });
}

#[test]
fn it_comes_back_empty_and_remembers_who_called() {
    run_bare(async {
        let stub = TorrustStub::start(CLOSED).await;
        stub.set_numbers(HASH, 5, 3, 7);
        let mut c = Companion::stand_in(&stub);
        c.call("POST", &format!("/whitelist/{HASH}")).await;
        let reply = c.call("GET", "/torrents").await;
        is(
            &reply,
            200,
            &format!(r#"[{{"info_hash":"{HASH}","seeders":5,"completed":7,"leechers":3}}]"#),
        );
        let key = format!(r#"{{"key":"{KEY}","seconds_valid":null}}"#);
        c.add_key(&key).await.expect(200);
        c.call("DELETE", &format!("/key/{KEY}")).await.expect(200);
        c.call("DELETE", &format!("/whitelist/{HASH}"))
            .await
            .expect(200);
        let (_, _) = tokio::join!(tried(&stub, HASH), tried(&stub, OTHER));
        let calls: Vec<WriteCall> = stub.writes().into_iter().map(|w| w.call).take(4).collect();
        assert_eq!(
            calls,
            [
                WriteCall::Allow(HASH.to_owned()),
                WriteCall::Admit(KEY.to_owned()),
                WriteCall::Revoke(KEY.to_owned()),
                WriteCall::Forbid(HASH.to_owned()),
            ]
        );
        assert!((1..=2).contains(&stub.most_writes_at_once()));
        assert_eq!(stub.whitelist().len(), 2);
        stub.set(Mood::RestartsEmpty).await;
        assert_eq!((stub.whitelist().len(), stub.keys().len()), (0, 0));
        // The connections of before are being closed, and must not be used again.
        let mut c = Companion::stand_in(&stub);
        is(&c.call("GET", "/torrents").await, 200, "[]");
        assert_eq!(stub.calls("POST /whitelist"), 3);
        assert_eq!(stub.calls("GET /torrents"), 2);
        assert_eq!(stub.calls("GET /announce"), 0);
    });
}
