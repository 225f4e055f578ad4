//! Any text is a query: bounded, and read again as the same one when written out. What is said about it is short.

#![no_main]

#[allow(dead_code)]
#[path = "../../src/search/fold.rs"]
mod fold;
#[allow(dead_code)]
#[path = "../../src/search/language/lex.rs"]
mod lex;
#[allow(dead_code)]
#[path = "../../src/search/notice.rs"]
mod notice;
#[allow(dead_code)]
#[path = "../../src/search/language/parse.rs"]
mod parse;
#[allow(dead_code)]
#[path = "../../src/search/language/tree.rs"]
mod tree;

/// The places where those files look for each other; values of fields are none of this target's business.
mod search {
    pub(crate) use crate::fold;
    pub mod filter {
        pub(crate) use crate::notice::Notice;
    }
}
mod language {
    pub(crate) use crate::tree::Field;
}
mod values {
    pub const IS: &str = "";
    pub const HAS: &str = "";
}

use libfuzzer_sys::fuzz_target;

use parse::{MAX_TERMS, parse};
use tree::{Field, Node, Text, Value};

/// How many nodes lie within each other. Groups are flat, so that each of 32 holds a list, a choice and a minus.
fn depth(node: &Node) -> usize {
    match node {
        Node::All(nodes) | Node::Any(nodes) => 1 + nodes.iter().map(depth).max().unwrap_or(0),
        Node::Not(node) => 1 + depth(node),
        Node::Text(
            Text::Word(text) | Text::Phrase(text) | Text::Prefix(text) | Text::Inside(text),
        )
        | Node::Field(_, Value { text, .. }) => {
            assert!(text.chars().count() <= 200);
            1
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (node, notices) = parse(&text);
    assert!(node.terms() <= MAX_TERMS);
    assert!(depth(&node) <= 3 * 33);
    for notice in notices {
        assert!(notice.to_string().chars().count() < 500);
    }
    let printed = node.to_string();
    assert_eq!(parse(&printed).0, node, "{printed}");
    // As one value of a form.
    for field in Field::ALL {
        let node = Node::field(field, &text);
        assert!(node.to_string().starts_with(field.as_str()));
    }
});
