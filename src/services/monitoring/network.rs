//! Posting to an address that somebody typed: web addresses only, and never into private networks unless the operator
//! allows it. The address is looked up once, and what was checked is what is connected to.

use std::{
    fmt,
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _},
    time::Duration,
};

/// Longest wait for a connection, and for each piece of an answer.
const CONNECT: Duration = Duration::from_secs(4);
const ANSWER: Duration = Duration::from_secs(8);
/// Of an answer only the status is read.
const MOST_READ: u64 = 4 * 1024;

/// Why nothing is sent to an address: a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(String);

/// Checks what can be checked of an address before it is used.
///
/// # Errors
/// What is wrong with it.
pub fn check_address(text: &str, private_allowed: bool) -> Result<url::Url, AddressError> {
    let wrong = |words: &str| AddressError(words.to_owned());
    let url = url::Url::parse(text.trim())
        .map_err(|_| wrong("Write a whole web address, such as https://example.org/hook."))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("The address has to start with https:// or http://."));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("Leave user name and password out of the address; messages are signed instead."));
    }
    let literal = match url.host() {
        Some(url::Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(url::Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(url::Host::Domain(name)) if name == "localhost" || name.ends_with(".localhost") => {
            Some(IpAddr::V4(Ipv4Addr::LOCALHOST))
        }
        Some(url::Host::Domain(_)) => None,
        None => return Err(wrong("The address names no server.")),
    };
    if literal.is_some_and(|address| !private_allowed && !is_public(address)) {
        return Err(wrong(PRIVATE));
    }
    Ok(url)
}

const PRIVATE: &str = "The address leads into a private network. Use a public one, or allow private ones with \
                       PROVOST_WEBHOOKS_TO_PRIVATE_NETWORKS.";

/// Whether an address is anybody's on the Internet, and not this machine's, its network's or a special one.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        // Addresses that carry one of the old kind: mapped, translated, 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        // Teredo and other special uses, documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Of all others, only global unicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Posts a body of JSON, follows nothing, and answers with the HTTP status. Blocks.
///
/// # Errors
/// Why there was no answer, in words.
pub(super) fn post(
    url: &str,
    private_allowed: bool,
    headers: &[(&str, String)],
    body: &str,
) -> Result<u16, String> {
    let url = check_address(url, private_allowed).map_err(|error| error.to_string())?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<SocketAddr> = (bare, port)
        .to_socket_addrs()
        .map_err(|error| format!("The server's name {host} cannot be found: {error}."))?
        .collect();
    // One private address among them is enough to refuse: which one is used is nobody else's to choose.
    if !private_allowed && addresses.iter().any(|address| !is_public(address.ip())) {
        return Err(PRIVATE.into());
    }
    let stream = connect(&addresses).map_err(|error| format!("No connection to {host}: {error}."))?;
    let message = message(&url, &host, headers, body);
    let answered = if url.scheme() == "https" {
        let tls = native_tls::TlsConnector::new().map_err(|error| format!("TLS cannot be used: {error}."))?;
        let mut tls =
            tls.connect(bare, stream).map_err(|error| format!("No secure connection to {host}: {error}."))?;
        exchange(&mut tls, message.as_bytes())
    } else {
        let mut stream = stream;
        exchange(&mut stream, message.as_bytes())
    };
    answered.map_err(|error| format!("{host} did not answer: {error}."))
}

fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses.iter().take(2) {
        match TcpStream::connect_timeout(address, CONNECT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(ANSWER))?;
                stream.set_write_timeout(Some(ANSWER))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn message(url: &url::Url, host: &str, headers: &[(&str, String)], body: &str) -> String {
    let mut target = url.path().to_owned();
    if let Some(query) = url.query() {
        target = format!("{target}?{query}");
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let mut message = format!(
        "POST {target} HTTP/1.1\r\nhost: {host}{port}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nuser-agent: Provost\r\nconnection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        message.push_str(&format!("{name}: {value}\r\n"));
    }
    message.push_str("\r\n");
    message.push_str(body);
    message
}

/// Sends, and reads the first line of the answer.
fn exchange(stream: &mut (impl Read + Write), message: &[u8]) -> io::Result<u16> {
    stream.write_all(message)?;
    stream.flush()?;
    let mut line = Vec::new();
    BufReader::new(stream.take(MOST_READ)).read_until(b'\n', &mut line)?;
    status_of(&String::from_utf8_lossy(&line))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, Unreadable))
}

/// "HTTP/1.1 204 No Content" says 204.
fn status_of(line: &str) -> Option<u16> {
    let (version, rest) = line.split_once(' ')?;
    let code: u16 = rest.split([' ', '\r']).next()?.parse().ok()?;
    (version.starts_with("HTTP/1.") && (100..600).contains(&code)).then_some(code)
}

#[derive(Debug)]
struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what came back is not HTTP")
    }
}

impl std::error::Error for Unreadable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_refused_in_every_spelling() {
        for bad in [
            "http://127.0.0.1/x",
            "http://localhost:8080",
            "http://a.localhost",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://10.0.0.1",
            "http://172.16.9.9",
            "http://192.168.1.1",
            "http://169.254.169.254/latest",
            "http://100.64.0.1",
            "http://0.0.0.0",
            "http://[::1]/",
            "http://[::]",
            "http://[::ffff:127.0.0.1]",
            "http://[fd00::1]",
            "http://[fe80::1]",
            "http://[64:ff9b::7f00:1]",
            "http://[2002:7f00:1::]",
            "http://[2001::1]",
            "http://[::127.0.0.1]",
            "http://[2001:db8::1]",
            "http://255.255.255.255",
            "http://192.0.0.8",
            "http://198.18.0.1",
            "http://224.0.0.1",
        ] {
            assert!(check_address(bad, false).is_err(), "{bad}");
            assert!(check_address(bad, true).is_ok(), "{bad}");
        }
        for bad in
            ["ftp://example.org", "file:///etc/passwd", "example.org", "http://", "https://u:p@example.org"]
        {
            assert!(check_address(bad, true).is_err(), "{bad}");
        }
        for good in ["https://example.org/hook?x=1", "http://8.8.8.8", "https://[2606:4700::1111]/"] {
            assert!(check_address(good, false).is_ok(), "{good}");
        }
        // A name that is looked up and found to be private.
        assert!(post("http://localhost:9/", false, &[], "").is_err());
        assert_eq!(status_of("HTTP/1.1 204 No Content\r"), Some(204));
        assert_eq!(status_of("SSH-2.0-OpenSSH"), None);
    }
}
