//! Times in buckets, each a seventh longer than the one before: small, quick to count, and percentiles from it are right
//! to a few parts in a hundred.

/// How many buckets there are.
pub const BUCKETS: usize = 96;

/// The longest time of each bucket, in microseconds; what takes longer than the last is counted there.
pub const BOUNDS: [u64; BUCKETS] = {
    let mut bounds = [200; BUCKETS];
    let mut at = 1;
    while at < BUCKETS {
        bounds[at] = bounds[at - 1] * 8 / 7;
        at += 1;
    }
    bounds
};

/// How many requests took how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram([u64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Histogram {
    /// With these counts.
    #[must_use]
    pub fn of(counts: [u64; BUCKETS]) -> Self {
        Self(counts)
    }

    /// The bucket of a time.
    #[must_use]
    pub fn bucket_of(micros: u64) -> usize {
        BOUNDS.partition_point(|bound| *bound < micros).min(BUCKETS - 1)
    }

    /// One more in this bucket.
    pub fn count(&mut self, bucket: usize) {
        if let Some(count) = self.0.get_mut(bucket) {
            *count += 1;
        }
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// The counts, from the shortest times to the longest.
    #[must_use]
    pub fn counts(&self) -> &[u64; BUCKETS] {
        &self.0
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The time, in microseconds, that so many of a hundred stay within; 0 when there are none.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> u64 {
        let total = self.total();
        // The rank of the request that is asked for, counted from 1.
        let rank = (total * percent).div_ceil(100).max(1);
        let mut before = 0;
        for (bucket, count) in self.0.iter().enumerate() {
            if before + count >= rank {
                let low = if bucket == 0 { 0 } else { BOUNDS[bucket - 1] };
                // Spread evenly within the bucket.
                return low + (BOUNDS[bucket] - low) * (rank - before) / (*count).max(1);
            }
            before += count;
        }
        0
    }

    /// As it is stored: number and count of each bucket that is not empty.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let filled = (0_u8..).zip(self.0).filter(|(_, count)| *count > 0);
        filled.flat_map(|(bucket, count)| [&[bucket][..], &count.to_be_bytes()].concat()).collect()
    }

    /// Reads what [`Self::to_bytes`] wrote; what cannot be read is left out.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut histogram = Self::default();
        for entry in bytes.chunks_exact(9) {
            if let (Some(count), Some((_, number))) =
                (histogram.0.get_mut(usize::from(entry[0])), entry.split_first_chunk::<1>())
                && let Ok(number) = number.try_into()
            {
                *count = u64::from_be_bytes(number);
            }
        }
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_known_distribution_are_right() {
        let mut histogram = Histogram::default();
        // 1 ms to 1,000 ms, one of each.
        for milliseconds in 1..=1_000_u64 {
            histogram.count(Histogram::bucket_of(milliseconds * 1_000));
        }
        for (percent, right) in [(50, 500_000.0), (95, 950_000.0), (99, 990_000.0)] {
            let told = histogram.percentile(percent) as f64;
            assert!((told / right - 1.0).abs() < 0.06, "p{percent}: {told} instead of {right}");
        }
        assert_eq!(Histogram::default().percentile(99), 0);
        assert_eq!(Histogram::from_bytes(&histogram.to_bytes()), histogram);
        assert!(BOUNDS[BUCKETS - 1] > 40_000_000, "{BOUNDS:?}");
        assert_eq!(Histogram::bucket_of(u64::MAX), BUCKETS - 1);
    }
}
