//! A browser without a screen: cookies, forms, and pages read by selector and by their words.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use scraper::{Html, Selector};
use ureq::{Agent, http};

/// Form fields.
pub type Fields<'a> = &'a [(&'a str, &'a str)];

/// One browser.
pub struct Caller {
    agent: Agent,
    address: SocketAddr,
    cookies: RefCell<BTreeMap<String, String>>,
    /// Sent with every request; a later value of a name replaces an earlier one.
    headers: RefCell<BTreeMap<String, String>>,
}

impl Caller {
    pub fn new(address: SocketAddr) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_secs(30)))
            // The server closes what was idle for five seconds, even when the next request is on its way.
            .max_idle_age(Duration::from_secs(1))
            .build();
        let headers =
            [("sec-fetch-site", "same-origin"), ("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/140.0")];
        Self {
            agent: Agent::new_with_config(config),
            address,
            cookies: RefCell::default(),
            headers: RefCell::new(headers.map(|(name, value)| (name.into(), value.into())).into()),
        }
    }

    /// Sends this header from now on; an empty value stops it.
    pub fn with(self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub fn set(&self, name: &str, value: &str) {
        let mut headers = self.headers.borrow_mut();
        match value {
            "" => headers.remove(name),
            _ => headers.insert(name.to_owned(), value.to_owned()),
        };
    }

    /// Another browser that holds the same cookies.
    pub fn copy(&self) -> Self {
        let copy = Self::new(self.address);
        copy.cookies.replace(self.cookies.borrow().clone());
        copy
    }

    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.borrow().get(name).cloned()
    }

    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.borrow_mut().insert(name.into(), value.into());
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], &[])
    }

    /// Posts a plain form.
    pub fn post(&self, path: &str, fields: Fields<'_>) -> Answer {
        self.send(
            "POST",
            path,
            &[("content-type", "application/x-www-form-urlencoded")],
            form(fields).as_bytes(),
        )
    }

    /// Posts a form with a file.
    pub fn upload(&self, path: &str, file_name: &str, content: &[u8], fields: Fields<'_>) -> Answer {
        let mut body = Vec::new();
        for (name, value) in fields {
            body.extend(
                format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                    .bytes(),
            );
        }
        body.extend(
            format!(
                "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file_name}\"\r\n\
                 Content-Type: text/csv\r\n\r\n"
            )
            .bytes(),
        );
        body.extend(content);
        body.extend(b"\r\n--edge--\r\n");
        self.send("POST", path, &[("content-type", "multipart/form-data; boundary=edge")], &body)
    }

    /// Anything else. Headers given here win over the caller's own.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut all = self.headers.borrow().clone();
        let jar: Vec<String> =
            self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !jar.is_empty() {
            all.insert("cookie".into(), jar.join("; "));
        }
        for (name, value) in headers {
            all.insert((*name).into(), (*value).into());
        }
        let request = || {
            let request =
                http::Request::builder().method(method).uri(format!("http://{}{path}", self.address));
            all.iter().fold(request, |request, (name, value)| request.header(name, value))
        };
        let result = match method {
            "POST" | "PUT" | "PATCH" => self.agent.run(request().body(body).expect("a request")),
            _ => {
                let ask = || self.agent.run(request().body(()).expect("a request"));
                // As every browser does: the server may have closed the idle connection meanwhile.
                ask().or_else(|error| if is_closed(&error) { ask() } else { Err(error) })
            }
        };
        let mut response = result.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let headers: Vec<(String, String)> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body = response.body_mut().with_config().limit(64 << 20).read_to_vec().expect("a whole body");
        let answer =
            Answer { asked: format!("{method} {path}"), status: response.status().as_u16(), headers, body };
        self.remember(&answer);
        answer
    }

    fn remember(&self, answer: &Answer) {
        for line in answer.all("set-cookie") {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').expect("a cookie");
            let gone =
                value.is_empty() || attributes.to_lowercase().split(';').any(|a| a.trim() == "max-age=0");
            let mut cookies = self.cookies.borrow_mut();
            if gone {
                cookies.remove(name);
            } else {
                cookies.insert(name.into(), value.into());
            }
        }
    }
}

