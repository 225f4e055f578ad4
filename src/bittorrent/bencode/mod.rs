//! Bencode (BEP 3) as untrusted bytes: one strict pass without recursion that answers with a flat table
//! of spans. Nothing is copied or allocated per value; `value` reads the table, `write` is the other way.

mod error;
mod value;
mod write;

#[cfg(test)]
mod tests;

pub use error::{Error, Rule};
pub use value::{Dict, DictItems, Kind, List, Value};
pub use write::{DictWriter, Writer};

use error::Rule as R;

/// Lists and dictionaries may stand in each other this deep.
pub const MAX_DEPTH: usize = 100;
/// Values and keys in one document. Bounds the table to 24 MB whatever the input.
pub const MAX_NODES: usize = 2_000_000;

/// A scanned document: the bytes and a table of their values, in the order in which they start.
#[derive(Debug)]
pub struct Document<'a> {
    bytes: &'a [u8],
    nodes: Vec<Node>,
}

/// One value or key: 12 bytes. Its kind is its first byte; its children are the nodes up to `next`.
#[derive(Clone, Copy, Debug)]
struct Node {
    start: u32,
    end: u32,
    /// Index of the node after this one's last descendant; the top bit marks a dictionary with
    /// keys out of order.
    next: u32,
}

const UNSORTED: u32 = 1 << 31;

/// A list or dictionary whose end has not been seen yet.
struct Open {
    node: u32,
    is_dict: bool,
    unsorted: bool,
    /// The key whose value comes next.
    awaiting_value: bool,
    /// Content of the last key, as offsets into the input.
    last_key: Option<(u32, u32)>,
}

/// Checks the whole input against the grammar: one value and nothing after it, integers canonical and
/// within 64 bits, string lengths canonical and within the input, keys strings, no key twice in any
/// dictionary. Keys out of order are accepted and reported by `Value::is_sorted`.
/// Linear in the input, n log n for the keys of an unsorted dictionary.
pub fn scan(bytes: &[u8]) -> Result<Document<'_>, Error> {
    if bytes.len() >= UNSORTED as usize {
        return Err(Error::new(0, R::InputTooLong));
    }
    let mut nodes: Vec<Node> = Vec::new();
    let mut stack: Vec<Open> = Vec::new();
    let mut at = 0;
    loop {
        let Some(&byte) = bytes.get(at) else {
            return Err(Error::new(at, R::UnexpectedEnd));
        };
        let start = at;
        if byte == b'e' {
            let Some(open) = stack.pop() else {
                return Err(Error::new(at, R::UnexpectedByte(byte)));
            };
            if open.awaiting_value {
                return Err(Error::new(at, R::KeyWithoutValue));
            }
            at += 1;
            let next = nodes.len() as u32;
            let node = &mut nodes[open.node as usize];
            node.end = at as u32;
            node.next = next;
            if open.unsorted {
                node.next |= UNSORTED;
                refuse_duplicate_keys(bytes, &nodes, open.node)?;
            }
        } else {
            if nodes.len() == MAX_NODES {
                return Err(Error::new(at, R::TooManyValues));
            }
            let is_key = stack
                .last()
                .is_some_and(|open| open.is_dict && !open.awaiting_value);
            if is_key && !byte.is_ascii_digit() {
                return Err(Error::new(at, R::KeyNotString));
            }
            let index = nodes.len() as u32;
            let mut content = (0, 0);
            match byte {
                b'i' => at = integer_end(bytes, at)?,
                b'0'..=b'9' => {
                    let string = string_content(bytes, at)?;
                    content = (string.start as u32, string.end as u32);
                    at = string.end;
                }
                b'l' | b'd' => at += 1,
                _ => return Err(Error::new(at, R::UnexpectedByte(byte))),
            }
            nodes.push(Node {
                start: start as u32,
                end: at as u32,
                next: index + 1,
            });
            if let Some(parent) = stack.last_mut() {
                if is_key {
                    check_key(bytes, parent, content, start)?;
                }
                parent.awaiting_value = is_key;
            }
            if byte == b'l' || byte == b'd' {
                if stack.len() == MAX_DEPTH {
                    return Err(Error::new(start, R::TooDeep));
                }
                stack.push(Open {
                    node: index,
                    is_dict: byte == b'd',
                    unsorted: false,
                    awaiting_value: false,
                    last_key: None,
                });
            }
        }
        if stack.is_empty() {
            break;
        }
    }
    if at < bytes.len() {
        return Err(Error::new(at, R::TrailingData));
    }
    Ok(Document { bytes, nodes })
}

