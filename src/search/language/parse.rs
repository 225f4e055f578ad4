//! From tokens to a tree. Any text is valid: a parenthesis left open closes at the end, one too many is passed over,
//! alternatives without a word are none.

#[cfg(test)]
use super::Field;
use super::Node;
use super::lex::{Lexer, Token};
use crate::search::filter::Notice;

/// More words and fields than this cost more than they find.
pub const MAX_TERMS: usize = 32;
/// Groups in groups.
const MAX_DEPTH: usize = 32;

/// Reads `text`; the notices say what was left out, or looked like something that it is not.
pub fn parse(text: &str) -> (Node, Vec<Notice>) {
    let mut parser = Parser {
        lexer: Lexer::new(text),
        terms: 0,
        full: false,
    };
    let node = parser.alternatives(0);
    (node, parser.lexer.notices)
}

/// All of these, flat.
pub fn all(nodes: Vec<Node>) -> Node {
    let mut flat = Vec::new();
    for node in nodes {
        match node {
            Node::All(inner) => flat.extend(inner),
            node => flat.push(node),
        }
    }
    match flat.len() {
        1 => flat.swap_remove(0),
        _ => Node::All(flat),
    }
}

/// One of these at least, flat; of nothing, everything.
pub fn any(nodes: Vec<Node>) -> Node {
    let mut flat = Vec::new();
    for node in nodes {
        match node {
            Node::Any(inner) => flat.extend(inner),
            node => flat.push(node),
        }
    }
    match flat.len() {
        0 => Node::empty(),
        1 => flat.swap_remove(0),
        _ => Node::Any(flat),
    }
}

pub fn not(node: Node) -> Node {
    match node {
        Node::Not(inner) => *inner,
        node => Node::Not(Box::new(node)),
    }
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    terms: usize,
    /// Nothing more is taken.
    full: bool,
}

