//! The crates whose handlers belong to the program are named in one place.

mod main_of_a_binary {
    jasper::handlers_of!(jasper, serde,);
}