impl<'a> Document<'a> {
    /// The one value that the document is.
    pub fn root(&self) -> Value<'_, 'a> {
        Value::new(self, 0)
    }

    /// Values and keys in the document.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }
}

/// Notes whether the key keeps the order; equal neighbours are refused here, others when the
/// dictionary ends.
fn check_key(bytes: &[u8], open: &mut Open, key: (u32, u32), start: usize) -> Result<(), Error> {
    let text = |(from, to): (u32, u32)| &bytes[from as usize..to as usize];
    if let Some(last) = open.last_key {
        match text(last).cmp(text(key)) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => return Err(Error::new(start, R::DuplicateKey)),
            std::cmp::Ordering::Greater => open.unsorted = true,
        }
    }
    open.last_key = Some(key);
    Ok(())
}

fn refuse_duplicate_keys(bytes: &[u8], nodes: &[Node], dict: u32) -> Result<(), Error> {
    let end = nodes[dict as usize].next & !UNSORTED;
    let mut keys: Vec<(&[u8], u32)> = Vec::new();
    let mut index = dict + 1;
    while index < end {
        let node = nodes[index as usize];
        let key = value::string_bytes(bytes, node.start, node.end);
        keys.push((key, node.start));
        // The value follows its key.
        index = nodes[index as usize + 1].next & !UNSORTED;
    }
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(Error::new(pair[1].1 as usize, R::DuplicateKey)),
        None => Ok(()),
    }
}

/// Offset after the `e` of the integer that starts at `start`.
fn integer_end(bytes: &[u8], start: usize) -> Result<usize, Error> {
    let negative = bytes.get(start + 1) == Some(&b'-');
    let digits = start + 1 + usize::from(negative);
    let mut value: i64 = 0;
    let mut at = digits;
    loop {
        match bytes.get(at) {
            Some(&digit @ b'0'..=b'9') => {
                if at > digits && bytes[digits] == b'0' {
                    return Err(Error::new(start, R::LeadingZero));
                }
                let digit = i64::from(digit - b'0');
                // Counted downwards: the negative range is the larger one.
                value = value
                    .checked_mul(10)
                    .and_then(|value| value.checked_sub(digit))
                    .ok_or(Error::new(start, R::IntegerTooLarge))?;
                at += 1;
            }
            Some(b'e') if at > digits => break,
            Some(&byte) => return Err(Error::new(at, R::BadInteger(byte))),
            None => return Err(Error::new(at, R::UnexpectedEnd)),
        }
    }
    if negative && value == 0 {
        return Err(Error::new(start, R::NegativeZero));
    }
    if !negative && value == i64::MIN {
        return Err(Error::new(start, R::IntegerTooLarge));
    }
    Ok(at + 1)
}

/// Where the content of the string that starts at `start` lies.
fn string_content(bytes: &[u8], start: usize) -> Result<std::ops::Range<usize>, Error> {
    let mut length: usize = 0;
    let mut at = start;
    loop {
        match bytes.get(at) {
            Some(&digit @ b'0'..=b'9') => {
                if at > start && bytes[start] == b'0' {
                    return Err(Error::new(start, R::LeadingZero));
                }
                length = length * 10 + usize::from(digit - b'0');
                // Checked at every digit, so that the sum cannot overflow.
                if length > bytes.len() {
                    return Err(Error::new(start, R::StringTooLong));
                }
                at += 1;
            }
            Some(b':') => break,
            Some(&byte) => return Err(Error::new(at, R::BadLength(byte))),
            None => return Err(Error::new(at, R::UnexpectedEnd)),
        }
    }
    let content = at + 1;
    if length > bytes.len() - content {
        return Err(Error::new(start, R::StringTooLong));
    }
    Ok(content..content + length)
}
