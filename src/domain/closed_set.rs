//! Closed sets: enums whose values are listed.
//!
//! Owns the list of all values. The derive macro of `Enum` makes it, so no value can be forgotten.
//!
//! Not here: the sets themselves, and the names of their values.

use enum_map::Enum;

/// Every value of a closed set, in the order of its declaration.
pub fn every<T: Enum>() -> impl Iterator<Item = T> + Clone {
    (0..T::LENGTH).map(T::from_usize)
}
