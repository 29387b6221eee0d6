//! Where a request comes from, with proxies believed only when they are named in the configuration.

use std::net::IpAddr;

use actix_web::{HttpRequest, web::Data};

use crate::models::Actor;

/// Proxies whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(pub Vec<IpAddr>);

/// The other end of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its address; "unknown" when the transport has none.
    pub ip: String,
    /// Its own description, cut to 300 characters, control characters removed.
    pub user_agent: String,
}

impl Client {
    /// Reads the peer's address, or, behind trusted proxies, the nearest address that is none of theirs.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        let trusted: &[IpAddr] =
            request.app_data::<Data<TrustedProxies>>().map_or(&[], |proxies| proxies.0.as_slice());
        let peer = request.peer_addr().map(|address| address.ip());
        let ip = peer.map(|peer| nearest_stranger(peer, forwarded(request), trusted));
        Self {
            ip: ip.map_or_else(|| "unknown".into(), |ip| ip.to_string()),
            user_agent: header(request, "user-agent").chars().filter(|c| !c.is_control()).take(300).collect(),
        }
    }

    /// The author of changes made by this request.
    #[must_use]
    pub fn actor(&self, id: crate::db::Id, name: &str) -> Actor {
        let (ip, user_agent) = (Some(self.ip.clone()), Some(self.user_agent.clone()));
        Actor { id: Some(id), name: name.to_owned(), ip, user_agent }
    }

    /// A visitor who is not signed in, acting under the name they gave.
    #[must_use]
    pub fn visitor(&self, name: &str) -> Actor {
        let (ip, user_agent) = (Some(self.ip.clone()), Some(self.user_agent.clone()));
        Actor { id: None, name: name.to_owned(), ip, user_agent }
    }
}

fn header<'r>(request: &'r HttpRequest, name: &str) -> &'r str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn forwarded(request: &HttpRequest) -> &str {
    header(request, "x-forwarded-for")
}

/// Proxies append on the right, and everything further left can be made up by the client.
fn nearest_stranger(peer: IpAddr, forwarded: &str, trusted: &[IpAddr]) -> IpAddr {
    let mut nearest = peer;
    for text in forwarded.rsplit(',') {
        if !trusted.contains(&nearest) {
            break;
        }
        match text.trim().parse() {
            Ok(next) => nearest = next,
            Err(_) => break,
        }
    }
    nearest
}

/// "Firefox on Linux" says more to a person than the whole user agent.
#[must_use]
pub fn browser_name(agent: &str) -> String {
    let find = |names: &[(&str, &'static str)]| {
        names.iter().find(|(key, _)| agent.contains(key)).map(|(_, name)| *name)
    };
    let browser = find(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = find(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        _ => "Unknown browser".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{browser_name, nearest_stranger};

    #[test]
    fn only_named_proxies_are_believed() {
        let ip = |text: &str| text.parse().unwrap();
        let trusted = [ip("10.0.0.1")];
        assert_eq!(nearest_stranger(ip("1.2.3.4"), "9.9.9.9", &trusted), ip("1.2.3.4"));
        assert_eq!(nearest_stranger(ip("10.0.0.1"), "6.6.6.6, 9.9.9.9", &trusted), ip("9.9.9.9"));
        assert_eq!(nearest_stranger(ip("10.0.0.1"), "", &trusted), ip("10.0.0.1"));
    }
    #[test]
    fn a_browser_has_a_name() {
        let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36 Edg/131.0";
        assert_eq!(browser_name(agent), "Edge on Linux");
        assert_eq!(browser_name("curl/8.5"), "Unknown browser");
    }
}
