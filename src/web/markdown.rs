//! Markdown to safe HTML: raw HTML is shown as text, links are plain, nothing is fetched.

use std::collections::HashSet;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};

/// Renders CommonMark with tables and strikethrough; images become links, so that a page contacts nobody.
pub fn render(source: &str) -> String {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let events = Parser::new_ext(source, options).map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Image {
            link_type,
            dest_url,
            title,
            id,
        }) => Event::Start(Tag::Link {
            link_type,
            dest_url,
            title,
            id,
        }),
        Event::End(TagEnd::Image) => Event::End(TagEnd::Link),
        other => other,
    });
    let mut unsafe_html = String::with_capacity(source.len() * 3 / 2);
    html::push_html(&mut unsafe_html, events);
    clean(&unsafe_html)
}

fn clean(html: &str) -> String {
    ammonia::Builder::new()
        .tags(HashSet::from([
            "a",
            "b",
            "blockquote",
            "br",
            "code",
            "del",
            "em",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "i",
            "li",
            "ol",
            "p",
            "pre",
            "strong",
            "table",
            "tbody",
            "td",
            "th",
            "thead",
            "tr",
            "ul",
        ]))
        .generic_attributes(HashSet::new())
        .tag_attributes(std::collections::HashMap::from([
            ("a", HashSet::from(["href", "title"])),
            ("ol", HashSet::from(["start"])),
        ]))
        .url_schemes(HashSet::from(["http", "https", "magnet"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow ugc"))
        .clean(html)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn writes_what_people_expect() {
        let html =
            render("# A\n\n**b** [c](https://example.org)\n\n| x | y |\n|---|---|\n| 1 | 2 |");
        assert!(
            html.contains("<h1>A</h1>")
                && html.contains("<strong>b</strong>")
                && html.contains("<td>1</td>")
        );
        assert!(html.contains("href=\"https://example.org\"") && html.contains("nofollow"));
    }

    #[test]
    fn nothing_runs_and_nothing_is_fetched() {
        for hostile in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "[x](javascript:alert(1))",
            "![x](https://spy.example/p.png)",
            "<svg onload=alert(1)>",
            "[x](data:text/html,hi)",
            "<a href=\"x\" onclick=\"y\">z</a>",
            "<style>*{display:none}</style>",
        ] {
            let html = scraper::Html::parse_fragment(&render(hostile));
            for element in html.root_element().descendent_elements() {
                let name = element.value().name();
                assert!(
                    matches!(name, "html" | "p" | "a" | "body"),
                    "{hostile}: <{name}>"
                );
                for (attribute, value) in element.value().attrs() {
                    assert!(
                        matches!(attribute, "href" | "rel"),
                        "{hostile}: {attribute}"
                    );
                    assert!(
                        attribute == "rel" || value.starts_with("https://"),
                        "{hostile}: {value}"
                    );
                }
            }
        }
    }
}
