//! Figures as they are printed, and whether all of them were within their limits.

use std::sync::atomic::{AtomicUsize, Ordering};

use provost::db::Engine;

static FIGURES: AtomicUsize = AtomicUsize::new(0);
static MISSED: AtomicUsize = AtomicUsize::new(0);

/// What a figure must be.
pub enum Limit {
    AtLeast(f64),
    Under(f64),
}

/// Prints a figure with its limit; `detail` says what it is made of.
pub fn figure(engine: Engine, what: &str, value: f64, unit: &str, limit: Limit, detail: &str) {
    let (met, words) = match limit {
        Limit::AtLeast(least) => (value >= least, format!("at least {least}")),
        Limit::Under(most) => (value < most, format!("under {most}")),
    };
    FIGURES.fetch_add(1, Ordering::Relaxed);
    if !met {
        MISSED.fetch_add(1, Ordering::Relaxed);
    }
    let verdict = if met { "met   " } else { "MISSED" };
    println!("{verdict}  {engine:<8}  {what}: {value:.2}{unit} ({words}{unit}; {detail})");
}

/// The last line; the exit code says whether every limit was met.
pub fn summary() -> i32 {
    let (figures, missed) = (FIGURES.load(Ordering::Relaxed), MISSED.load(Ordering::Relaxed));
    println!("{} of {figures} figures within their limits", figures - missed);
    i32::from(missed > 0)
}

/// The middle one of the values.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
