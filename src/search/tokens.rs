//! Folding as the index's tokenizers.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::fold::{grams, joined, parts, runs};

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
    /// Each with the steps from the position before.
    terms: std::vec::IntoIter<(usize, String)>,
    token: Token,
}

impl Tokens {
    fn of(terms: Vec<String>) -> Self {
        Self::spaced(terms.into_iter().map(|term| (1, term)).collect())
    }

    fn spaced(terms: Vec<(usize, String)>) -> Self {
        Self {
            terms: terms.into_iter(),
            // The first step wraps it to position 0.
            token: Token::default(),
        }
    }
}

impl Tokenizer for PartTokens {
    type TokenStream<'a> = Tokens;
    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens {
        Tokens::of(parts(text))
    }
}

impl Tokenizer for JoinedTokens {
    type TokenStream<'a> = Tokens;
    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens {
        Tokens::of(joined(&runs(text)))
    }
}

impl Tokenizer for GramTokens {
    type TokenStream<'a> = Tokens;
    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens {
        let mut terms = Vec::new();
        let mut step = 1;
        for run in runs(text) {
            for gram in grams(&run.parts.concat()) {
                terms.push((step, gram));
                step = 1;
            }
            step = 2;
        }
        Tokens::spaced(terms)
    }
}

impl TokenStream for Tokens {
    fn advance(&mut self) -> bool {
        let Some((step, text)) = self.terms.next() else {
            return false;
        };
        self.token.text = text;
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
