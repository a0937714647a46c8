//! The tests of the shop: one program, so that it is linked once.

mod fixture;
mod orders;
mod shared;
