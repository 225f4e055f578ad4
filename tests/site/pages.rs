//! Every template with every sample: complete, labelled, free of inline code, and the same elements and attributes
//! whatever the strings say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use scraper::node::Node;
use scraper::{ElementRef, Html, Selector};
use seedbank::clock::Clock;
use seedbank::web::render::Templates;
use serde_json::Value;

use crate::harness::START;

/// What the strings of a page may hold. None starts or ends with a space.
const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title></textarea></option></svg><script>alert(1)</script>",
    "{{ 7*7 }}{% if %}{# no #}",
    "&lt;b&gt;&amp;&#39;",
    "--><!--<![CDATA[",
    "\u{202e}תורנט\u{2066}قاعدة",
    "a\u{301}\u{301}\u{301}\u{301}\u{200b}\u{feff}b",
];
const HARMLESS: &str = "harmless";

struct Sample {
    name: String,
    template: String,
    context: Value,
}

fn samples() -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/site/samples");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let context: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap())
                .unwrap_or_else(|e| panic!("{name}: {e}"));
            let template = context["template"].as_str().unwrap().to_owned();
            Sample {
                name,
                template,
                context,
            }
        })
        .collect()
}

fn templates() -> Templates {
    Templates::load(Clock::fixed(START)).unwrap()
}

fn rendered(templates: &Templates, sample: &Sample, context: &Value) -> String {
    templates
        .render_value(&sample.template, context)
        .unwrap_or_else(|e| panic!("{}: {e:#}", sample.name))
}

fn select(html: &Html, selector: &str) -> Vec<String> {
    let selector = Selector::parse(selector).unwrap();
    html.select(&selector).map(|e| e.html()).collect()
}

#[test]
fn every_page_has_a_sample() {
    let covered: BTreeSet<String> = samples().into_iter().map(|s| s.template).collect();
    let missing: Vec<String> = templates()
        .names()
        .into_iter()
        .filter(|name| name.ends_with(".html"))
        .filter(|name| name != "layout.html" && !name.starts_with("parts/"))
        .filter(|name| !covered.contains(name))
        .collect();
    assert!(missing.is_empty(), "no tests/site/samples for {missing:?}");
}

#[test]
fn pages_are_well_made() {
    let templates = templates();
    for sample in samples() {
        let text = rendered(&templates, &sample, &sample.context);
        let html = Html::parse_document(&text);
        let name = &sample.name;
        assert_eq!(select(&html, "main").len(), 1, "{name}: one main");
        no_inline_code(name, &html);
        // The style page shows every part twice, headings and ids included.
        if name != "style" {
            assert_eq!(select(&html, "h1").len(), 1, "{name}: one h1");
            ids_are_unique(name, &html);
        }
        references_lead_somewhere(name, &html);
        forms_carry_the_token_first(name, &html);
        everything_has_a_name(name, &html);
    }
}

/// The content security policy would refuse it anyway; here it is found before a visitor does.
fn no_inline_code(name: &str, html: &Html) {
    assert_eq!(
        select(
            html,
            "style, [style], script:not([src]), iframe, object, embed, base"
        ),
        [""; 0],
        "{name}: inline code or style"
    );
    for node in html.tree.nodes() {
        let Node::Element(element) = node.value() else {
            continue;
        };
        for (attribute, value) in element.attrs() {
            assert!(
                !attribute.starts_with("on"),
                "{name}: {attribute} on <{}>",
                element.name()
            );
            assert!(
                !value.trim_start().to_lowercase().starts_with("javascript:"),
                "{name}: {attribute}={value}"
            );
        }
    }
    for script in html.select(&Selector::parse("script").unwrap()) {
        assert_eq!(script.text().collect::<String>(), "", "{name}");
    }
}

fn ids_are_unique(name: &str, html: &Html) {
    let mut seen = BTreeMap::new();
    for element in html.select(&Selector::parse("[id]").unwrap()) {
        *seen.entry(element.attr("id").unwrap()).or_insert(0) += 1;
    }
    let twice: Vec<_> = seen.into_iter().filter(|(_, n)| *n > 1).collect();
    assert!(twice.is_empty(), "{name}: ids used twice {twice:?}");
}

/// What `for`, `aria-describedby` and the like name is on the page.
fn references_lead_somewhere(name: &str, html: &Html) {
    let ids: BTreeSet<&str> = html
        .select(&Selector::parse("[id]").unwrap())
        .filter_map(|e| e.attr("id"))
        .collect();
    for attribute in [
        "for",
        "list",
        "aria-describedby",
        "aria-labelledby",
        "aria-controls",
    ] {
        let selector = Selector::parse(&format!("[{attribute}]")).unwrap();
        for element in html.select(&selector) {
            for id in element.attr(attribute).unwrap().split_whitespace() {
                assert!(ids.contains(id), "{name}: {attribute}={id} leads nowhere");
            }
        }
    }
}

fn forms_carry_the_token_first(name: &str, html: &Html) {
    let fields = Selector::parse("input, select, textarea, button[name]").unwrap();
    for form in html.select(&Selector::parse("form").unwrap()) {
        let method = form.attr("method").unwrap_or("get");
        let first = form.select(&fields).next();
        let token = first.is_some_and(|f| {
            f.attr("name") == Some("csrf")
                && f.attr("type") == Some("hidden")
                && f.attr("value").is_some_and(|v| !v.is_empty())
        });
        match method {
            "post" => {
                assert!(token, "{name}: no token first in {}", form.html());
                assert!(
                    form.attr("action").is_some_and(|a| a.starts_with('/')),
                    "{name}: a POST form says where it goes"
                );
            }
            "get" => assert!(
                !form.html().contains("name=\"csrf\""),
                "{name}: a token in a GET form ends up in addresses"
            ),
            other => panic!("{name}: a form by {other}"),
        }
    }
}

