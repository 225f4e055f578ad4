//! Text into marks and atoms: where a word ends, what a quote holds, which colon makes a field.

use super::{Field, Text, Value};
use crate::search::filter::Notice;
use crate::search::fold;

/// Longer words and values are cut: nobody types them.
const MAX_CHARS: usize = 200;
/// Longer names before a colon are no attempt at a field.
const NAME_CHARS: usize = 12;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Open,
    Close,
    Or,
    /// Takes out what the next token holds, which is an atom or an opening parenthesis.
    Minus,
    Text(Text),
    Field(Field, Value),
    /// Something that cannot be looked for, and was noted.
    Nothing,
}

pub fn is_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„' | '‟' | '＂')
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

pub fn ends_word(c: char) -> bool {
    is_blank(c) || is_quote(c) || matches!(c, '(' | ')' | '|')
}

/// Runs of blanks as one, none at the ends; cut to what a word may have.
pub fn squeezed(text: &str) -> String {
    let words: Vec<&str> = text
        .split(is_blank)
        .filter(|word| !word.is_empty())
        .collect();
    let joined = words.join(" ");
    let cut: String = joined.chars().take(MAX_CHARS).collect();
    cut.trim_end().to_owned()
}

/// Reads a text token by token; what is left out is noted.
pub struct Lexer<'t> {
    rest: &'t str,
    pub notices: Vec<Notice>,
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t str) -> Self {
        Self {
            rest: text,
            notices: Vec::new(),
        }
    }

    pub fn note(&mut self, notice: Notice) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    pub fn next(&mut self) -> Option<Token> {
        self.rest = self.rest.trim_start_matches(is_blank);
        let c = self.rest.chars().next()?;
        let mark = match c {
            '(' => Token::Open,
            ')' => Token::Close,
            '|' => Token::Or,
            '-' if self.takes_out() => Token::Minus,
            _ if is_quote(c) => return Some(self.phrase()),
            _ => return Some(self.word()),
        };
        self.rest = &self.rest[c.len_utf8()..];
        Some(mark)
    }

    /// Whether the minus that comes next stands directly before something.
    fn takes_out(&self) -> bool {
        let next = self.rest.chars().nth(1);
        next.is_some_and(|c| !is_blank(c) && !matches!(c, '-' | ')' | '|'))
    }

    /// What stands in the quotes that come next; a quote left open reaches to the end.
    fn quoted(&mut self) -> &'t str {
        let mut chars = self.rest.chars();
        chars.next();
        let inside = chars.as_str();
        let (text, after) = inside.split_once(is_quote).unwrap_or((inside, ""));
        self.rest = after;
        text
    }

    fn phrase(&mut self) -> Token {
        let text = self.quoted();
        let phrase = self.cut(squeezed(text), text);
        match self.findable(&phrase, text) {
            true => Token::Text(Text::Phrase(phrase)),
            false => Token::Nothing,
        }
    }

    fn word(&mut self) -> Token {
        let end = self.rest.find(ends_word).unwrap_or(self.rest.len());
        let (typed, after) = self.rest.split_at(end);
        self.rest = after;
        let word = typed.trim_start_matches('-');
        if let Some((name, value)) = word.split_once(':')
            && !value.starts_with("//")
            && let Some(token) = self.field(name, value)
        {
            return token;
        }
        let bare = word.trim_matches('*');
        let text: String = bare.chars().take(MAX_CHARS).collect();
        let text = self.cut(text.trim_end_matches('*').to_owned(), bare);
        if !self.findable(&text, typed) {
            return Token::Nothing;
        }
        Token::Text(if word.starts_with('*') {
            Text::Inside(text)
        } else if word.ends_with('*') {
            Text::Prefix(text)
        } else {
            Text::Word(text)
        })
    }

    /// `None`: a colon in a plain word. What looks like a field that there is not is noted.
    fn field(&mut self, name: &str, value: &str) -> Option<Token> {
        let is_name = !name.is_empty()
            && name.len() <= NAME_CHARS
            && name.bytes().all(|b| b.is_ascii_alphabetic());
        if !is_name {
            return None;
        }
        let Ok(field) = name.parse::<Field>() else {
            // `Re:Zero` is a title.
            if !value.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase()) {
                self.note(Notice::UnknownField(name.to_owned()));
            }
            return None;
        };
        let quoted = value.is_empty() && self.rest.starts_with(is_quote);
        let typed = if quoted { self.quoted() } else { value };
        let text = self.cut(squeezed(typed), typed);
        if text.is_empty() {
            self.note(Notice::EmptyField(field));
            return None;
        }
        Some(Token::Field(field, Value { text, quoted }))
    }

    fn cut(&mut self, text: String, typed: &str) -> String {
        if typed.chars().count() > MAX_CHARS {
            self.note(Notice::LongWord { kept: MAX_CHARS });
        }
        text
    }

    fn findable(&mut self, text: &str, typed: &str) -> bool {
        let findable = !fold::runs(text).is_empty();
        if !findable {
            self.note(Notice::NothingToFind(typed.chars().take(20).collect()));
        }
        findable
    }
}
