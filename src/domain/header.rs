//! Message headers in our own terms, so that what a publisher sent along survives every republish.

/// The headers of a message, in their order.
pub type Headers = Vec<(String, HeaderValue)>;

/// The value of one header. Integers of all widths are one kind; everything else keeps its kind.
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
    /// Text; it may be any bytes.
    Text(Vec<u8>),
    /// Bytes that are not meant as text.
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

/// So many bytes of a publisher's headers go along with its message; what they say together with ours has to fit one frame of AMQP, which has 131,072 bytes
/// unless the broker is set otherwise.
pub const HEADERS_BYTES_MAX: usize = 96 * 1024;

/// How many bytes headers need on the wire, at the most.
#[must_use]
pub fn bytes_of(headers: &Headers) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.bytes()).sum()
}

impl HeaderValue {
    /// How many bytes it needs on the wire, at the most, with the ends of its name.
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
