//! A serializer around that of `serde_json`, which refuses what could not be read again and notes
//! what may not.

use serde::ser::{Serialize, Serializer};

use super::compound::Compound;
use super::watch::{Findings, JsonFault, Refused, Watch, Watched, hash_of};

/// The structs in which `serde_json` hides numbers and raw JSON: they are no nesting.
const HIDDEN: &str = "$serde_json::private::";

/// Writes a value, if it can be read again.
pub(super) fn write(
    value: &dyn erased_serde::Serialize,
    to: &mut Vec<u8>,
) -> Result<Findings, Refused> {
    let watch = Watch::default();
    let mut json = serde_json::Serializer::new(to);
    let written = Watched { value, watch: &watch, is_key: false }.serialize(&mut json);
    match written {
        Ok(()) => Ok(watch.found.get()),
        Err(error) => Err(match watch.fault.get() {
            Some(JsonFault::NotFinite) => Refused::NotFinite { field: watch.field() },
            Some(JsonFault::TooDeep) => Refused::TooDeep { field: watch.field() },
            None => Refused::Other(error),
        }),
    }
}

impl<T: ?Sized + Serialize> Serialize for Watched<'_, T> {
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Strict { inner, watch: self.watch, is_key: self.is_key })
    }
}

struct Strict<'a, S> {
    inner: S,
    watch: &'a Watch,
    is_key: bool,
}

impl<'a, S: Serializer> Strict<'a, S> {
    fn same<'v, T: ?Sized>(&self, value: &'v T) -> Watched<'v, T>
    where
        'a: 'v,
    {
        Watched { value, watch: self.watch, is_key: self.is_key }
    }

    /// Keys that are not text come back as text where serde has to hold them in between.
    fn note_scalar(&self) {
        if self.is_key {
            self.watch.flag();
        }
    }

    fn note_text(&self, text: &str) {
        if self.is_key {
            self.watch.key.set(Some(hash_of(text)));
        }
    }

    fn note_wide(&self) {
        self.watch.found.set(Findings { needs_proof: true, is_wide: true });
    }

    fn compound<C>(
        self,
        levels: usize,
        open: impl FnOnce(S) -> Result<C, S::Error>,
    ) -> Result<Compound<'a, C>, S::Error> {
        self.watch.enter(levels)?;
        let inner = open(self.inner)?;
        Ok(Compound::new(inner, self.watch, levels))
    }
}

macro_rules! scalars {
    ($($method:ident($type:ty))*) => {$(
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.note_scalar();
            self.inner.$method(value)
        }
    )*};
}

macro_rules! floats {
    ($($method:ident($type:ty))*) => {$(
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            if !value.is_finite() {
                return Err(self.watch.refuse(JsonFault::NotFinite));
            }
            self.note_scalar();
            self.inner.$method(value)
        }
    )*};
}

macro_rules! wide {
    ($($method:ident($type:ty))*) => {$(
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.note_wide();
            self.inner.$method(value)
        }
    )*};
}

impl<'a, S: Serializer> Serializer for Strict<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Compound<'a, S::SerializeSeq>;
    type SerializeTuple = Compound<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Compound<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Compound<'a, S::SerializeTupleVariant>;
    type SerializeMap = Compound<'a, S::SerializeMap>;
    type SerializeStruct = Compound<'a, S::SerializeStruct>;
    type SerializeStructVariant = Compound<'a, S::SerializeStructVariant>;

    scalars! {
        serialize_bool(bool) serialize_char(char)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
    }
    floats! { serialize_f32(f32) serialize_f64(f64) }
    wide! { serialize_i128(i128) serialize_u128(u128) }

    fn serialize_str(self, value: &str) -> Result<S::Ok, S::Error> {
        self.note_text(value);
        self.inner.serialize_str(value)
    }

    /// An array of numbers, which not every type that writes bytes reads.
    fn serialize_bytes(self, value: &[u8]) -> Result<S::Ok, S::Error> {
        self.watch.enter(1)?;
        self.watch.leave(1);
        self.watch.flag();
        self.inner.serialize_bytes(value)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<S::Ok, S::Error> {
        let value = self.same(value);
        self.inner.serialize_some(&value)
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_struct(name)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.note_text(variant);
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.same(value);
        self.inner.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let watch = self.watch;
        watch.enter(1)?;
        let value = Watched { value, watch, is_key: false };
        let written = self.inner.serialize_newtype_variant(name, index, variant, &value);
        watch.leave(1);
        watch.at(variant, written)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.compound(1, |inner| inner.serialize_seq(length))
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.compound(1, |inner| inner.serialize_tuple(length))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.compound(1, |inner| inner.serialize_tuple_struct(name, length))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.compound(2, |inner| inner.serialize_tuple_variant(name, index, variant, length))
    }

    /// A map without a length is that of `#[serde(flatten)]`: its keys may stand twice.
    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        if length.is_none() {
            self.watch.flag();
        }
        self.compound(1, |inner| inner.serialize_map(length))
    }

    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        let levels = usize::from(!name.starts_with(HIDDEN));
        self.compound(levels, |inner| inner.serialize_struct(name, length))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.compound(2, |inner| inner.serialize_struct_variant(name, index, variant, length))
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}
