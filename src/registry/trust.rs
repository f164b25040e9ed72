//! Which certificate authorities hold, for our own requests and for the build.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use super::settings::Settings;
use crate::context::Context;
use crate::error::{Error, Result};

/// Where Linux distributions keep the system's authorities in one file: Debian, Fedora and its
/// kin, openSUSE, Alpine (the list of Go's `crypto/x509`).
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The certificate authorities that hold.
#[derive(Debug, Clone)]
pub struct Trust {
    certificates: Vec<Certificate<'static>>,
    own: usize,
    /// Files that were named and could not be used, for people to read.
    pub notes: Vec<String>,
}

impl Trust {
    /// Reads them: `SSL_CERT_FILE` if it is set, else the system's; and besides
    /// `NODE_EXTRA_CA_CERTS`, npm's `cafile` and `ca`, pip's `cert`.
    pub fn load(ctx: &Context, settings: &Settings) -> Result<Self> {
        let mut trust = Self { certificates: Vec::new(), own: 0, notes: Vec::new() };
        let mut known = HashSet::new();
        match ctx.env.get("SSL_CERT_FILE") {
            Some(file) => {
                // OpenSSL trusts nothing then. We say so, rather than trust what was replaced.
                let fail = || Error::failed("can't read the file that SSL_CERT_FILE names");
                if Path::new(file).is_relative() {
                    return Err(fail()
                        .because("it names a file of the working directory, which has no say")
                        .hint("give SSL_CERT_FILE an absolute path, or unset it"));
                }
                let pem = std::fs::read(file).map_err(|e| fail().because(e).hint("correct or unset SSL_CERT_FILE"))?;
                trust.add(&pem, &mut known);
            }
            None => trust.add_system(&mut known),
        }
        let replaced = ctx.env.get("SSL_CERT_FILE").is_some();
        let system = trust.certificates.len();
        for (what, path) in extra_files(ctx, settings) {
            if path.is_relative() {
                trust.notes.push(format!("{what} is not an absolute path; ignored"));
                continue;
            }
            match std::fs::read(&path) {
                Ok(pem) if trust.add(&pem, &mut known) => {}
                Ok(_) => trust.notes.push(format!("{what} names a file without certificates")),
                Err(e) => trust.notes.push(format!("can't read the file that {what} names: {e}")),
            }
        }
        if let Some(pem) = &settings.npm.ca {
            trust.add(pem.as_bytes(), &mut known);
        }
        if trust.certificates.is_empty() {
            return Err(Error::failed("no certificate authorities found")
                .hint("install your system's ca-certificates, or set SSL_CERT_FILE"));
        }
        trust.own = trust.certificates.len() - if replaced { 0 } else { system };
        Ok(trust)
    }

    /// All authorities as PEM, for the programs of a build.
    pub fn bundle_pem(&self) -> Vec<u8> {
        let mut out = String::new();
        for certificate in &self.certificates {
            out.push_str("-----BEGIN CERTIFICATE-----\n");
            let text = BASE64_STANDARD.encode(certificate.der());
            for line in text.as_bytes().chunks(64) {
                out.push_str(&String::from_utf8_lossy(line));
                out.push('\n');
            }
            out.push_str("-----END CERTIFICATE-----\n");
        }
        out.into_bytes()
    }

    /// The user named authorities besides, or in place of, the system's: a build needs
    /// [`Self::bundle_pem`], because its base image does not know them.
    pub fn is_customised(&self) -> bool {
        self.own > 0
    }

    /// All authorities, for our own requests.
    pub fn roots(&self) -> RootCerts {
        RootCerts::new_with_certs(&self.certificates)
    }

    /// Adds what is new; `false` if there was no certificate in it.
    fn add(&mut self, pem: &[u8], known: &mut HashSet<Vec<u8>>) -> bool {
        let mut any = false;
        for item in parse_pem(pem).flatten() {
            if let PemItem::Certificate(certificate) = item {
                any = true;
                if known.insert(certificate.der().to_vec()) {
                    self.certificates.push(certificate);
                }
            }
        }
        any
    }

    fn add_system(&mut self, known: &mut HashSet<Vec<u8>>) {
        if cfg!(target_os = "linux") {
            for path in SYSTEM_BUNDLES {
                let pem = std::fs::read(Path::new(path)).unwrap_or_default();
                if self.add(&pem, known) {
                    return;
                }
            }
        }
        for der in rustls_native_certs::load_native_certs().certs {
            if known.insert(der.to_vec()) {
                self.certificates.push(Certificate::from_der(&der).to_owned());
            }
        }
    }
}

fn extra_files(ctx: &Context, settings: &Settings) -> Vec<(&'static str, PathBuf)> {
    let node = ctx.env.get("NODE_EXTRA_CA_CERTS").map(PathBuf::from);
    [
        ("NODE_EXTRA_CA_CERTS", node),
        ("npm's `cafile`", settings.npm.cafile.clone()),
        ("pip's `cert`", settings.python.cert.clone()),
    ]
    .into_iter()
    .filter_map(|(what, path)| Some((what, path?)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::testing::context;

    /// PEM armour around made-up bytes: nothing here checks what is inside.
    fn pem(content: &str) -> String {
        let text = BASE64_STANDARD.encode(content);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    fn load(env: &[(&str, &str)], npmrc: &str) -> Result<Trust> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(".npmrc"), npmrc).unwrap();
        let ctx = context(home.path(), env);
        Trust::load(&ctx, &Settings::load(&ctx))
    }

    #[test]
    fn named_files_add_up_without_repeats() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let a = file("a.pem", &format!("# comment\n{}{}", pem("one"), pem("two")));
        let b = file("b.pem", &format!("{}{}", pem("two"), pem("three")));
        let nothing = file("c.pem", "nothing");
        let env = [("SSL_CERT_FILE", a.as_str()), ("NODE_EXTRA_CA_CERTS", b.as_str()), ("PIP_CERT", nothing.as_str())];
        let trust = load(&env, "cafile=/nonexistent/ca.pem").unwrap();
        let bundle = String::from_utf8(trust.bundle_pem()).unwrap();
        assert_eq!(bundle, format!("{}{}{}", pem("one"), pem("two"), pem("three")));
        assert!(trust.is_customised());
        assert_eq!(trust.notes.len(), 2, "{:?}", trust.notes);
    }

    #[test]
    fn a_missing_ssl_cert_file_is_fatal() {
        let error = load(&[("SSL_CERT_FILE", "/nonexistent")], "").unwrap_err();
        assert!(error.what.contains("SSL_CERT_FILE"));
    }
}