/// Whether the connection was closed before any answer came.
fn is_closed(error: &ureq::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error, ureq::Error::Io(cause) if [BrokenPipe, ConnectionReset, UnexpectedEof].contains(&cause.kind()))
}

/// A form's body.
pub fn form(fields: Fields<'_>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    asked: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Method and path.
    pub fn asked(&self) -> &str {
        &self.asked
    }

    pub fn header<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Where a redirect leads; empty when it is none.
    pub fn location(&self) -> &str {
        self.header("location").unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The words of every element that fits, spaces made single.
    pub fn words(&self, selector: &str) -> Vec<String> {
        let html = Html::parse_document(&self.text());
        let selector = Selector::parse(selector).expect("a selector");
        html.select(&selector).map(|element| single_spaced(&element.text().collect::<String>())).collect()
    }

    /// The values of an attribute.
    pub fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        let html = Html::parse_document(&self.text());
        let selector = Selector::parse(selector).expect("a selector");
        html.select(&selector)
            .filter_map(|element| element.value().attr(name).map(ToOwned::to_owned))
            .collect()
    }

    pub fn has(&self, selector: &str) -> bool {
        !self.words(selector).is_empty()
    }

    /// Fails unless the status is this one.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {} {}", self.asked, self.location(), self.main());
        self
    }

    /// Fails unless it is a 303 to this path.
    #[track_caller]
    pub fn leads_to(self, path: &str) -> Self {
        let answer = self.is(303);
        assert_eq!(answer.location(), path, "{}", answer.asked);
        answer
    }

    /// Fails unless a person reads these words on the page.
    #[track_caller]
    pub fn shows(self, words: &str) -> Self {
        let main = self.main();
        assert!(main.contains(words), "{} does not show {words:?}: {main}", self.asked);
        self
    }

    /// What a person reads in the page's main part, or the raw text of anything else.
    pub fn main(&self) -> String {
        self.words("main").pop().unwrap_or_else(|| self.text())
    }
}

fn single_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Sends bytes as they are, for what no client would send; the answer up to the end of the connection.
pub fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    stream.write_all(request).expect("sent");
    let mut answer = Vec::new();
    // The server may cut the connection after its answer.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A form as it stands on a page.
#[derive(Debug, Clone)]
pub struct PageForm {
    pub action: String,
    pub fields: Vec<(String, String)>,
}

impl Answer {
    /// The form that fits, filled as the page fills it.
    #[track_caller]
    pub fn form(&self, selector: &str) -> PageForm {
        let html = Html::parse_document(&self.text());
        let form = Selector::parse(selector).expect("a selector");
        let form = html.select(&form).next().unwrap_or_else(|| panic!("{}: no form {selector}", self.asked));
        let controls = Selector::parse("input[name], select[name], textarea[name]").expect("a selector");
        let mut fields = Vec::new();
        for control in form.select(&controls) {
            let element = control.value();
            let name = element.attr("name").unwrap_or_default().to_owned();
            let value = match element.name() {
                "textarea" => Some(control.text().collect::<String>()),
                "select" => {
                    let options = Selector::parse("option").expect("a selector");
                    let mut options = control.select(&options).map(|option| option.value());
                    let first = options.clone().next();
                    options
                        .find(|option| option.attr("selected").is_some())
                        .or(first)
                        .map(|option| option.attr("value").unwrap_or_default().to_owned())
                }
                _ if matches!(element.attr("type"), Some("checkbox" | "radio")) => {
                    element.attr("checked").and(element.attr("value")).map(ToOwned::to_owned)
                }
                _ => Some(element.attr("value").unwrap_or_default().to_owned()),
            };
            fields.extend(value.map(|value| (name, value)));
        }
        PageForm { action: form.value().attr("action").unwrap_or_default().to_owned(), fields }
    }
}

impl PageForm {
    /// Types into a field.
    pub fn fill(&self, name: &str, value: &str) -> Self {
        let mut form = self.clone();
        form.fields.retain(|(known, _)| known != name);
        form.fields.push((name.into(), value.into()));
        form
    }

    /// Presses its button.
    pub fn submit(&self, caller: &Caller) -> Answer {
        let fields: Vec<(&str, &str)> = self.fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        caller.post(&self.action, &fields)
    }
}
