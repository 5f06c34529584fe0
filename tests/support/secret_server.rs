//! A server on loopback that speaks TLS, with a certificate that only the authority of the tests vouches for.
//!
//! The certificates in `tests/data/tls` are valid from 2000 to 9999, for `localhost`. The key is nobody's secret.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The server. It answers every request with 401 and ends with the process.
pub(crate) struct SecretServer {
    /// How it is asked.
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl SecretServer {
    pub(crate) fn start() -> Self {
        let certificate = CertificateDer::from_pem_file(file("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![certificate], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let stream =
                    StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), socket.unwrap());
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                // A client that does not believe the server goes away.
                if stream.read_line(&mut line).is_err() || line.is_empty() {
                    continue;
                }
                log.lock().unwrap().push(line.trim().to_owned());
                let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                stream.get_mut().write_all(answer).ok();
                stream.get_mut().conn.send_close_notify();
                stream.get_mut().flush().ok();
            }
        });
        Self { url, asked }
    }

    /// The first lines of the requests that came through.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The file with the certificate of the authority.
    pub(crate) fn authority() -> String {
        file("authority.pem").display().to_string()
    }
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}
