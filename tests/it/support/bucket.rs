//! The little of S3 that backups need, on a port of its own: PUT, GET, DELETE and a list. It looks for a signature and
//! does not check it.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use provost::services::settings::S3Settings;

#[derive(Default)]
struct Inner {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    refuses: AtomicBool,
}

/// A bucket named `b`.
pub struct FakeBucket {
    inner: Arc<Inner>,
    address: String,
}

impl FakeBucket {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let inner = Arc::new(Inner::default());
        let served = Arc::clone(&inner);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = Arc::clone(&served);
                std::thread::spawn(move || answer(&served, &stream));
            }
        });
        Self { inner, address }
    }

    pub fn settings(&self) -> S3Settings {
        S3Settings {
            endpoint: url::Url::parse(&self.address).expect("a URL"),
            bucket: "b".into(),
            region: "nowhere".into(),
            key: "key".into(),
            secret: "secret".into(),
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.inner.objects.lock().expect("objects").keys().cloned().collect()
    }

    /// From now on it says no.
    pub fn refuse(&self) {
        self.inner.refuses.store(true, Ordering::SeqCst);
    }
}

fn answer(bucket: &Inner, stream: &TcpStream) {
    let mut input = BufReader::new(stream);
    let mut first = String::new();
    if input.read_line(&mut first).is_err() {
        return;
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).is_err() || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    if input.read_exact(&mut body).is_err() {
        return;
    }
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let name = path.trim_start_matches("/b").trim_start_matches('/').to_owned();
    let signed = query.contains("X-Amz-Signature=") && query.contains("X-Amz-Credential=key");
    let mut objects = bucket.objects.lock().expect("objects");
    let (status, said) = match method {
        _ if !signed || bucket.refuses.load(Ordering::SeqCst) => ("403 Forbidden", b"AccessDenied".to_vec()),
        "PUT" => {
            objects.insert(name, body);
            ("200 OK", Vec::new())
        }
        "DELETE" => {
            objects.remove(&name);
            ("204 No Content", Vec::new())
        }
        "GET" if name.is_empty() => ("200 OK", list(&objects)),
        "GET" => match objects.get(&name) {
            Some(object) => ("200 OK", object.clone()),
            None => ("404 Not Found", b"NoSuchKey".to_vec()),
        },
        _ => ("405 Method Not Allowed", Vec::new()),
    };
    drop(objects);
    let mut stream = stream;
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", said.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&said));
}

fn list(objects: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let entries: String = objects
        .iter()
        .map(|(name, object)| {
            format!(
                "<Contents><Key>{name}</Key><LastModified>2026-11-21T00:00:00.000Z</LastModified><ETag>x</ETag>\
                 <Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                object.len()
            )
        })
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult \
         xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix></Prefix><KeyCount>{}</KeyCount>\
         <MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>",
        objects.len()
    )
    .into_bytes()
}
