//! `keygen`: a key to sign letters with, and the DNS record that tells of it.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use data_encoding::BASE64;
use graviola::signing::rsa::{KeySize, SigningKey};
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use serde_json::json;

use crate::control::{Answer, Failure};
use crate::letter::sign::{DkimKey, zone_text};
use crate::secret;

/// `keygen`.
#[derive(Args, Debug)]
pub struct KeygenArgs {
    /// The domain that signs: that of the From address, or one above it
    #[arg(value_name = "DOMAIN")]
    pub domain: String,
    /// The key's name in DNS, below DOMAIN: SELECTOR._domainkey.DOMAIN
    #[arg(long, value_name = "SELECTOR")]
    pub selector: String,
    /// Where to write the private key [default: SELECTOR.pem]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What kind of key
    #[arg(long, value_enum, default_value_t)]
    pub algorithm: Algorithm,
    /// Make no key: show the record of the one in FILE
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "algorithm"])]
    pub show: Option<PathBuf>,
}

/// What kind of key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Algorithm {
    /// 2048 bits: every receiver verifies it
    #[default]
    Rsa,
    /// Small and fast, not yet verified everywhere: use it beside an RSA key
    Ed25519,
}

/// Makes a key, or shows one.
///
/// # Errors
/// 64 for a selector or domain that is none, 73 when the file is there or cannot be made, 78 for a
/// file that holds no key.
pub fn run(args: &KeygenArgs) -> Result<Answer, Failure> {
    let file = match (&args.show, &args.out) {
        (Some(file), _) | (None, Some(file)) => file.clone(),
        (None, None) => PathBuf::from(format!("{}.pem", args.selector)),
    };
    let pem = match args.show {
        Some(_) => secret::read(&file, secret::GROUP_MAY_READ).map_err(|error| {
            Failure::new(78, format!("{}: {error}", file.display()), error.fix(&file))
        })?,
        None => pem(args.algorithm)?,
    };
    let key = DkimKey::parse(&args.domain, &args.selector, &pem).map_err(|error| {
        let fix = "give a domain, --selector NAME, and a private key in PEM";
        let code = if args.show.is_some() { 78 } else { 64 };
        Failure::new(code, format!("{}: {error}", file.display()), fix)
    })?;
    if args.show.is_none() {
        write(&file, &pem).map_err(|error| {
            let fix = "name another file with --out: a key is never overwritten";
            Failure::new(73, format!("{}: {error}", file.display()), fix)
        })?;
    }
    let record = key.record();
    Ok(Answer::One(json!({
        "key_file": file.display().to_string(),
        "name": key.name(),
        "type": "TXT",
        "value": record,
        "zone_line": format!("{}. IN TXT ( {} )", key.name(), zone_text(&record)),
        "config": format!(
            "[[dkim]]\ndomain = {:?}\nselector = {:?}\nkey_file = {:?}",
            key.domain(),
            args.selector,
            file.display().to_string(),
        ),
    })))
}

fn pem(algorithm: Algorithm) -> Result<String, Failure> {
    const DER_BYTES_MAX: usize = 4096;
    const LINE_BYTES: usize = 64;
    let no_randomness =
        || Failure::new(74, "the system gives no random numbers", "check /dev/urandom");
    let der = match algorithm {
        Algorithm::Rsa => {
            let key = SigningKey::generate(KeySize::Rsa2048).map_err(|_| no_randomness())?;
            let mut room = [0; DER_BYTES_MAX];
            key.to_pkcs8_der(&mut room).map_err(|_| no_randomness())?.to_vec()
        }
        Algorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| no_randomness())?
            .as_ref()
            .to_vec(),
    };
    let mut text = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for line in BASE64.encode(&der).as_bytes().chunks(LINE_BYTES) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    Ok(text)
}

fn write(path: &Path, pem: &str) -> std::io::Result<()> {
    let mut options = File::options();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()
}
