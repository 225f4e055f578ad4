//! Examples of the query language, each a link that runs.

use serde::Serialize;

use crate::web::filters::urlencode;

#[derive(Clone, Debug, Serialize)]
pub struct Example {
    pub query: &'static str,
    pub meaning: &'static str,
    pub url: String,
}

pub const EXAMPLES: usize = 12;

const QUERIES: [(&str, &str); EXAMPLES] = [
    (
        "ubuntu desktop",
        "both words, anywhere: title, name, tags, uploader, files",
    ),
    ("\"long term\"", "in a row"),
    ("ubuntu -beta", "without a word; also -tag:x and -(a b)"),
    (
        "(ubuntu | debian) iso",
        "either of them; without the parentheses, | parts everything left from right",
    ),
    ("desk*", "words that begin so"),
    (
        "*untu*",
        "inside words of title and name, three letters or more",
    ),
    (
        "cat:linux tag:lts",
        "a category with those below it; a tag or its alias",
    ),
    ("user:ann file:readme", "by a member; in a file's name"),
    (
        "size:>1gb size:<4.5gb",
        "also size:1gb..4gb; size:4gb is about that",
    ),
    (
        "after:7d",
        "h, d, w, mo, y; or a day: after:2026-01-31 before:2026-03",
    ),
    (
        "seeders:>0 leechers:5..",
        "numbers of the swarm; also completed:",
    ),
    (
        "is:hybrid has:webseed",
        "is:v1 v2 private public trusted anonymous needy; has:v1 v2 description tags",
    ),
];

pub fn examples() -> [Example; EXAMPLES] {
    QUERIES.map(|(query, meaning)| Example {
        query,
        meaning,
        url: format!("/torrents?q={}", urlencode(query)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::search::language::{self, Names};

    /// But for names, which every site has its own of.
    #[test]
    fn every_example_is_understood() {
        for (query, _) in QUERIES {
            let (node, mut notices) = language::parse(query);
            if query.contains("cat:") || query.contains("user:") {
                continue;
            }
            language::resolve(&node, &Names::default(), Timestamp(0), &mut notices);
            assert_eq!(notices, [], "{query}");
        }
    }
}
