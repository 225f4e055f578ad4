//! Markdown to safe HTML: raw HTML is shown as text, links are plain, nothing is fetched.

use std::collections::HashSet;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};

/// Blocks within blocks, past which the inner ones are flattened: cleaning takes the square of the depth.
const DEPTH: usize = 24;

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
    let mut depth = 0usize;
    let mut flattened = 0usize;
    let events = events.filter(|event| match event {
        Event::Start(tag) if nests(tag) => {
            let keep = depth < DEPTH && flattened == 0;
            if keep {
                depth += 1;
            } else {
                flattened += 1;
            }
            keep
        }
        Event::End(tag) if nests_end(tag) => {
            let keep = flattened == 0;
            if keep {
                depth = depth.saturating_sub(1);
            } else {
                flattened -= 1;
            }
            keep
        }
        _ => true,
    });
    let mut unsafe_html = String::with_capacity(source.len() * 3 / 2);
    html::push_html(&mut unsafe_html, events);
    clean(&unsafe_html)
}

/// What can hold its own kind.
fn nests(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::BlockQuote(_)
            | Tag::List(_)
            | Tag::Item
            | Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough
            | Tag::Link { .. }
    )
}

fn nests_end(tag: &TagEnd) -> bool {
    matches!(
        tag,
        TagEnd::BlockQuote(_)
            | TagEnd::List(_)
            | TagEnd::Item
            | TagEnd::Emphasis
            | TagEnd::Strong
            | TagEnd::Strikethrough
            | TagEnd::Link
    )
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

    /// Sixty thousand `>` took minutes.
    #[test]
    fn depth_costs_nothing() {
        for deep in [
            ">".repeat(60_000),
            "- ".repeat(30_000) + "x",
            "*".repeat(60_000) + "a" + &"*".repeat(60_000),
            "**a ".repeat(15_000),
            "[".repeat(60_000),
            "~~a ".repeat(15_000),
        ] {
            let started = std::time::Instant::now();
            let html = render(&deep);
            assert!(html.matches("<blockquote").count() <= 24);
            assert!(
                started.elapsed().as_secs() < 5,
                "{:.10}: {:?}",
                deep,
                started.elapsed()
            );
        }
        let quotes = render("> a\n>> b\n\nc");
        assert_eq!(quotes.matches("<blockquote>").count(), 2);
        assert_eq!(quotes.matches("</blockquote>").count(), 2);
    }
}
