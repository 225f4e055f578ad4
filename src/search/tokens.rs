//! Folding as the index's tokenizers.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::fold::{Folded, Piece};

/// The tokenizer of fields with positions: parts at consecutive ones.
#[derive(Clone, Default)]
pub struct PartTokens;

/// The tokenizer of fields without positions: joined words. What is one part alone stands in the other field.
#[derive(Clone, Default)]
pub struct JoinedTokens;

/// The tokenizer of the field for what stands inside words: pieces of [`GRAM`](super::fold::GRAM) characters at consecutive positions, so
/// that a longer text inside a word is a phrase of them, and no phrase reaches from one run into the next.
#[derive(Clone, Default)]
pub struct GramTokens;

pub struct Tokens {
    text: String,
    pieces: std::vec::IntoIter<Piece>,
    token: Token,
}

impl Tokens {
    fn of(text: String, pieces: Vec<Piece>) -> Self {
        Self {
            text,
            pieces: pieces.into_iter(),
            // The first step wraps it to position 0.
            token: Token::default(),
        }
    }
}

impl Tokenizer for PartTokens {
    type TokenStream<'a> = Tokens;
    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens {
        let folded = Folded::of(text);
        let pieces = folded.parts();
        Tokens::of(folded.text, pieces)
    }
}

impl Tokenizer for JoinedTokens {
    type TokenStream<'a> = Tokens;
    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens {
        let folded = Folded::of(text);
        let pieces = folded.joined();
        Tokens::of(folded.text, pieces)
    }
}

impl Tokenizer for GramTokens {
    type TokenStream<'a> = Tokens;
    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens {
        let folded = Folded::of(text);
        let pieces = folded.grams();
        Tokens::of(folded.text, pieces)
    }
}

impl TokenStream for Tokens {
    fn advance(&mut self) -> bool {
        let Some(Piece { start, end, step }) = self.pieces.next() else {
            return false;
        };
        self.token.text.clear();
        self.token.text.push_str(&self.text[start..end]);
        self.token.position = self.token.position.wrapping_add(step);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
