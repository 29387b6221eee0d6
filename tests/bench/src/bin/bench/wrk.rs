//! wrk: how many requests a second, and how long they take.

use std::{net::SocketAddr, process::Command};

use crate::place::processor_time;

/// Connections that ask at the same time.
const CONNECTIONS: &str = "32";

/// What one run of wrk saw. Times are in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub per_second: f64,
    pub p50: f64,
    pub p99: f64,
    /// Processor time of the server for a request.
    pub processor: f64,
}

/// Asks one server, of this address and process, for so many seconds.
pub fn run(server: (SocketAddr, u32), path: &str, cookie: &str, seconds: u32) -> Run {
    let (address, process) = server;
    let before = processor_time(process);
    let output = Command::new("wrk")
        .args(["-t1", "-c", CONNECTIONS, "-d", &seconds.to_string(), "--latency"])
        .args(["-H", &format!("Cookie: {cookie}"), &format!("http://{address}{path}")])
        .output()
        .expect("wrk runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && !text.contains("Non-2xx") && !text.contains("Socket errors"),
        "wrk on {path}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let after = |label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label)).unwrap_or_default();
        line.trim().to_owned()
    };
    let requests: f64 = text
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))
        .and_then(|(count, _)| count.parse().ok())
        .expect("a count");
    Run {
        processor: (processor_time(process) - before) / requests,
        per_second: after("Requests/sec:").parse().expect("a rate"),
        p50: milliseconds(&after("50%")),
        p99: milliseconds(&after("99%")),
    }
}

/// wrk writes `850.00us`, `12.34ms` or `1.20s`.
fn milliseconds(text: &str) -> f64 {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).expect("a unit");
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1_000.0,
        other => panic!("wrk's unit {other}"),
    };
    number.parse::<f64>().expect("a number") * factor
}
