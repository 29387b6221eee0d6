//! Mail: through an SMTP server, or into an outbox folder where none is configured.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::{Address, SmtpTransport, Transport as _};

use crate::models::text::Email;

/// How long the mail server may take for each answer.
const TIME_OUT: Duration = Duration::from_secs(10);
/// Longer subjects are cut: names in them come from people.
const MAX_SUBJECT_CHARS: usize = 200;

/// A message of plain text to one person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    pub to: Email,
    pub to_name: String,
    pub subject: String,
    pub body: String,
}

/// Who the messages are from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sender {
    pub name: String,
    pub address: Email,
}

/// Sends messages. Blocking: to be called where waiting is allowed.
pub struct Mailer {
    from: Sender,
    way: Way,
}

enum Way {
    Smtp { transport: SmtpTransport, server: String },
    Outbox { folder: PathBuf, tells_links: bool },
}

/// Why a message was not sent, or mail cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error(
        "PROVOST_SMTP_URL is not a usable address of a mail server ({0}). Write smtps://user:password@host, or \
         smtp://user:password@host?tls=required"
    )]
    Url(String),
    #[error(
        "PROVOST_SMTP_URL would send the password in clear. Write smtps://, or add ?tls=required to the address"
    )]
    PasswordInClear,
    #[error("the message could not be put together: {0}")]
    Message(String),
    #[error("the mail server {server} did not take the message: {cause}")]
    Smtp { server: String, cause: lettre::transport::smtp::Error },
    #[error("the message could not be written to {path}: {cause}", path = path.display())]
    Outbox { path: PathBuf, cause: io::Error },
}

impl MailError {
    /// Whether sending again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Smtp { cause, .. } => !cause.is_permanent(),
            Self::Outbox { .. } => true,
            Self::Url(_) | Self::PasswordInClear | Self::Message(_) => false,
        }
    }
}

impl Mailer {
    /// Through a server: `smtps://user:password@host:port`, or `smtp://...?tls=required`. Connects when sending.
    pub fn smtp(url: &str, from: Sender) -> Result<Self, MailError> {
        let parsed = url::Url::parse(url).map_err(|error| MailError::Url(error.to_string()))?;
        let server = parsed.host_str().filter(|host| !host.is_empty());
        let server = server.ok_or_else(|| MailError::Url("it names no server".to_owned()))?.to_owned();
        if !matches!(parsed.scheme(), "smtp" | "smtps") {
            return Err(MailError::Url(format!("its scheme is {}", parsed.scheme())));
        }
        // An opportunistic connection gives the password to whoever stands in between.
        let tls = parsed.scheme() == "smtps"
            || parsed.query_pairs().any(|pair| pair == ("tls".into(), "required".into()));
        let local = matches!(&*server, "localhost" | "127.0.0.1" | "[::1]");
        if parsed.password().is_some() && !tls && !local {
            return Err(MailError::PasswordInClear);
        }
        let builder = SmtpTransport::from_url(url).map_err(|error| MailError::Url(error.to_string()))?;
        let transport = builder.timeout(Some(TIME_OUT)).build();
        Ok(Self { from, way: Way::Smtp { transport, server } })
    }

    /// Into a folder, a file a message. For development the log can tell the links as well; elsewhere whoever
    /// reads the log could sign in with them.
    pub fn outbox(folder: PathBuf, from: Sender, tells_links: bool) -> Self {
        Self { from, way: Way::Outbox { folder, tells_links } }
    }

    /// Sends a message, or says why not.
    pub fn send(&self, message: &Message) -> Result<(), MailError> {
        let letter = self.letter(message)?;
        match &self.way {
            Way::Smtp { transport, server } => match transport.send(&letter) {
                Ok(_) => Ok(()),
                Err(cause) => Err(MailError::Smtp { server: server.clone(), cause }),
            },
            Way::Outbox { folder, tells_links } => {
                let path = write_file(folder, &letter.formatted())
                    .map_err(|cause| MailError::Outbox { path: folder.clone(), cause })?;
                log::info!("{}", written(message, &path, *tells_links));
                Ok(())
            }
        }
    }

    fn letter(&self, message: &Message) -> Result<lettre::Message, MailError> {
        let unique = uuid::Uuid::now_v7().simple();
        lettre::Message::builder()
            .from(mailbox(&self.from.name, &self.from.address)?)
            .to(mailbox(&message.to_name, &message.to)?)
            .subject(one_line(&message.subject))
            .date_now()
            .message_id(Some(format!("<{unique}@{}>", self.from.address.host())))
            // So that nobody's holiday notice answers.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .header(ContentType::TEXT_PLAIN)
            .body(message.body.clone())
            .map_err(|error| MailError::Message(error.to_string()))
    }
}

/// Tells the way, never the password in it.
impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Smtp { server, .. } => write!(f, "Mailer(through {server})"),
            Way::Outbox { folder, .. } => write!(f, "Mailer(into {})", folder.display()),
        }
    }
}

fn mailbox(name: &str, email: &Email) -> Result<Mailbox, MailError> {
    let address: Address =
        email.for_delivery().parse().map_err(|error| MailError::Message(format!("{error}")))?;
    let name = one_line(name);
    Ok(Mailbox::new((!name.is_empty()).then_some(name), address))
}

/// A header is one line: whatever would end it becomes a blank.
fn one_line(text: &str) -> String {
    let blank = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c };
    text.chars().map(blank).take(MAX_SUBJECT_CHARS).collect::<String>().trim().to_owned()
}

/// What the log says of a message in a file.
fn written(message: &Message, path: &Path, tells_links: bool) -> String {
    let links: Vec<_> = links(&message.body).filter(|_| tells_links).collect();
    let links = if links.is_empty() { String::new() } else { format!("; links: {}", links.join(" ")) };
    format!("mail to {} is in {}{links}", message.to, path.display())
}

