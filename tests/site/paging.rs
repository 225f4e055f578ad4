//! The foot of the listing: numbered pages, and the ways back and on between them.

use seedbank::accounts::Role;
use seedbank::bittorrent::metainfo::Kind;

use crate::harness::Reply;
use crate::harness::torrents::{publish, small};
use crate::search_tools::copies;

fn numbers(reply: &Reply) -> String {
    reply.texts("nav.pager ol li").join(" ")
}

fn here(reply: &Reply) -> Vec<String> {
    reply.texts("nav.pager [aria-current=page]")
}

fn titles_shown(reply: &Reply) -> Vec<String> {
    let selector = scraper::Selector::parse("tbody .n > a:first-child").unwrap();
    let html = reply.html();
    let links = html.select(&selector);
    links.map(|a| a.attr("href").unwrap().to_owned()).collect()
}

both! {
    /// Numbers lead to pages, Next and Previous to what follows and precedes; a page that begins between two numbers is
    /// neither, and says where it stands.
    async fn pages_have_numbers(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let first = publish(&mut ann, &small("one", Kind::V1), "same").await;
        site.indexed().await;
        let lone = ann.get("/torrents").await.expect(200);
        assert_eq!((lone.count("nav.pager"), numbers(&lone).as_str()), (1, ""));
        copies(&site.app.db, first, 399).await;
        site.indexed().await;

        let page = ann.get("/torrents?q=same").await.expect(200);
        assert_eq!(numbers(&page), "1 2 … 8");
        assert_eq!(here(&page), ["1"]);
        let href = |reply: &Reply, label: &str| reply.attribute(&format!("nav.pager {label}"), "href").unwrap();
        assert_eq!(href(&page, "[aria-label='Page 2']"), "/torrents?q=same&p=2");
        assert_eq!(page.count("nav.pager [rel=prev]"), 0);
        let second = ann.get("/torrents?q=same&p=2").await.expect(200);
        assert_eq!((numbers(&second).as_str(), here(&second)), ("1 2 3 … 8", vec!["2".to_owned()]));
        second.shows("51 to 100");
        assert_eq!(href(&second, "[aria-label='Page 1']"), "/torrents?q=same");
        // Next leads to the same place as the number.
        let on = ann.get(&href(&page, "[rel=next]")).await.expect(200);
        assert_eq!((titles_shown(&on), here(&on)), (titles_shown(&second), vec!["2".to_owned()]));
        let back = ann.get(&href(&on, "[rel=prev]")).await.expect(200);
        assert_eq!((titles_shown(&back), here(&back)), (titles_shown(&page), vec!["1".to_owned()]));
        let last = ann.get("/torrents?p=8").await.expect(200);
        assert_eq!((numbers(&last).as_str(), here(&last)), ("1 … 7 8", vec!["8".to_owned()]));
        assert_eq!(last.count("nav.pager [rel=next]"), 0);
        // A number beyond the last leads to the first.
        let beyond = ann.get("/torrents?p=9").await.expect(200);
        assert_eq!((titles_shown(&beyond), here(&beyond)), (titles_shown(&ann.get("/torrents").await.expect(200)), vec!["1".to_owned()]));

        // Others come before it: the way on still begins where it did, now between two pages.
        let next = href(&ann.get("/torrents").await.expect(200), "[rel=next]");
        let before = titles_shown(&ann.get(&next).await.expect(200));
        copies(&site.app.db, first, 20).await;
        site.indexed().await;
        let between = ann.get(&next).await.expect(200);
        assert_eq!(titles_shown(&between), before);
        between.shows("71 to 120");
        assert_eq!((numbers(&between).as_str(), here(&between)), ("1 2 3 4 … 9", vec![]));
    }
}
