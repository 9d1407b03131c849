//! roomcast as a whole: the real binary against a real, private RabbitMQ and the emulated platforms.

mod crash;
mod dead;
mod delivery;
mod leaks;
mod limits;
mod startup;
mod support;
