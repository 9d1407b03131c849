//! Compressed bodies: gzip, deflate and zstd. The only file that names the crates for them.
//!
//! Owns the bound of an unpacked body, and that the bytes themselves tell what they are: a property
//! that is wrong or absent costs no event.
//!
//! Not here: the characters of the unpacked body (`body.rs`).

use std::{borrow::Cow, io::Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder;

use super::undecodable::Undecodable;

/// The largest window of zstd, in bytes. Each decoder supports this size.
const ZSTD_WINDOW_MAX: u64 = 8 * 1024 * 1024;
/// How often a body may be packed.
const LAYERS_MAX: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Gzip,
    /// Deflate with the frame of zlib, as HTTP means it.
    Zlib,
    /// Deflate without a frame.
    Deflate,
    Zstd,
}

/// The body without compression, at most `size_max` bytes.
///
/// # Errors
///
/// It is larger, or it is damaged.
pub(super) fn unpack<'a>(
    body: &'a [u8],
    content_encoding: Option<&str>,
    size_max: usize,
) -> Result<Cow<'a, [u8]>, Undecodable> {
    let mut bytes = Cow::Borrowed(body);
    // The codings are named in the order in which they were applied.
    let named = content_encoding.unwrap_or_default().rsplit(',').filter_map(named);
    for packing in named.take(LAYERS_MAX) {
        // A gateway may have unpacked the body and left the property.
        let Some(packing) = found(&bytes, packing) else { continue };
        bytes = Cow::Owned(read(&bytes, packing, size_max)?);
    }
    // Some clients name the compression in a header of their own, or nowhere.
    if let Some(packing) = recognised(&bytes) {
        match read(&bytes, packing, size_max) {
            Ok(unpacked) => bytes = Cow::Owned(unpacked),
            // Two letters of a plain text may look like zlib.
            Err(_) if packing == Packing::Zlib => {}
            Err(refused) => return Err(refused),
        }
    }
    Ok(bytes)
}

/// The compression with this name. `None` for `identity`, names of charsets, and others.
fn named(coding: &str) -> Option<Packing> {
    let coding = coding.trim().to_ascii_lowercase();
    let coding = coding.rsplit('/').next().unwrap_or_default();
    match coding.strip_prefix("x-").unwrap_or(coding) {
        "gzip" | "gz" => Some(Packing::Gzip),
        "deflate" | "zlib" => Some(Packing::Zlib),
        "zstd" | "zst" => Some(Packing::Zstd),
        _ => None,
    }
}

/// The compression that the bytes have, if one is named.
fn found(bytes: &[u8], named: Packing) -> Option<Packing> {
    recognised(bytes).or_else(|| {
        let text = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        // Deflate without a frame has no beginning of its own, and an event in clear text has.
        (named == Packing::Zlib && text != Some(&b'{')).then_some(Packing::Deflate)
    })
}

/// The compression by the first bytes. JSON has none of them.
fn recognised(bytes: &[u8]) -> Option<Packing> {
    match bytes {
        [0x1f, 0x8b, ..] => Some(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packing::Zstd),
        [method @ 0x78, flags, ..]
            if (u16::from(*method) * 256 + u16::from(*flags)).is_multiple_of(31) =>
        {
            Some(Packing::Zlib)
        }
        _ => None,
    }
}

fn read(bytes: &[u8], packing: Packing, size_max: usize) -> Result<Vec<u8>, Undecodable> {
    let (name, unpacked) = match packing {
        Packing::Gzip => ("gzip", limited(MultiGzDecoder::new(bytes), size_max)),
        Packing::Zlib => ("deflate", limited(ZlibDecoder::new(bytes), size_max)),
        Packing::Deflate => ("deflate", limited(DeflateDecoder::new(bytes), size_max)),
        Packing::Zstd => (
            "zstd",
            StreamingDecoder::new_with_max_window_size(bytes, ZSTD_WINDOW_MAX)
                .ok()
                .and_then(|reader| limited(reader, size_max)),
        ),
    };
    match unpacked {
        Some(unpacked) if unpacked.len() > size_max => Err(Undecodable {
            code: "size",
            detail: format!(
                "the body has more than {size_max} bytes when it is unpacked ({name}): \
                 at most {size_max} are possible"
            ),
        }),
        Some(unpacked) => Ok(unpacked),
        None => Err(Undecodable {
            code: "json",
            detail: format!("the body is packed with {name} and cannot be unpacked: it is damaged"),
        }),
    }
}

