//! Sequences, maps and structs, element by element.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::watch::{EACH, Watch, Watched};

/// A sequence, map or struct that is being written.
pub(super) struct Compound<'a, C> {
    inner: C,
    watch: &'a Watch,
    levels: usize,
    /// The first key of a map and the first field of a struct: the tag of an enum, under which
    /// another may stand.
    first: Option<u64>,
    first_field: Option<&'static str>,
}

impl<'a, C> Compound<'a, C> {
    pub(super) const fn new(inner: C, watch: &'a Watch, levels: usize) -> Self {
        Self { inner, watch, levels, first: None, first_field: None }
    }

    fn watched<'v, T: ?Sized>(&self, value: &'v T) -> Watched<'v, T>
    where
        'a: 'v,
    {
        Watched { value, watch: self.watch, is_key: false }
    }

    fn note_field(&mut self, name: &'static str) {
        match self.first_field {
            None => self.first_field = Some(name),
            Some(first) if first == name => self.watch.flag(),
            Some(_) => {}
        }
    }
}

macro_rules! sequences {
    ($($trait:ident $method:ident)*) => {$(
        impl<C: $trait> $trait for Compound<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), C::Error> {
                let value = self.watched(value);
                let written = self.inner.$method(&value);
                self.watch.at(EACH, written)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.watch.leave(self.levels);
                self.inner.end()
            }
        }
    )*};
}

sequences! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

macro_rules! structs {
    ($($trait:ident)*) => {$(
        impl<C: $trait> $trait for Compound<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                self.note_field(name);
                let value = self.watched(value);
                let written = self.inner.serialize_field(name, &value);
                self.watch.at(name, written)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
                self.inner.skip_field(name)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.watch.leave(self.levels);
                self.inner.end()
            }
        }
    )*};
}

structs! { SerializeStruct SerializeStructVariant }

impl<C: SerializeMap> SerializeMap for Compound<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), C::Error> {
        self.watch.key.set(None);
        let key = Watched { value: key, watch: self.watch, is_key: true };
        let written = self.inner.serialize_key(&key);
        match (self.first, self.watch.key.get()) {
            (None, key) => self.first = key,
            (first, key) if first == key => self.watch.flag(),
            _ => {}
        }
        self.watch.at(EACH, written)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), C::Error> {
        let value = self.watched(value);
        let written = self.inner.serialize_value(&value);
        self.watch.at(EACH, written)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.watch.leave(self.levels);
        self.inner.end()
    }
}
