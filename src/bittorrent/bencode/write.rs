//! Writing canonical bencode: a plain writer for values in order, and a dictionary that sorts its keys.

use std::collections::BTreeMap;

/// Appends values in the order of the calls; the caller closes what it opens and, in dictionaries
/// opened with `begin_dict`, gives keys in order.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

/// A dictionary written with its keys in order, whatever the order of the calls. A later value for the
/// same key replaces the earlier one.
#[derive(Debug, Default)]
pub struct DictWriter {
    items: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Writer {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn int(&mut self, value: i64) -> &mut Self {
        self.raw(format!("i{value}e").as_bytes())
    }

    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.out
            .extend_from_slice(value.len().to_string().as_bytes());
        self.out.push(b':');
        self.out.extend_from_slice(value);
        self
    }

    /// Appends a value that is encoded already.
    pub fn raw(&mut self, encoded: &[u8]) -> &mut Self {
        self.out.extend_from_slice(encoded);
        self
    }

    pub fn begin_list(&mut self) -> &mut Self {
        self.raw(b"l")
    }

    pub fn begin_dict(&mut self) -> &mut Self {
        self.raw(b"d")
    }

    pub fn end(&mut self) -> &mut Self {
        self.raw(b"e")
    }

    pub fn strings<'s>(&mut self, values: impl IntoIterator<Item = &'s [u8]>) -> &mut Self {
        self.begin_list();
        for value in values {
            self.bytes(value);
        }
        self.end()
    }

    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

impl DictWriter {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn int(&mut self, key: &str, value: i64) -> &mut Self {
        self.put(key, |writer| writer.int(value))
    }

    pub fn bytes(&mut self, key: &str, value: &[u8]) -> &mut Self {
        self.put(key, |writer| writer.bytes(value))
    }

    pub fn strings<'s>(
        &mut self,
        key: &str,
        values: impl IntoIterator<Item = &'s [u8]>,
    ) -> &mut Self {
        self.put(key, |writer| writer.strings(values))
    }

    /// Adds a value that is encoded already.
    pub fn raw(&mut self, key: &[u8], encoded: Vec<u8>) -> &mut Self {
        self.items.insert(key.to_vec(), encoded);
        self
    }

    pub fn finish(self) -> Vec<u8> {
        let length: usize = self
            .items
            .iter()
            .map(|(key, value)| key.len() + value.len() + 8)
            .sum();
        let mut writer = Writer {
            out: Vec::with_capacity(length + 2),
        };
        writer.begin_dict();
        for (key, value) in &self.items {
            writer.bytes(key).raw(value);
        }
        writer.end();
        writer.finish()
    }

    fn put(&mut self, key: &str, write: impl FnOnce(&mut Writer) -> &mut Writer) -> &mut Self {
        let mut writer = Writer::new();
        write(&mut writer);
        self.raw(key.as_bytes(), writer.finish())
    }
}
