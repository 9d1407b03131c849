//! roomcast as a whole: the real binary against a real, private RabbitMQ and the emulated platforms.

mod delivery;
mod support;
