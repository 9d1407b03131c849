//! Files of certificates to trust besides the system's.
//!
//! Owns their check before use. Without it, a TLS handshake would blame the other side's
//! certificate for a mistake in the file.
//!
//! Not here: the connections that trust them (`broker/connection.rs`, `send/clients.rs`).

use std::{io::Read, path::Path};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::private_file;

/// The text of a PEM file with at least one certificate, and no unreadable ones.
///
/// # Errors
///
/// A sentence about the mistake, without the path.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = private_file::open_regular(path).and_then(|mut file| file.read_to_string(&mut text));
    read.map_err(|error| error.to_string())?;
    let mut trusted = RootCertStore::empty();
    for found in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let certificate = found.map_err(|error| format!("it is not PEM: {error}"))?;
        trusted
            .add(certificate)
            .map_err(|error| format!("a certificate in it cannot be read: {error}"))?;
    }
    if trusted.is_empty() {
        Err("there is no certificate in it, as PEM".to_owned())
    } else {
        Ok(text)
    }
}
