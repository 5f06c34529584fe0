//! What the variables say that name a proxy, and for whom none is used.
//!
//! The HTTP library takes a value that it cannot read for none at all, and goes without a proxy, where there may be rules
//! against that.

use url::{Host, Url};

use super::values::Expected;

/// The variables that are read, in capital letters and in small ones.
pub(super) const VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// What proxies are written like.
const PROXY: Expected = Expected("the address of a proxy, such as http://proxy.example.com:8080");

/// Whether it is the address of a proxy of another kind.
pub(super) fn is_socks(value: &str) -> bool {
    value.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("socks")) && value.contains("://")
}

/// Whether the address of a proxy can be used. What is said of a wrong one does not repeat it.
pub(super) fn check(value: &str) -> Result<(), Expected> {
    let address: http::Uri = value.parse().map_err(|_| PROXY)?;
    match address.scheme_str() {
        None | Some("http" | "https") => {}
        Some(_) if is_socks(value) => return Err(Expected("an HTTP proxy; SOCKS is not spoken")),
        Some(_) => return Err(PROXY),
    }
    let authority = address.authority().ok_or(PROXY)?;
    let place = authority.as_str().rsplit('@').next().unwrap_or_default();
    // Of an address of IPv6 the last colon is within brackets.
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    let has_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if host.is_empty() || !has_port { Err(PROXY) } else { Ok(()) }
}

/// Whether the host of a URL is this machine by any of its names for itself; no proxy is asked then.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_proxies() {
        for value in [
            "http://proxy:8080",
            "http://proxy:8080/",
            "https://proxy.example.com",
            "http://ada:s3cret@proxy:8080",
            "http://ada:p%40ss@proxy",
            "proxy:8080",
            "proxy",
            "127.0.0.1:3128",
            "http://[::1]:3128",
            "http://[::1]",
        ] {
            assert_eq!(check(value), Ok(()), "{value}");
        }
        for value in [
            "http://",
            "http:/proxy:8080",
            "http//proxy:8080",
            "http://proxy:port",
            "http://proxy:99999",
            "http://proxy:0",
            "http://:8080",
            "http://proxy:8080 ",
            "http://pro xy",
            "htp://proxy",
            "ftp://proxy:21",
            "socks5://proxy:1080",
            "socks5h://proxy:1080",
            "/run/proxy",
            "http://ada:pa#ss@proxy:8080",
            " ",
        ] {
            assert!(check(value).is_err(), "{value}");
        }
    }
}