/// All bytes, or one more than `size_max`. `None` if they cannot be read.
fn limited(reader: impl Read, size_max: usize) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    let most = u64::try_from(size_max).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(most).read_to_end(&mut unpacked).ok()?;
    Some(unpacked)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    const TEXT: &[u8] = br#"{"message": "disk full"}"#;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = GzEncoder::new(Vec::new(), Compression::default());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn zlib(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut writer = ZlibEncoder::new(Vec::new(), Compression::new(level));
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn raw(bytes: &[u8]) -> Vec<u8> {
        let mut writer = DeflateEncoder::new(Vec::new(), Compression::default());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn a_body_is_unpacked_as_its_bytes_say_whatever_the_property_says() {
        let twice = [gzip(&TEXT[..7]), gzip(&TEXT[7..])].concat();
        for (what, body, encodings) in [
            ("plain", TEXT.to_vec(), &["", "gzip", "deflate", "zstd", "utf-8", "br", "binary"][..]),
            (
                "gzip",
                gzip(TEXT),
                &["gzip", "GZIP", "x-gzip", "gzip, identity", "utf-8", "", "zstd"],
            ),
            ("gzip in two members", twice, &["gzip"]),
            ("zlib", zlib(TEXT, 6), &["deflate", "Deflate ", "zlib", "utf-8", ""]),
            ("zlib, best", zlib(TEXT, 9), &["deflate", "application/x-gzip", ""]),
            ("deflate", raw(TEXT), &["deflate", "identity,deflate"]),
            ("zstd", zstd(TEXT), &["zstd", "application/zstd", "utf-8", ""]),
            ("both", zstd(&gzip(TEXT)), &["gzip, zstd", "gzip", "zstd"]),
        ] {
            for encoding in encodings {
                let unpacked = unpack(&body, Some(encoding), 100).map(Cow::into_owned);
                assert_eq!(unpacked.as_deref(), Ok(TEXT), "{what}, {encoding:?}");
            }
        }
        assert_eq!(unpack(b"x^2 is large", None, 100), Ok(Cow::Borrowed(&b"x^2 is large"[..])));
    }

    #[test]
    fn an_unpacked_body_is_bounded_and_a_damaged_one_says_so() {
        let bomb = vec![b' '; 10_000_000];
        for (name, body) in [
            ("gzip", gzip(&bomb)),
            ("deflate", zlib(&bomb, 6)),
            ("deflate", raw(&bomb)),
            ("zstd", zstd(&bomb)),
        ] {
            let refused = unpack(&body, Some(name), 1000).unwrap_err();
            assert_eq!(refused.code, "size");
            assert_eq!(
                refused.detail,
                format!(
                    "the body has more than 1000 bytes when it is unpacked ({name}): \
                     at most 1000 are possible"
                )
            );
        }
        let exact = gzip(&[b'x'; 1000]);
        assert_eq!(unpack(&exact, Some("gzip"), 1000).unwrap().len(), 1000);
        for (name, mut body) in [("gzip", gzip(TEXT)), ("zstd", zstd(TEXT))] {
            body.truncate(body.len() / 2);
            let refused = unpack(&body, Some(name), 1000).unwrap_err();
            let says =
                format!("the body is packed with {name} and cannot be unpacked: it is damaged");
            assert_eq!((refused.code, refused.detail), ("json", says));
        }
    }

    #[test]
    fn a_window_of_zstd_takes_no_more_memory_than_allowed() {
        // A frame without a content size, whose window is 2 GiB.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
        assert!(unpack(&frame, Some("zstd"), 1000).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_unpacking_panic(
            body: Vec<u8>,
            encoding in "(gzip|deflate|zstd|, ?){0,4}",
            kind in 0_usize..4,
        ) {
            let heads: [&[u8]; 4] =
                [&[], &[0x1f, 0x8b, 8], &[0x28, 0xb5, 0x2f, 0xfd], &[0x78, 0x9c]];
            let head = heads[kind];
            let _ = unpack(&[head, &body].concat(), Some(&encoding), 1000);
        }
    }
}
