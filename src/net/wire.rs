//! What a conversation travels on: a stream with or without TLS, replies one at a time, and the
//! bytes of commands and bodies that may be written to it.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use smtp_proto::Response;
use smtp_proto::response::parser::ResponseReceiver;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::feedback::verdict::Class;

/// The stream, and what the peer said that was not asked for yet.
pub struct Wire {
    stream: Either<TcpStream, TlsStream<TcpStream>>,
    unread: Vec<u8>,
}

impl Wire {
    /// A stream nothing is known to be left on.
    #[must_use]
    pub fn new(stream: Either<TcpStream, TlsStream<TcpStream>>) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// Hands all bytes to the kernel.
    ///
    /// # Errors
    /// When the peer hung up, or took nothing for that long.
    pub async fn write(&mut self, bytes: &[u8], patience: Duration) -> Result<(), Trouble> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(patience, written).await {
            Ok(done) => done.map_err(Trouble::network),
            Err(_) => Err(Trouble::network("the peer does not take what is sent to it")),
        }
    }

    /// Exactly one reply; what follows it stays for the next call.
    ///
    /// # Errors
    /// When there was none in time, the peer hung up, or it spoke no SMTP.
    pub async fn reply(&mut self, patience: Duration) -> Result<Response<String>, Trouble> {
        let mut parser = ResponseReceiver::default();
        let whole = async {
            loop {
                let mut bytes = self.unread.iter();
                let parsed = parser.parse(&mut bytes);
                let used = self.unread.len() - bytes.len();
                self.unread.drain(..used);
                match parsed {
                    Ok(reply) => return Ok(reply),
                    Err(smtp_proto::Error::NeedsMoreData { .. }) => (),
                    Err(_) => {
                        let reply = "the peer's answer is no SMTP reply".to_owned();
                        return Err(Trouble { class: Class::Protocol, reply });
                    }
                }
                if self.stream.read_buf(&mut self.unread).await.map_err(Trouble::network)? == 0 {
                    return Err(Trouble::network("the peer hung up"));
                }
            }
        };
        timeout(patience, whole)
            .await
            .unwrap_or_else(|_| Err(Trouble::network("no answer in time")))
    }

    /// Whether the peer said something, without waiting for it.
    ///
    /// # Errors
    /// When it hung up.
    pub async fn peer_spoke(&mut self) -> Result<bool, Trouble> {
        // Lets the runtime learn what arrived since it last looked.
        tokio::task::yield_now().await;
        if !self.unread.is_empty() {
            return Ok(true);
        }
        tokio::select! {
            biased;
            read = self.stream.read_buf(&mut self.unread) => match read {
                Ok(0) => Err(Trouble::network("the peer hung up")),
                Ok(_) => Ok(true),
                Err(error) => Err(Trouble::network(error)),
            },
            () = std::future::ready(()) => Ok(false),
        }
    }
}

/// What goes wrong on the way, before it is known whose trouble it is.
#[derive(Debug)]
pub struct Trouble {
    /// What kind of trouble.
    pub class: Class,
    /// In the peer's words or ours.
    pub reply: String,
}

impl Trouble {
    /// Trouble on the way.
    #[must_use]
    pub fn network(why: impl fmt::Display) -> Self {
        Self { class: Class::Network, reply: why.to_string() }
    }
}

/// Control characters, blanks or angle brackets would end the address and begin something else.
#[must_use]
pub fn breaks_command(address: &str) -> bool {
    const BYTES_MAX: usize = 254;
    address.len() > BYTES_MAX
        || address.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>'))
}

/// Lenient peers end a message at a bare LF and a dot: one letter would become two.
#[must_use]
pub fn has_bare_cr_or_lf(message: &[u8]) -> bool {
    let mut last = 0;
    for &byte in message {
        if (last == b'\r') != (byte == b'\n') {
            return true;
        }
        last = byte;
    }
    last == b'\r'
}

/// The body with leading dots doubled (RFC 5321 §4.5.2), and what ends it. The last CRLF is held
/// back, so that CRLF, dot, CRLF travel in one piece.
#[must_use]
pub fn stuffed(message: &[u8]) -> (Vec<u8>, &'static [u8]) {
    let mut body = Vec::with_capacity(message.len() + message.len() / 64 + 2);
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        if line.first() == Some(&b'.') {
            body.push(b'.');
        }
        body.extend_from_slice(line);
    }
    if body.is_empty() {
        return (body, b".\r\n");
    }
    if body.ends_with(b"\r\n") {
        body.truncate(body.len() - 2);
    }
    (body, b"\r\n.\r\n")
}

/// TLS with any certificate: what opportunistic encryption needs.
///
/// # Errors
/// When the TLS library will not be set up.
pub fn any_certificate() -> Result<&'static TlsConnector, Trouble> {
    static CONNECTOR: LazyLock<Result<TlsConnector, String>> = LazyLock::new(|| {
        let provider = Arc::new(ring::default_provider());
        let verifier = AnyCertificate(Arc::clone(&provider));
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    });
    CONNECTOR.as_ref().map_err(Trouble::network)
}

/// Takes any certificate, but only from a peer that holds its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
