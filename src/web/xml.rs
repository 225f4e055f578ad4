//! Text for XML. Templates named `*.xml` escape by themselves; what is left there is what no XML may hold.

/// Without the characters that XML 1.0 forbids, escaped or not.
pub fn printable(text: &str) -> String {
    let allowed = |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().filter(allowed).collect()
}

/// For text and quoted attributes. HTML's other names for characters mean nothing in XML.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_forbids_is_left_out() {
        assert_eq!(
            printable("a\u{0}\u{b}\u{1f}b\u{fffe}\u{ffff}c\td\u{202e}\u{1f331}"),
            "abc\td\u{202e}\u{1f331}"
        );
        assert_eq!(
            escape("<a href=\"x\">`'\u{1}&amp;"),
            "&lt;a href=&quot;x&quot;&gt;`&#39;&amp;amp;"
        );
    }
}
