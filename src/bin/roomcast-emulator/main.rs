//! emu
fn main() {}