impl Parser<'_> {
    /// Up to the end of the group, or of the text.
    fn alternatives(&mut self, depth: usize) -> Node {
        let mut ways = Vec::new();
        let mut together = Vec::new();
        let mut negated = false;
        while let Some(token) = self.next() {
            let node = match token {
                Token::Minus => {
                    negated = true;
                    continue;
                }
                Token::Close if depth > 0 => break,
                Token::Close => continue,
                Token::Or => {
                    ways.push(all(std::mem::take(&mut together)));
                    continue;
                }
                Token::Open if depth == MAX_DEPTH => {
                    self.skip_group();
                    Node::empty()
                }
                Token::Open => self.alternatives(depth + 1),
                Token::Text(text) => self.take(Node::Text(text)),
                Token::Field(field, value) => self.take(Node::Field(field, value)),
                Token::Nothing => Node::empty(),
            };
            let negated = std::mem::take(&mut negated);
            if node != Node::empty() {
                together.push(if negated { not(node) } else { node });
            }
        }
        ways.push(all(together));
        ways.retain(|way| *way != Node::empty());
        any(ways)
    }

    fn next(&mut self) -> Option<Token> {
        if self.full { None } else { self.lexer.next() }
    }

    fn take(&mut self, node: Node) -> Node {
        if self.terms == MAX_TERMS {
            self.full = true;
            self.lexer.note(Notice::TooManyWords { kept: MAX_TERMS });
            return Node::empty();
        }
        self.terms += 1;
        node
    }

    fn skip_group(&mut self) {
        self.lexer.note(Notice::TooDeep);
        let mut open = 1;
        while open > 0 {
            match self.next() {
                Some(Token::Open) => open += 1,
                Some(Token::Close) => open -= 1,
                Some(_) => {}
                None => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The tree as it is printed, and what was said.
    fn read(text: &str) -> (String, Vec<Notice>) {
        let (node, notices) = parse(text);
        (node.to_string(), notices)
    }

    fn printed(text: &str) -> String {
        let (text, notices) = read(text);
        assert_eq!(notices, []);
        text
    }

    #[test]
    fn words_phrases_exclusion_prefix_inside() {
        use super::super::Text::*;
        let (node, notices) =
            parse("Ubuntu-24.04 \"Long  Term\" -beta -\"release candidate\" desk* *unt*");
        let text = |text| Node::Text(text);
        assert_eq!(
            node,
            Node::All(vec![
                text(Word("Ubuntu-24.04".to_owned())),
                text(Phrase("Long Term".to_owned())),
                not(text(Word("beta".to_owned()))),
                not(text(Phrase("release candidate".to_owned()))),
                text(Prefix("desk".to_owned())),
                text(Inside("unt".to_owned())),
            ])
        );
        assert_eq!(notices, []);
    }

    #[test]
    fn alternatives_bind_weaker_than_words_side_by_side() {
        assert_eq!(printed("a b|c"), "a b | c");
        assert_eq!(printed("a (b | c) d"), "a (b | c) d");
        assert_eq!(printed("(a b) | (c)"), "a b | c");
        assert_eq!(printed("a | (b | (c | d))"), "a | b | c | d");
        assert_eq!(printed("-(a b) -(-c) -(a|b)"), "-(a b) c -(a | b)");
        assert_eq!(printed("((((a)))) () (|) | "), "a");
        assert_eq!(printed("a) b (c"), "a b c");
    }

    #[test]
    fn fields_and_their_values() {
        let text = "cat:linux -tag:beta size:>1gb..2gb file:\"read me\" AFTER:7d category:x";
        assert_eq!(
            printed(text),
            "cat:linux -tag:beta size:>1gb..2gb file:\"read me\" after:7d cat:x"
        );
        assert_eq!(
            Node::field(Field::User, "a \"b\" (c)").to_string(),
            "user:\"a b (c)\""
        );
    }

    #[test]
    fn a_colon_in_a_word_is_no_field() {
        for text in [
            "http://x", "12:30", "Re:Zero", "a:b:c", "file://x", "::", ":x",
        ] {
            let (printed, notices) = read(text);
            let (node, _) = parse(&printed);
            assert!(!matches!(node, Node::Field(..)), "{text}");
            assert!(
                notices.is_empty() || text == "::" || text == "a:b:c",
                "{text}: {notices:?}"
            );
        }
        let (text, notices) = read("tga:linux");
        assert_eq!(text, "tga:linux");
        assert_eq!(notices, [Notice::UnknownField("tga".to_owned())]);
        let (text, notices) = read("tag: linux");
        assert_eq!(text, "tag: linux");
        assert_eq!(notices, [Notice::EmptyField(Field::Tag)]);
    }

    #[test]
    fn odd_input_is_still_a_query() {
        assert_eq!(printed(""), "");
        assert_eq!(printed("\"open end"), "\"open end\"");
        assert_eq!(printed("x\"y z\""), "x \"y z\"");
        let (text, notices) = read("- -- & x \"\" - -\"\" y");
        assert_eq!(text, "x y");
        assert_eq!(notices.len(), 4);
        let (text, notices) = read(&"w ".repeat(99));
        assert_eq!(text.split(' ').count(), MAX_TERMS);
        assert_eq!(notices, [Notice::TooManyWords { kept: MAX_TERMS }]);
        let (text, notices) = read(&format!("{}a{} b", "(".repeat(99), ")".repeat(99)));
        assert_eq!(text, "b");
        assert_eq!(notices, [Notice::TooDeep]);
        let (text, notices) = read(&"x".repeat(999));
        assert_eq!(text.len(), 200);
        assert_eq!(notices, [Notice::LongWord { kept: 200 }]);
    }

    fn typed() -> impl Strategy<Value = String> {
        let piece = proptest::sample::select(
            &[
                "a",
                "ubuntu",
                "24.04",
                "中文",
                "é",
                "\"",
                "“",
                "(",
                ")",
                "|",
                "-",
                "--",
                "*",
                ":",
                " ",
                " ",
                " ",
                "tag:",
                "cat:",
                "size:>1gb",
                "file:",
                "//",
                "\u{0}",
                "\t",
                "x:y",
                "b*",
                "*c*",
                "user:\"",
                ".",
            ][..],
        );
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    fn printing_is_reversible(text: &str) -> Result<(), TestCaseError> {
        let (node, _) = parse(text);
        prop_assert!(node.terms() <= MAX_TERMS);
        let printed = node.to_string();
        let (again, _) = parse(&printed);
        prop_assert_eq!(again, node, "{}", printed);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn anything_can_be_read_and_printed(text in "\\PC{0,80}") {
            printing_is_reversible(&text)?;
        }

        #[test]
        fn pieces_of_the_language_can_be_read_and_printed(text in typed()) {
            printing_is_reversible(&text)?;
        }
    }
}
