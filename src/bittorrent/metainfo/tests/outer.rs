use super::*;

fn outer(around: impl IntoIterator<Item = (&'static str, Encoded)>) -> Outer {
    outer_of(v1([]), around)
}

fn outer_of(torrent: Vec<u8>, around: impl IntoIterator<Item = (&'static str, Encoded)>) -> Outer {
    let info = parse(&torrent).unwrap().info;
    let whole = dict([("info", Some(info))].into_iter().chain(around));
    parse(&whole.unwrap()).unwrap().outer
}

fn keys(outer: &Outer) -> Vec<String> {
    let document = bencode::scan(&outer.kept).unwrap();
    assert!(document.root().is_sorted());
    let keys = document.root().as_dict().unwrap().iter();
    keys.map(|(key, _)| String::from_utf8(key.to_vec()).unwrap())
        .collect()
}

#[test]
fn only_what_is_of_use_is_kept() {
    let all = outer([
        ("announce", text("http://a/")),
        (
            "announce-list",
            list([
                list([text("http://a/"), text("udp://b")]),
                list([text(" udp://b "), text("")]),
            ]),
        ),
        ("comment", text("hello\0 there\n")),
        ("created by", text("prog")),
        ("creation date", int(1_700_000_000)),
        ("encoding", text("UTF-8")),
        ("nodes", list([list([text("router"), int(6881)])])),
        ("url-list", list([text("http://m/1"), text("ftp://m/2")])),
        ("httpseeds", list([text("https://m/3")])),
        ("publisher-url", text("http://x/?passkey=1")),
        ("azureus_properties", dict([("a", int(1))])),
    ]);
    assert_eq!(
        keys(&all),
        [
            "created by",
            "creation date",
            "encoding",
            "httpseeds",
            "nodes",
            "url-list"
        ]
    );
    assert_eq!(all.foreign_trackers, 2);
    assert_eq!(all.comment.as_deref(), Some("hello there"));
    assert_eq!(all.created_by.as_deref(), Some("prog"));
    assert_eq!(all.created_at, Some(1_700_000_000));
    assert_eq!(all.web_seeds, ["http://m/1", "ftp://m/2"]);
    assert_eq!(all.http_seeds, ["https://m/3"]);
    assert_eq!(all.nodes_dropped, 0);
}

#[test]
fn wrong_types_are_dropped_and_never_refused() {
    let wrong = outer([
        ("announce", int(1)),
        ("announce-list", text("x")),
        ("comment", list([])),
        ("created by", text(b"\xff\xff")),
        ("creation date", int(-1)),
        ("encoding", int(1)),
        ("nodes", text("x")),
        ("url-list", dict([("a", int(1))])),
        ("httpseeds", list([text("http://ok/"), int(1)])),
        ("piece layers", int(7)),
    ]);
    assert_eq!(keys(&wrong), Vec::<String>::new());
    assert_eq!(wrong.foreign_trackers, 0);
    assert!(wrong.web_seeds.is_empty() && wrong.http_seeds.is_empty());
    assert_eq!((wrong.created_at, wrong.comment), (None, None));
}

#[test]
fn web_seeds_are_sieved() {
    let one = outer([("url-list", text("HTTP://m/"))]);
    assert_eq!(one.web_seeds, ["HTTP://m/"]);
    assert_eq!(one.kept, b"d8:url-list9:HTTP://m/e");
    let long = format!("http://m/{}", "x".repeat(2000));
    let bad = [
        "",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "http://a b/",
        "http://a\n/",
        "//m/",
        &long,
    ];
    for url in bad {
        assert!(keys(&outer([("url-list", text(url))])).is_empty(), "{url}");
    }
    let mixed = outer([(
        "url-list",
        list(bad.iter().map(text).chain([text("http://ok/")])),
    )]);
    assert_eq!(mixed.kept, b"d8:url-listl10:http://ok/ee");
    let many = outer([(
        "url-list",
        list((0..200).map(|i| text(format!("http://m/{i}")))),
    )]);
    assert_eq!(many.web_seeds.len(), MAX_WEB_SEEDS);
}

#[test]
fn private_torrents_lose_their_nodes() {
    let nodes = || {
        (
            "nodes",
            list([list([text("router"), int(6881)]), list([text("x"), int(1)])]),
        )
    };
    let private = outer_of(v1([("private", int(1))]), [nodes()]);
    assert_eq!((private.nodes_dropped, keys(&private).len()), (2, 0));
    let odd = list([
        list([text("router"), int(6881)]),
        list([text("x"), int(0)]),
        list([text("a b"), int(1)]),
        int(1),
    ]);
    let public = outer([("nodes", odd)]);
    assert_eq!(public.nodes_dropped, 3);
    assert_eq!(public.kept, b"d5:nodesll6:routeri6881eeee");
}

#[test]
fn layers_are_kept_exactly_as_needed() {
    let (sound, root) = layer(3);
    let padded = dict([
        (root, text(&sound)),
        ([255; 32], text("junk")),
        ([1; 32], int(1)),
    ]);
    let kept = parse(&v2_with([], [("piece layers", padded)]))
        .unwrap()
        .outer
        .kept;
    assert_eq!(kept, parse(&v2([])).unwrap().outer.kept);
    let document = bencode::scan(&kept).unwrap();
    let layers = document
        .root()
        .as_dict()
        .unwrap()
        .get(b"piece layers")
        .unwrap();
    assert_eq!(Some(layers.raw().to_vec()), dict([(root, text(sound))]));
}
