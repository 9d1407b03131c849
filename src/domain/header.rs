//! Message headers in roomcast's own types, so that a publisher's headers survive every republish.
//!
//! Owns the bound on a publisher's headers ([`HEADERS_BYTES_MAX`]).
//!
//! Not here: the conversion from and to AMQP (`broker/properties.rs`).

/// The headers of a message, in order.
pub type Headers = Vec<(String, HeaderValue)>;

/// The value of one header. Integers of all widths become one kind; every other type keeps its
/// kind.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderValue {
    /// No value.
    Void,
    /// A truth value.
    Bool(bool),
    /// An integer of any width.
    Int(i64),
    /// A floating-point number of either width.
    Float(f64),
    /// A decimal: scale and unscaled value.
    Decimal(u8, u32),
    /// Text. Its bytes need not be valid UTF-8.
    Text(Vec<u8>),
    /// Bytes that are not text.
    Bytes(Vec<u8>),
    /// Seconds since the epoch.
    Timestamp(u64),
    /// Several values.
    List(Vec<HeaderValue>),
    /// Named values.
    Table(Headers),
}

impl HeaderValue {
    /// A text value.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into_bytes())
    }

    /// The value as text, if it is valid text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) | Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The value as an integer, if it is one.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }
}

/// The most bytes of headers that one message of a publisher may have. Together with roomcast's
/// headers they have to fit one AMQP frame: 131,072 bytes, unless the broker is configured
/// otherwise.
pub const HEADERS_BYTES_MAX: usize = 96 * 1024;

/// The same for a connection whose frames have at most `frame_max` bytes; 0 is no limit. A quarter
/// of the frame is for roomcast's headers and for what the broker adds.
#[must_use]
pub fn headers_max(frame_max: u32) -> usize {
    match usize::try_from(frame_max) {
        Ok(0) | Err(_) => HEADERS_BYTES_MAX,
        Ok(frame_max) => (frame_max / 4 * 3).min(HEADERS_BYTES_MAX),
    }
}

/// The upper bound of the bytes that these headers need on the wire.
#[must_use]
pub fn bytes_of(headers: &Headers) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.bytes()).sum()
}

impl HeaderValue {
    /// The upper bound of the bytes that the value needs on the wire, including the length fields
    /// of its name.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Bytes(bytes) => bytes.len() + 6,
            Self::List(list) => list.iter().map(Self::bytes).sum::<usize>() + 6,
            Self::Table(headers) => bytes_of(headers) + 6,
            _ => 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_quarters_of_a_frame_are_for_the_publishers_headers() {
        for (frame_max, expected) in
            [(0, 98_304), (131_072, 98_304), (1_000_000, 98_304), (8_192, 6_144), (4_096, 3_072)]
        {
            assert_eq!(headers_max(frame_max), expected);
        }
    }
}
