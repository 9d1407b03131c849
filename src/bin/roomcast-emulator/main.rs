//! emu
fn main(){}
