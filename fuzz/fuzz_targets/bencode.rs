//! The scanner never panics, and what it accepts is what its accessors give back: writing the table again
//! yields the input, and every value is a document of its own.

#![no_main]

#[allow(dead_code, unused_imports)]
#[path = "../../src/bittorrent/mod.rs"]
mod bittorrent;

use libfuzzer_sys::fuzz_target;

use bittorrent::bencode::{self, Kind, Value, Writer};

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = bencode::scan(bytes) else {
        return;
    };
    let root = document.root();
    assert_eq!(root.span(), 0..bytes.len());
    let mut writer = Writer::new();
    write(root, &mut writer);
    assert_eq!(writer.finish(), bytes);
});

/// Recursion is as deep as the scanner's limit.
fn write(value: Value<'_, '_>, writer: &mut Writer) {
    match value.kind() {
        Kind::Integer => {
            writer.int(value.as_int().expect("an integer has a value"));
        }
        Kind::String => {
            writer.bytes(value.as_bytes().expect("a string has bytes"));
        }
        Kind::List => {
            writer.begin_list();
            for item in value.as_list().expect("a list has items") {
                write(item, writer);
            }
            writer.end();
        }
        Kind::Dict => {
            writer.begin_dict();
            let dict = value.as_dict().expect("a dictionary has items");
            for (key, item) in dict.iter() {
                writer.bytes(key);
                write(item, writer);
            }
            writer.end();
        }
    }
}
