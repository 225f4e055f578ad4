use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn refused(input: &[u8]) -> (Rule, usize) {
    let error = scan(input).map(|_| ()).unwrap_err();
    (error.rule, error.offset)
}

/// Runs a hostile input and asserts that the answer comes quickly, in an unoptimised build too and on a machine that
/// runs everything else meanwhile: what grows with the square takes minutes.
fn quickly<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let answer = work();
    let took = start.elapsed();
    println!("{took:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    answer
}

#[test]
fn values_are_read_with_their_spans() {
    let input = b"d1:ai-42e1:bl0:3:xyzli7eee1:cdee";
    let document = scan(input).unwrap();
    let root = document.root();
    assert_eq!(root.span(), 0..input.len());
    assert!(root.is_sorted());
    let dict = root.as_dict().unwrap();
    assert_eq!(dict.get(b"a").unwrap().as_int(), Some(-42));
    assert_eq!(dict.get(b"a").unwrap().span(), 4..9);
    let list: Vec<_> = dict.get(b"b").unwrap().as_list().unwrap().collect();
    assert_eq!(list.len(), 3);
    assert_eq!(list[0].as_bytes(), Some(&b""[..]));
    assert_eq!(list[1].as_bytes(), Some(&b"xyz"[..]));
    assert_eq!(list[2].raw(), b"li7ee");
    assert_eq!(list[2].kind(), Kind::List);
    assert!(dict.get(b"c").unwrap().as_dict().unwrap().is_empty());
    assert!(dict.get(b"d").is_none());
    assert_eq!(
        dict.iter().map(|(key, _)| key).collect::<Vec<_>>(),
        [b"a", b"b", b"c"]
    );
    assert!(dict.get(b"a").unwrap().as_bytes().is_none());
    assert_eq!(document.node_count(), 11);
}

#[test]
fn extremes_of_integers() {
    for number in [i64::MIN, i64::MAX, 0, -1, 10] {
        let input = format!("i{number}e");
        assert_eq!(
            scan(input.as_bytes()).unwrap().root().as_int(),
            Some(number)
        );
    }
}

#[test]
fn each_rule_names_its_place() {
    use Rule::*;
    let cases: &[(&[u8], Rule, usize)] = &[
        (b"", UnexpectedEnd, 0),
        (b"d", UnexpectedEnd, 1),
        (b"i12", UnexpectedEnd, 3),
        (b"l1", UnexpectedEnd, 2),
        (b"e", UnexpectedByte(b'e'), 0),
        (b"lx", UnexpectedByte(b'x'), 1),
        (b"ie", BadInteger(b'e'), 1),
        (b"i-e", BadInteger(b'e'), 2),
        (b"i+5e", BadInteger(b'+'), 1),
        (b"i1.0e", BadInteger(b'.'), 2),
        (b"li007ee", LeadingZero, 1),
        (b"i00e", LeadingZero, 0),
        (b"i-01e", LeadingZero, 0),
        (b"i-0e", NegativeZero, 0),
        (b"i9223372036854775808e", IntegerTooLarge, 0),
        (b"i-9223372036854775809e", IntegerTooLarge, 0),
        (b"05:abcde", LeadingZero, 0),
        (b"1x:a", BadLength(b'x'), 1),
        (b"3:ab", StringTooLong, 0),
        (b"99999999999999999999999999:a", StringTooLong, 0),
        (b"di1ei2ee", KeyNotString, 1),
        (b"d1:ae", KeyWithoutValue, 4),
        (b"d1:ai1e1:ai2ee", DuplicateKey, 7),
        (b"d1:bi1e1:ai1e1:bi2ee", DuplicateKey, 13),
        (b"i1ei2e", TrailingData, 3),
        (b"le\n", TrailingData, 2),
    ];
    for (input, rule, offset) in cases {
        let shown = String::from_utf8_lossy(input);
        assert_eq!(refused(input), (*rule, *offset), "{shown}");
    }
    let message = scan(b"d1:ai1e1:ai2ee").unwrap_err().to_string();
    assert_eq!(message, "a dictionary has the same key twice at byte 7");
}

#[test]
fn keys_out_of_order_are_reported_where_they_are() {
    let document = scan(b"d1:ad1:zi1e1:bi2ee1:bl1:xee").unwrap();
    let dict = document.root().as_dict().unwrap();
    assert!(!document.root().is_sorted());
    let inner = dict.get(b"a").unwrap();
    assert!(!inner.is_sorted());
    assert_eq!(
        inner.as_dict().unwrap().get(b"b").unwrap().as_int(),
        Some(2)
    );
    assert_eq!(dict.get(b"b").unwrap().raw(), b"l1:xe");
    assert!(dict.get(b"b").unwrap().is_sorted());
}

