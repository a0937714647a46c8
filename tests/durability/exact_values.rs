//! What JSON encodes, it decodes to the same value, bit by bit; and what could not be read again is
//! not encoded.

use std::collections::{BTreeMap, HashMap};

use jasper::codec::{Codec, CodecError, Json, decode};
use jasper::message::{Encodable, Payload};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// The value after a journey.
fn sent<T: Payload>(value: &T) -> Result<T, CodecError> {
    let payload = Json.encode(value.encodable())?;
    Ok(decode(&Json, &payload).expect("what is encoded can be decoded"))
}

fn refused(value: &dyn Encodable) -> String {
    match Json.encode(value) {
        Ok(payload) => panic!("it is accepted: {payload:?}"),
        Err(error) => error.to_string(),
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Measured<T> {
    value: T,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat<T> {
    name: String,
    #[serde(flatten)]
    rest: T,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged<T> {
    Value(T),
    Text(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged<T> {
    Value(T),
}

fn flat<T>(rest: T) -> Flat<T> {
    Flat { name: "n".into(), rest }
}

#[test]
fn a_float_comes_back_as_itself_and_not_as_its_neighbour() {
    let value = 4_090.743_999_999_999_7_f64;
    assert_eq!(sent(&value).unwrap().to_bits(), value.to_bits());
    for value in [-0.0, f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::MIN, 1e21, 1.0] {
        assert_eq!(sent(&value).unwrap().to_bits(), value.to_bits(), "{value:e}");
        let within = sent(&flat(Measured { value })).unwrap();
        assert_eq!(within.rest.value.to_bits(), value.to_bits(), "{value:e}");
    }
}

proptest! {
    #[test]
    fn every_finite_f64_keeps_its_bits_wherever_it_stands(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        prop_assert_eq!(sent(&value).unwrap().to_bits(), bits);
        let flattened = sent(&flat(Measured { value })).unwrap().rest.value;
        prop_assert_eq!(flattened.to_bits(), bits);
        let Untagged::Value(untagged) = sent(&Untagged::Value(value)).unwrap() else {
            panic!("it has become text");
        };
        prop_assert_eq!(untagged.to_bits(), bits);
    }

    #[test]
    fn every_finite_f32_keeps_its_bits_wherever_it_stands(bits in any::<u32>()) {
        let value = f32::from_bits(bits);
        prop_assume!(value.is_finite());
        prop_assert_eq!(sent(&value).unwrap().to_bits(), bits);
        let flattened = sent(&flat(Measured { value })).unwrap().rest.value;
        prop_assert_eq!(flattened.to_bits(), bits);
    }

    #[test]
    fn every_integer_and_every_text_comes_back(
        wide in any::<i128>(),
        large in any::<u128>(),
        long in any::<u64>(),
        text in any::<String>(),
    ) {
        prop_assert_eq!(sent(&(wide, large, long)).unwrap(), (wide, large, long));
        prop_assert_eq!(sent(&flat(Measured { value: long })).unwrap().rest.value, long);
        prop_assert_eq!(sent(&Untagged::<u64>::Text(text.clone())).unwrap(), Untagged::Text(text));
    }
}

#[test]
fn what_is_no_number_is_refused_wherever_it_stands() {
    let nan = f64::NAN;
    let stands_in = |value: &dyn Encodable, field: &str| {
        let error = refused(value);
        assert!(error.contains("NaN") && error.contains(field), "{field}: {error}");
    };
    stands_in(&nan, "a part of it");
    stands_in(&f64::INFINITY, "a part of it");
    stands_in(&f32::NEG_INFINITY, "a part of it");
    stands_in(&Measured { value: Some(nan) }, "`value`");
    stands_in(&Measured { value: vec![Measured { value: f32::NAN }] }, "`value[].value`");
    stands_in(&Measured { value: (1, nan) }, "`value[]`");
    stands_in(&flat(Measured { value: nan }), "and ");
    stands_in(&Untagged::Value(nan), "a part of it");
    stands_in(&Tagged::Value(Measured { value: nan }), "`value`");
    stands_in(&BTreeMap::from([("secret".to_owned(), nan)]), "`[]`");
    assert!(!refused(&HashMap::from([("secret".to_owned(), nan)])).contains("secret"));
    // Which is no NaN.
    assert_eq!(sent(&Measured { value: None::<f64> }).unwrap(), Measured { value: None });
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Nest {
    Leaf,
    Box(Box<Nest>),
    Pair(Box<Nest>, ()),
    Field { inner: Box<Nest> },
    List(Vec<Nest>),
}

#[test]
fn what_is_nested_as_deep_as_is_read_comes_back_and_one_level_more_is_refused() {
    type Wrap = fn(Nest) -> Nest;
    // With the levels that each has in JSON.
    let wraps: [(usize, Wrap); 4] = [
        (1, |nest| Nest::Box(Box::new(nest))),
        (2, |nest| Nest::Pair(Box::new(nest), ())),
        (2, |nest| Nest::Field { inner: Box::new(nest) }),
        (2, |nest| Nest::List(vec![nest])),
    ];
    for (levels, wrap) in wraps {
        let nested = |count| (0..count).fold(Nest::Leaf, |nest, _| wrap(nest));
        let deepest = 127 / levels;
        assert_eq!(sent(&nested(deepest)).unwrap(), nested(deepest));
        let error = refused(&nested(deepest + 1));
        assert!(error.contains("deeper than 127 levels"), "{error}");
    }
    let mut array = serde_json::json!([]);
    for _ in 0..126 {
        array = serde_json::json!([array]);
    }
    assert_eq!(sent(&array).unwrap(), array);
    assert!(refused(&serde_json::json!([array])).contains("nested"));
}

#[test]
fn a_wide_integer_is_refused_only_where_it_does_not_come_back() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Number {
        Wide(i128),
        Float(f64),
    }
    for value in [0, 5, i128::MAX, i128::MIN] {
        assert_eq!(sent(&Measured { value }).unwrap(), Measured { value });
        for uncertain in [
            &flat(Measured { value }) as &dyn Encodable,
            &Untagged::Value(value),
            &Tagged::Value(Measured { value }),
            // Read as a float, it would even be accepted.
            &Number::Wide(value),
        ] {
            let error = refused(uncertain);
            assert!(error.contains("128-bit"), "{error}");
        }
    }
    assert_eq!(sent(&Number::Float(0.5)).unwrap(), Number::Float(0.5));
}

#[test]
fn keys_that_are_no_text_are_refused_only_where_they_do_not_come_back() {
    let numbers = HashMap::from([(1u64, "one".to_owned()), (u64::MAX, "most".to_owned())]);
    assert_eq!(sent(&numbers).unwrap(), numbers);
    let error = refused(&flat(numbers.clone()));
    assert!(error.contains("cannot be read again"), "{error}");
    #[derive(Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    enum Color {
        Red,
    }
    let named = flat(HashMap::from([(Color::Red, numbers)]));
    assert!(refused(&named).contains("cannot be read again"));
    let named = flat(HashMap::from([(Color::Red, 1)]));
    assert_eq!(sent(&named).unwrap(), named);
    assert!(Json.encode(&HashMap::from([(vec![1], 1)])).is_err());
}

#[test]
fn two_fields_of_one_name_are_refused() {
    let twice = HashMap::from([("name".to_owned(), "other".to_owned())]);
    assert!(refused(&flat(twice)).contains("duplicate field `name`"));
    let once = flat(HashMap::from([("surname".to_owned(), "other".to_owned())]));
    assert_eq!(sent(&once).unwrap(), once);
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Typed {
        r#type: String,
    }
    assert!(refused(&Tagged::Value(Typed { r#type: "x".into() })).contains("read again"));
    let tagged = BTreeMap::from([("type".to_owned(), 1)]);
    assert!(refused(&Tagged::Value(tagged)).contains("read again"));
    let tagged = Tagged::Value(BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
    assert_eq!(sent(&tagged).unwrap(), tagged);
}

#[test]
fn bytes_that_their_type_cannot_read_are_refused() {
    #[derive(Debug)]
    struct Blob(Vec<u8>);

    impl Serialize for Blob {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&self.0)
        }
    }

    impl<'de> Deserialize<'de> for Blob {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Bytes;
            impl serde::de::Visitor<'_> for Bytes {
                type Value = Blob;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("bytes")
                }
                fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                    Ok(Blob(bytes.to_vec()))
                }
            }
            deserializer.deserialize_bytes(Bytes)
        }
    }
    assert!(refused(&Measured { value: Blob(vec![1, 2]) }).contains("cannot be read again"));
}