fn links(body: &str) -> impl Iterator<Item = &str> {
    body.split_whitespace().filter(|word| word.starts_with("http://") || word.starts_with("https://"))
}

/// Written under another name first, so that who watches the folder never sees half a message.
fn write_file(folder: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // These ids are ordered by time, and so are the messages.
    let id = uuid::Uuid::now_v7();
    let part = folder.join(format!(".{id}.part"));
    let path = folder.join(format!("{id}.eml"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, &path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;
    use std::os::unix::fs::PermissionsExt as _;
    use std::thread;

    use super::*;

    fn from() -> Sender {
        Sender { name: "Provost".into(), address: Email::parse("provost@example.edu").unwrap() }
    }

    fn message() -> Message {
        Message {
            to: Email::parse("Ada@exämple.edu").unwrap(),
            to_name: "Ada Lovelace".into(),
            subject: "Welcome".into(),
            body: "Hello Ada,\n\nhttps://example.edu/invitations/abc\n".into(),
        }
    }

    fn sent_to_outbox(message: &Message) -> String {
        let folder = std::env::temp_dir().join(format!("provost-mail-{}", uuid::Uuid::now_v7()));
        Mailer::outbox(folder.clone(), from(), false).send(message).unwrap();
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].extension().unwrap(), "eml");
        assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        let text = fs::read_to_string(&files[0]).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        text
    }

    #[test]
    fn the_outbox_gets_a_whole_message() {
        let text = sent_to_outbox(&message());
        for part in [
            "From: Provost <provost@example.edu>\r\n",
            "Ada@xn--exmple-cua.edu",
            "Subject: Welcome\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Message-ID: <",
            "Date: ",
            "https://example.edu/invitations/abc",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }

    #[test]
    fn links_are_for_the_log_of_a_developer_only() {
        let path = Path::new("outbox/1.eml");
        assert!(written(&message(), path, true).contains("https://example.edu/invitations/abc"));
        let told = written(&message(), path, false);
        assert!(told.contains("outbox/1.eml") && !told.contains("https://"), "{told}");
    }

    #[test]
    fn nobody_writes_headers_of_their_own() {
        let evil = "x\r\nBcc: all@example.edu\r\n\r\nbody\u{2028}\0";
        let message = Message { to_name: evil.into(), subject: evil.into(), ..message() };
        let text = sent_to_outbox(&message);
        let (headers, _) = text.split_once("\r\n\r\n").unwrap();
        let names: Vec<_> = headers
            .lines()
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| line.split(':').next())
            .collect();
        assert!(!names.contains(&"Bcc") && names.contains(&"Auto-Submitted"), "{headers}");
        assert_eq!(names.iter().filter(|name| **name == "Subject").count(), 1);
    }

    #[test]
    fn addresses_of_servers_are_checked() {
        let smtp = |url| Mailer::smtp(url, from());
        for good in [
            "smtps://user:secret@mail.example.edu",
            "smtp://user:secret@mail.example.edu:587?tls=required",
            "smtp://localhost:1025",
            "smtp://user:secret@127.0.0.1:1025",
            "smtp://mail.example.edu",
        ] {
            let mailer = smtp(good).unwrap_or_else(|error| panic!("{good}: {error}"));
            assert!(!format!("{mailer:?}").contains("secret"));
        }
        for bad in ["", "mail.example.edu", "http://mail.example.edu", "smtp://", "smtp://host?tls=maybe"] {
            assert!(matches!(smtp(bad), Err(MailError::Url(_))), "{bad}");
        }
        for bad in
            ["smtp://user:secret@mail.example.edu", "smtp://user:secret@mail.example.edu?tls=opportunistic"]
        {
            let error = smtp(bad).unwrap_err();
            assert!(matches!(error, MailError::PasswordInClear) && !error.to_string().contains("secret"));
        }
    }

    /// A server that takes one message and hands back what it heard.
    fn server(answer_to_data: &'static str) -> (u16, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut out = stream.try_clone().unwrap();
            let mut say = |text: &str| write!(out, "{text}\r\n").unwrap();
            let (mut heard, mut in_data) = (String::new(), false);
            say("220 test");
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                heard.push_str(&line);
                heard.push('\n');
                match &*line {
                    "." => {
                        in_data = false;
                        say(answer_to_data);
                    }
                    _ if in_data => {}
                    "DATA" => {
                        in_data = true;
                        say("354 go on");
                    }
                    "QUIT" => {
                        say("221 bye");
                        break;
                    }
                    _ => say("250 ok"),
                }
            }
            heard
        });
        (port, heard)
    }

    #[test]
    fn a_server_gets_the_message() {
        let (port, heard) = server("250 taken");
        let mailer = Mailer::smtp(&format!("smtp://127.0.0.1:{port}"), from()).unwrap();
        mailer.send(&message()).unwrap();
        drop(mailer);
        let heard = heard.join().unwrap();
        assert!(heard.contains("RCPT TO:<Ada@xn--exmple-cua.edu>"), "{heard}");
        assert!(heard.contains("https://example.edu/invitations/abc"), "{heard}");
    }

    #[test]
    fn a_refusal_and_a_missing_server_are_told_apart() {
        let (port, heard) = server("554 no");
        let refused =
            Mailer::smtp(&format!("smtp://127.0.0.1:{port}"), from()).unwrap().send(&message()).unwrap_err();
        heard.join().unwrap();
        assert!(!refused.is_transient(), "{refused}");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let gone =
            Mailer::smtp(&format!("smtp://127.0.0.1:{port}"), from()).unwrap().send(&message()).unwrap_err();
        assert!(gone.is_transient() && gone.to_string().contains("127.0.0.1"), "{gone}");
    }
}