#[test]
fn depth_ends_at_the_limit() {
    let nested = |levels: usize| ["l".repeat(levels), "e".repeat(levels)].concat();
    assert!(scan(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert_eq!(
        refused(nested(MAX_DEPTH + 1).as_bytes()),
        (Rule::TooDeep, MAX_DEPTH)
    );
}

#[test]
fn deep_nesting_is_refused_quickly() {
    for levels in [1_000, 20_000, 4_000_000] {
        let lists = "l".repeat(levels);
        assert_eq!(quickly(|| refused(lists.as_bytes())).0, Rule::TooDeep);
        let dicts = "d1:a".repeat(levels);
        assert_eq!(quickly(|| refused(dicts.as_bytes())).0, Rule::TooDeep);
    }
}

#[test]
fn wide_input_is_refused_at_the_cap() {
    for unit in ["le", "0:", "de", "i1e"] {
        let input = ["l", &unit.repeat(10_000_000 / unit.len()), "e"].concat();
        assert_eq!(quickly(|| refused(input.as_bytes())).0, Rule::TooManyValues);
    }
    let many = ["l", &"le".repeat(MAX_NODES - 1), "e"].concat();
    let document = quickly(|| scan(many.as_bytes()).unwrap());
    assert_eq!(document.node_count(), MAX_NODES);
    // 12 bytes a value, and at most as much again while the table grows.
    assert!(document.nodes.capacity() * size_of::<Node>() < 50_000_000);
}

#[test]
fn endless_numbers_are_refused_quickly() {
    let digits = "9".repeat(200_000);
    assert_eq!(
        quickly(|| refused(format!("i{digits}e").as_bytes())).0,
        Rule::IntegerTooLarge
    );
    assert_eq!(
        quickly(|| refused(format!("{digits}:").as_bytes())).0,
        Rule::StringTooLong
    );
}

#[test]
fn many_unsorted_keys_are_checked_quickly() {
    let dict = |keys: &mut dyn Iterator<Item = u32>| {
        let items: String = keys.map(|key| format!("8:{key:08}le")).collect();
        format!("d{items}e").into_bytes()
    };
    let downwards = dict(&mut (0..500_000).rev());
    let document = quickly(|| scan(&downwards).unwrap());
    assert!(!document.root().is_sorted());
    let twice = dict(&mut (0..500_000).rev().chain([250_000]));
    assert_eq!(
        quickly(|| refused(&twice)),
        (Rule::DuplicateKey, 1 + 500_000 * 12)
    );
    // Long common beginnings make every comparison dear.
    let long: String = (0..2_000)
        .rev()
        .map(|key| format!("4004:{}{key:04}le", "x".repeat(4_000)))
        .collect();
    assert!(quickly(|| scan(format!("d{long}e").as_bytes()).is_ok()));
}

#[test]
fn written_dictionaries_are_in_order() {
    let mut dict = DictWriter::new();
    dict.int("b", -7)
        .bytes("a", b"\xff")
        .strings("c", [&b"x"[..], b""]);
    dict.raw(b"aa", b"le".to_vec()).int("b", 8);
    let written = dict.finish();
    assert_eq!(written, b"d1:a1:\xff2:aale1:bi8e1:cl1:x0:ee");
    assert!(scan(&written).unwrap().root().is_sorted());
}

#[derive(Clone, Debug)]
enum Tree {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Tree>),
    Dict(Vec<(Vec<u8>, Tree)>),
}

fn encode(tree: &Tree, writer: &mut Writer) {
    match tree {
        Tree::Int(value) => {
            writer.int(*value);
        }
        Tree::Bytes(bytes) => {
            writer.bytes(bytes);
        }
        Tree::List(items) => {
            writer.begin_list();
            items.iter().for_each(|item| encode(item, writer));
            writer.end();
        }
        Tree::Dict(items) => {
            writer.begin_dict();
            for (key, value) in items {
                writer.bytes(key);
                encode(value, writer);
            }
            writer.end();
        }
    }
}

/// Writes a scanned value again, from what the accessors say.
fn again(value: Value<'_, '_>, writer: &mut Writer) {
    if let Some(number) = value.as_int() {
        writer.int(number);
    } else if let Some(bytes) = value.as_bytes() {
        writer.bytes(bytes);
    } else if let Some(list) = value.as_list() {
        writer.begin_list();
        list.for_each(|item| again(item, writer));
        writer.end();
    } else if let Some(dict) = value.as_dict() {
        writer.begin_dict();
        for (key, value) in dict.iter() {
            writer.bytes(key);
            again(value, writer);
        }
        writer.end();
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let key = prop::collection::vec(any::<u8>(), 0..6);
    let leaf = prop_oneof![
        any::<i64>().prop_map(Tree::Int),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Tree::Bytes),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Tree::List),
            prop::collection::hash_map(key.clone(), inner, 0..6)
                .prop_map(|items| Tree::Dict(items.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_accepted_is_read_completely(tree in trees()) {
        let mut writer = Writer::new();
        encode(&tree, &mut writer);
        let bytes = writer.finish();
        let document = scan(&bytes).unwrap();
        let mut rewritten = Writer::new();
        again(document.root(), &mut rewritten);
        prop_assert_eq!(rewritten.finish(), bytes);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(prop::sample::select(b"dlei0123-:ax".to_vec()), 0..60)) {
        if let Ok(document) = scan(&bytes) {
            let mut rewritten = Writer::new();
            again(document.root(), &mut rewritten);
            prop_assert_eq!(rewritten.finish(), bytes);
        }
    }
}
