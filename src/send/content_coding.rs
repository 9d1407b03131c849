//! Answers that are compressed although requests ask for plain ones.
//!
//! Owns the codings that are understood, and the limit of what they unpack to. A delivered message
//! must not be sent again because a gateway packed its answer.
//!
//! Not here: how an answer is received (`http_transport.rs`), and its meaning (`platforms/`).

use std::io::Read;

use bytes::Bytes;

/// The first bytes of every gzip stream. No JSON begins with them.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The most codings that one answer may have.
const CODINGS_MAX: usize = 4;

/// The body without its codings, as the value of `Content-Encoding` lists them in the order in
/// which they were applied. At most `bytes_max` bytes are unpacked. A body that cannot be unpacked
/// is returned as far as it was.
pub(super) fn decoded(body: Bytes, codings: &str, bytes_max: usize) -> Bytes {
    let listed = codings.split(',').map(str::trim).filter(|coding| !coding.is_empty());
    let mut body = body;
    if is_plain(&body) {
        return body;
    }
    for coding in listed.rev().take(CODINGS_MAX) {
        match Coding::named(coding) {
            Some(coding) => body = coding.unpacked(&body, bytes_max),
            None if coding.eq_ignore_ascii_case("identity") => (),
            None => return body,
        }
    }
    // A gateway may drop the header and keep the coding.
    if body.starts_with(&GZIP_MAGIC) { Coding::Gzip.unpacked(&body, bytes_max) } else { body }
}

/// Whether the body is plain already, whatever its header says.
fn is_plain(body: &[u8]) -> bool {
    std::str::from_utf8(body)
        .is_ok_and(|text| text.trim_start_matches('\u{feff}').trim_start().starts_with('{'))
}

#[derive(Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
}

impl Coding {
    fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "br" => Some(Self::Brotli),
            _ => None,
        }
    }

    fn unpacked(self, packed: &[u8], bytes_max: usize) -> Bytes {
        match self {
            Self::Gzip => read(flate2::read::MultiGzDecoder::new(packed), bytes_max),
            // By the standard it is the zlib form; some servers send the raw one.
            Self::Deflate => {
                let zlib = read(flate2::read::ZlibDecoder::new(packed), bytes_max);
                if !zlib.is_empty() {
                    return zlib;
                }
                read(flate2::read::DeflateDecoder::new(packed), bytes_max)
            }
            Self::Brotli => read(brotli_decompressor::Decompressor::new(packed, 4096), bytes_max),
        }
    }
}

/// Reads up to the limit, or up to the first damage.
fn read(from: impl Read, bytes_max: usize) -> Bytes {
    let mut plain = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    // What came before a damage is kept, because the code of an answer is at its beginning.
    let _ = from.take(limit).read_to_end(&mut plain);
    plain.into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    const PLAIN: &[u8] = br#"{"errcode":0,"errmsg":"ok"}"#;
    /// `PLAIN` in brotli, stored without compression.
    const BROTLI: &[u8] = b"\x0b\x0d\x80{\"errcode\":0,\"errmsg\":\"ok\"}\x03";

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut writer = GzEncoder::new(Vec::new(), Compression::default());
        writer.write_all(plain).unwrap();
        writer.finish().unwrap()
    }

    fn zlib(plain: &[u8]) -> Vec<u8> {
        let mut writer = ZlibEncoder::new(Vec::new(), Compression::default());
        writer.write_all(plain).unwrap();
        writer.finish().unwrap()
    }

    fn raw_deflate(plain: &[u8]) -> Vec<u8> {
        let mut writer = DeflateEncoder::new(Vec::new(), Compression::default());
        writer.write_all(plain).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn each_coding_is_taken_off_in_its_order() {
        for (body, codings) in [
            (PLAIN.to_vec(), ""),
            (PLAIN.to_vec(), "identity"),
            (gzip(PLAIN), "gzip"),
            (gzip(PLAIN), " X-GZIP "),
            (gzip(PLAIN), ""),
            (PLAIN.to_vec(), "gzip"),
            (zlib(PLAIN), "deflate"),
            (raw_deflate(PLAIN), "deflate"),
            (PLAIN.to_vec(), "deflate"),
            (BROTLI.to_vec(), "br"),
            (gzip(&zlib(PLAIN)), "deflate, gzip"),
            (gzip(&gzip(PLAIN)), "gzip, identity, gzip"),
        ] {
            let plain = decoded(body.into(), codings, 1_000);
            assert_eq!(plain, PLAIN, "{codings}: {}", String::from_utf8_lossy(&plain));
        }
    }

    #[test]
    fn what_unpacks_to_very_much_is_read_to_the_limit_only() {
        let bomb = vec![b'x'; 5_000_000];
        for (body, coding) in [(gzip(&bomb), "gzip"), (zlib(&bomb), "deflate")] {
            assert_eq!(decoded(body.into(), coding, 1_000).len(), 1_000, "{coding}");
        }
    }

    #[test]
    fn a_damaged_body_is_read_as_far_as_it_goes_and_an_unknown_coding_is_left() {
        let mut cut = gzip(PLAIN);
        cut.truncate(cut.len() - 6);
        assert_eq!(decoded(cut.into(), "gzip", 1_000), PLAIN);
        let packed = Bytes::from_static(b"\x28\xb5\x2f\xfd");
        assert_eq!(decoded(packed.clone(), "zstd", 1_000), packed);
    }
}