/// Fields have labels; buttons, links and pictures have words.
fn everything_has_a_name(name: &str, html: &Html) {
    let labelled: BTreeSet<&str> = html
        .select(&Selector::parse("label[for]").unwrap())
        .filter_map(|e| e.attr("for"))
        .collect();
    let said = |e: &ElementRef<'_>| {
        ["aria-label", "aria-labelledby", "title"]
            .iter()
            .any(|a| e.attr(a).is_some_and(|v| !v.trim().is_empty()))
    };
    let fields = "input:not([type=hidden]):not([type=submit]), select, textarea, progress";
    for field in html.select(&Selector::parse(fields).unwrap()) {
        let wrapped = field
            .ancestors()
            .filter_map(ElementRef::wrap)
            .any(|a| a.value().name() == "label");
        let by_id = field.attr("id").is_some_and(|id| labelled.contains(id));
        assert!(
            wrapped || by_id || said(&field),
            "{name}: no label for {}",
            field.html()
        );
    }
    for element in html.select(&Selector::parse("a, button, summary").unwrap()) {
        let words: String = element.text().collect();
        assert!(
            said(&element) || !words.trim().is_empty(),
            "{name}: no words in {}",
            element.html()
        );
    }
    for nav in html.select(&Selector::parse("nav").unwrap()) {
        assert!(said(&nav), "{name}: {} has no name", nav.html());
    }
    assert_eq!(select(html, "img:not([alt])"), [""; 0], "{name}");
}

#[test]
fn hostile_strings_change_nothing() {
    let templates = templates();
    let long = "W".repeat(500);
    for sample in samples() {
        let plain = shape(&templates, &sample, HARMLESS);
        assert!(plain.spoken > 0, "{}: shows no string", sample.name);
        for hostile in HOSTILE.iter().copied().chain([long.as_str()]) {
            let shown = shape(&templates, &sample, hostile);
            for (i, (was, is)) in plain.elements.iter().zip(&shown.elements).enumerate() {
                assert_eq!(was, is, "{}: element {i} with {hostile:?}", sample.name);
            }
            assert_eq!(
                plain.elements.len(),
                shown.elements.len(),
                "{} with {hostile:?}",
                sample.name
            );
            assert_eq!(
                plain.spoken, shown.spoken,
                "{}: {hostile:?} is cut, escaped twice or evaluated",
                sample.name
            );
        }
    }
}

#[derive(PartialEq)]
struct Shape {
    /// Each element's name and its attributes' names, in document order.
    elements: Vec<String>,
    /// How often the string stands in the text of the page.
    spoken: usize,
}

fn shape(templates: &Templates, sample: &Sample, string: &str) -> Shape {
    let mut context = sample.context.clone();
    for part in ["frame", "page"] {
        replace_strings(&mut context[part], string);
    }
    let html = Html::parse_document(&rendered(templates, sample, &context));
    let mut elements = Vec::new();
    let mut spoken = 0;
    for node in html.tree.root().descendants() {
        match node.value() {
            Node::Element(element) => {
                let mut attributes: Vec<&str> = element.attrs().map(|(name, _)| name).collect();
                attributes.sort_unstable();
                elements.push(format!("{} {}", element.name(), attributes.join(" ")));
            }
            Node::Text(text) => spoken += text.matches(string).count(),
            Node::Comment(comment) => panic!("{}: a comment {comment:?}", sample.name),
            _ => {}
        }
    }
    Shape { elements, spoken }
}

/// Every string but those that arrive as finished HTML.
fn replace_strings(value: &mut Value, string: &str) {
    match value {
        Value::String(text) => *text = string.to_owned(),
        Value::Array(items) => items.iter_mut().for_each(|v| replace_strings(v, string)),
        Value::Object(fields) => {
            for (key, value) in fields {
                if !key.ends_with("_html") && !key.ends_with("_svg") {
                    replace_strings(value, string);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn files_are_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("static");
    let size = |name: &str| std::fs::metadata(folder.join(name)).unwrap().len();
    let both = size("seedbank.css") + size("seedbank.js");
    assert!(both <= 60_000, "CSS and JS have {both} bytes");
}

/// Fifty rows with tags, three actions and an exact time each: what counts is what is sent.
#[test]
fn a_listing_of_fifty_is_small() {
    let mut sample = samples()
        .into_iter()
        .find(|s| s.name == "browse-listing")
        .unwrap();
    let rows = sample.context["page"]["rows"].as_array().unwrap().clone();
    let fifty: Vec<Value> = rows
        .into_iter()
        .cycle()
        .take(50)
        .enumerate()
        .map(|(i, mut row)| {
            // As the site writes them; and no two rows alike, which would compress too well.
            row["magnet"] = format!("/torrents/{}/magnet", 10_000 + i * 7).into();
            row["url"] = format!("/torrents/{}-some-words-{}", 10_000 + i * 7, i * 31 % 97).into();
            row["size"] = (1_000_003 * (i as i64 + 3) * 77).into();
            row
        })
        .collect();
    sample.context["page"]["rows"] = Value::Array(fifty);
    let text = rendered(&templates(), &sample, &sample.context);
    assert_eq!(
        select(&Html::parse_document(&text), "tbody tr").len(),
        50,
        "the sample has rows"
    );
    assert!(text.len() < 50_000, "{} bytes", text.len());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, text.as_bytes()).unwrap();
    let sent = gzip.finish().unwrap().len();
    assert!(sent < 8_000, "{sent} bytes compressed");
}
