//! HTTP: connections, compression, and answers that are delivered badly on purpose.

use std::future::poll_fn;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, VARY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::call::Call;
use super::routes::{self, Answer, Delivery};
use super::state::Shared;

/// Largest request body that is read.
const MAX_BODY: usize = 1 << 20;
/// Smaller answers are not worth compressing.
const MIN_COMPRESSED: usize = 1_024;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Accepts connections until told to stop, or until nobody is left who could tell.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let stop_of_connections = stop.clone();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(serve(stream, Arc::clone(&shared), stop_of_connections.clone()));
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let reset = Arc::new(AtomicBool::new(false));
    let service = {
        let reset = Arc::clone(&reset);
        service_fn(move |request| Box::pin(answer(Arc::clone(&shared), Arc::clone(&reset), request)))
    };
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => return,
        _ = poll_fn(|context| connection.poll_without_shutdown(context)) => {}
    }
    if reset.load(Ordering::Relaxed) {
        // Closing with zero linger sends RST instead of FIN; where that fails the close alone has to do.
        connection.into_parts().io.into_inner().set_zero_linger().ok();
    }
}

/// Answers one request. An error closes the connection without an answer.
async fn answer(
    shared: Arc<Shared>,
    reset: Arc<AtomicBool>,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let accepts_gzip = head.headers.get_all(ACCEPT_ENCODING).iter().any(allows_gzip);
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let call = Call::new(head.method, &head.uri, head.headers, &body.to_bytes());
    let answer = routes::respond(&shared, &call);
    if !shared.settings.latency.is_zero() {
        tokio::time::sleep(shared.settings.latency).await;
    }
    match answer.delivery {
        Delivery::Held(time) => tokio::time::sleep(time).await,
        Delivery::Reset => {
            reset.store(true, Ordering::Relaxed);
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Delivery::Whole | Delivery::Truncated => {}
    }
    response(answer, accepts_gzip && shared.settings.gzip)
}

fn response(answer: Answer, gzip: bool) -> io::Result<Response<Body>> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(answer.status).map_err(io::Error::other)?;
    for (name, value) in answer.headers {
        response.headers_mut().append(name, HeaderValue::from_str(&value).map_err(io::Error::other)?);
    }
    let compress = gzip && answer.body.len() >= MIN_COMPRESSED;
    let bytes = if compress {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        compressed(answer.body.as_bytes())?
    } else {
        Bytes::from(answer.body)
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let body = match answer.delivery {
        Delivery::Truncated => half(&bytes),
        _ => Full::new(bytes).map_err(|never| match never {}).boxed_unsync(),
    };
    Ok(response.map(|()| body))
}

fn compressed(body: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    Ok(encoder.finish()?.into())
}

/// The first half of an answer, then a failure.
fn half(bytes: &Bytes) -> Body {
    let sent = bytes.slice(..bytes.len() / 2);
    let frames = stream::unfold(Some(sent), |left| async move {
        match left {
            Some(sent) if !sent.is_empty() => Some((Ok(Frame::data(sent)), Some(Bytes::new()))),
            _ => {
                // What was handed over is sent when the body pauses, and would be dropped if it failed at once.
                tokio::task::yield_now().await;
                Some((Err(io::ErrorKind::UnexpectedEof.into()), None))
            }
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

fn allows_gzip(accepted: &HeaderValue) -> bool {
    let offers = accepted.to_str().unwrap_or_default().split(',');
    offers.map(str::trim).any(|offer| {
        let (coding, quality) = offer.split_once(';').unwrap_or((offer, ""));
        matches!(coding.trim(), "gzip" | "*") && !matches!(quality.trim(), "q=0" | "q=0.0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_where_it_is_allowed() {
        for (header, allowed) in [
            ("gzip", true),
            ("br, gzip;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(allows_gzip(&HeaderValue::from_static(header)), allowed, "{header}");
        }
    }
}
