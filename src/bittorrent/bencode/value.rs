//! Typed reading of a scanned document. All of it borrows; a `Value` is a reference and an index.

use std::ops::Range;

use super::{Document, Node, UNSORTED};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Integer,
    String,
    List,
    Dict,
}

/// One value of a document.
#[derive(Clone, Copy, Debug)]
pub struct Value<'d, 'a> {
    document: &'d Document<'a>,
    index: u32,
}

/// A dictionary; its items in the order of the input.
#[derive(Clone, Copy, Debug)]
pub struct Dict<'d, 'a>(Value<'d, 'a>);

/// Iterates over the elements of a list.
#[derive(Clone, Debug)]
pub struct List<'d, 'a> {
    document: &'d Document<'a>,
    at: u32,
    end: u32,
}

/// Iterates over the keys and values of a dictionary.
#[derive(Clone, Debug)]
pub struct DictItems<'d, 'a>(List<'d, 'a>);

impl<'d, 'a> Value<'d, 'a> {
    pub(super) fn new(document: &'d Document<'a>, index: u32) -> Self {
        Self { document, index }
    }

    fn node(self) -> Node {
        self.document.nodes[self.index as usize]
    }

    pub fn kind(self) -> Kind {
        match self.document.bytes[self.node().start as usize] {
            b'i' => Kind::Integer,
            b'l' => Kind::List,
            b'd' => Kind::Dict,
            _ => Kind::String,
        }
    }

    /// Where the encoded value stands in the input.
    pub fn span(self) -> Range<usize> {
        let node = self.node();
        node.start as usize..node.end as usize
    }

    /// The encoded value, as sent.
    pub fn raw(self) -> &'a [u8] {
        &self.document.bytes[self.span()]
    }

    pub fn as_int(self) -> Option<i64> {
        if self.kind() != Kind::Integer {
            return None;
        }
        let raw = self.raw();
        // The scanner has checked digits and range.
        std::str::from_utf8(&raw[1..raw.len() - 1])
            .ok()?
            .parse()
            .ok()
    }

    pub fn as_bytes(self) -> Option<&'a [u8]> {
        let node = self.node();
        (self.kind() == Kind::String)
            .then(|| string_bytes(self.document.bytes, node.start, node.end))
    }

    pub fn as_list(self) -> Option<List<'d, 'a>> {
        (self.kind() == Kind::List).then(|| self.children())
    }

    pub fn as_dict(self) -> Option<Dict<'d, 'a>> {
        (self.kind() == Kind::Dict).then_some(Dict(self))
    }

    /// Whether every dictionary in this value, itself included, has its keys in order.
    pub fn is_sorted(self) -> bool {
        let end = self.node().next & !UNSORTED;
        self.document.nodes[self.index as usize..end as usize]
            .iter()
            .all(|node| node.next & UNSORTED == 0)
    }

    fn children(self) -> List<'d, 'a> {
        List {
            document: self.document,
            at: self.index + 1,
            end: self.node().next & !UNSORTED,
        }
    }
}

impl<'d, 'a> Dict<'d, 'a> {
    /// The value of a key; a walk over the keys before it.
    pub fn get(self, key: &[u8]) -> Option<Value<'d, 'a>> {
        self.iter()
            .find_map(|(found, value)| (found == key).then_some(value))
    }

    pub fn iter(self) -> DictItems<'d, 'a> {
        DictItems(self.0.children())
    }

    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }
}

impl<'d, 'a> Iterator for List<'d, 'a> {
    type Item = Value<'d, 'a>;

    fn next(&mut self) -> Option<Value<'d, 'a>> {
        if self.at == self.end {
            return None;
        }
        let value = Value::new(self.document, self.at);
        self.at = value.node().next & !UNSORTED;
        Some(value)
    }
}

impl<'d, 'a> Iterator for DictItems<'d, 'a> {
    type Item = (&'a [u8], Value<'d, 'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.next()?.node();
        let value = self.0.next()?;
        let key = string_bytes(value.document.bytes, key.start, key.end);
        Some((key, value))
    }
}

/// Content of the string encoded at `start..end`, which the scanner has checked.
pub(super) fn string_bytes(bytes: &[u8], start: u32, end: u32) -> &[u8] {
    let encoded = &bytes[start as usize..end as usize];
    let colon = encoded.iter().position(|&byte| byte == b':');
    &encoded[colon.map_or(0, |colon| colon + 1)..]
}
