//! Certificates for servers under TLS.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A certificate with its key and the authority behind it, all in PEM.
#[derive(Debug, Clone)]
pub struct Certified {
    /// What is trusted.
    pub root: String,
    /// The certificate.
    pub chain: String,
    /// Its key.
    pub key: String,
}

/// A certificate of this name, by an authority of its own.
pub fn certified(name: &str) -> Certified {
    let mut params = CertificateParams::new(Vec::new()).expect("no names are names");
    // With a name that is not that of the certificate, or it would be taken for self-signed.
    params.distinguished_name.push(DnType::CommonName, "authority of the tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key of the authority");
    let root = params.self_signed(&key).expect("the authority signs itself").pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name of a host");
    let chain = params.signed_by(&key, &issuer).expect("the authority signs").pem();
    Certified { root, chain, key: key.serialize_pem() }
}
