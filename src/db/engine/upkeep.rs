//! Looking after a database that is in use: what is worth doing, and doing it without keeping anybody waiting.

use super::EngineError;

crate::text_enum! {
    /// Something that is done for a database.
    Act {
        /// Counts what is in it, so that queries find their way.
        Analyse = "analyse",
        /// Gives back the room of what was removed.
        Vacuum = "vacuum",
        /// Works SQLite's log into the file.
        Checkpoint = "checkpoint",
        /// Builds indexes anew that have grown out of shape.
        Reindex = "reindex",
    }
}

/// So many bytes are worth an act; less is not.
const WORTH_BYTES: u64 = 1024 * 1024;
/// And so great a part of the whole, in percent.
const WORTH_PERCENT: u64 = 20;
/// Dead rows worth an act.
const WORTH_ROWS: u64 = 1_000;
/// A log larger than this is worked in.
const LARGE_LOG: u64 = 16 * 1024 * 1024;
/// SQLite holds writers off while it vacuums: not where that takes longer than they wait.
const MOST_VACUUM: u64 = 256 * 1024 * 1024;

/// How a database stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// Bytes of it.
    pub bytes: u64,
    /// Bytes of it that hold nothing any more.
    pub spare_bytes: u64,
    /// Bytes of its log, on SQLite.
    pub log_bytes: u64,
    /// Rows, and how many more are dead, on PostgreSQL.
    pub rows: u64,
    /// See there.
    pub dead_rows: u64,
    /// Indexes that are much larger than their rows need, on PostgreSQL.
    pub bloated: Vec<String>,
    /// Whether it was ever analysed.
    pub analysed: bool,
    /// Whether a vacuum keeps writers waiting for as long as it takes.
    pub vacuum_blocks: bool,
}

/// What is worth doing, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What.
    pub act: Act,
    /// A few words.
    pub why: String,
}

impl Condition {
    /// What is worth doing, in the order in which to do it.
    #[must_use]
    pub fn wishes(&self) -> Vec<Wish> {
        let mut wishes = Vec::new();
        let mut wish = |act, why: String| wishes.push(Wish { act, why });
        let spare = self.spare_bytes * 100 / self.bytes.max(1);
        let dead = self.dead_rows * 100 / (self.rows + self.dead_rows).max(1);
        let fits = !self.vacuum_blocks || self.bytes <= MOST_VACUUM;
        if spare >= WORTH_PERCENT && self.spare_bytes >= WORTH_BYTES && fits {
            wish(Act::Vacuum, format!("{spare} % of it hold nothing"));
        } else if dead >= WORTH_PERCENT && self.dead_rows >= WORTH_ROWS {
            wish(Act::Vacuum, format!("{dead} % of its rows are dead"));
        }
        if !self.bloated.is_empty() {
            wish(Act::Reindex, format!("indexes out of shape: {}", self.bloated.join(", ")));
        }
        if self.log_bytes >= LARGE_LOG {
            wish(Act::Checkpoint, format!("its log has {} MB", self.log_bytes / 1_000_000));
        }
        if !self.analysed {
            wish(Act::Analyse, "never analysed".into());
        }
        wishes
    }
}

/// Whether an index of so many bytes is much larger than its rows need: an entry takes some 40 bytes, a page that was
/// filled in no order is a third empty.
pub(super) fn is_bloated(index_bytes: i64, rows: i64) -> bool {
    let index_bytes = u64::try_from(index_bytes).unwrap_or(0);
    let needed = u64::try_from(rows).unwrap_or(0).saturating_mul(60);
    index_bytes >= 8 * WORTH_BYTES && index_bytes / 4 > needed
}

/// What a look into a database found; a connection with the tenant's own rights looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examined {
    /// Damage, as the engine tells of it.
    pub damage: Option<String>,
    /// Rows that refer to rows which are not there.
    pub broken_references: u64,
    /// Every line of the schema.
    pub shape: Vec<String>,
    /// Other databases that its role may enter.
    pub open_doors: Vec<String>,
}

/// A session on the server that stands around.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Number of its process on the server.
    pub pid: i32,
    /// The database it is in.
    pub database: String,
    /// The role that it signed in as.
    pub role: String,
    /// Whether it is in the middle of a transaction, and so holds locks.
    pub in_transaction: bool,
    /// For how long it has stood like this.
    pub seconds: i64,
}

/// Asked before each act whether there is room for it on the disk, in bytes.
pub type Room<'a> = &'a dyn Fn(u64) -> Result<(), EngineError>;

#[cfg(test)]
mod tests {
    use super::*;

    fn acts(condition: &Condition) -> Vec<Act> {
        condition.wishes().into_iter().map(|wish| wish.act).collect()
    }

    #[test]
    fn only_what_is_worth_it_is_wished_for() {
        const MB: u64 = 1024 * 1024;
        let good = Condition { bytes: 100 * MB, analysed: true, ..Condition::default() };
        assert_eq!(acts(&good), []);
        let third = Condition { spare_bytes: 34 * MB, ..good.clone() };
        assert_eq!(third.wishes()[0].why, "34 % of it hold nothing");
        assert_eq!(acts(&Condition { spare_bytes: 19 * MB, ..good.clone() }), []);
        let small = Condition { bytes: MB, spare_bytes: MB / 2, ..good.clone() };
        assert_eq!(acts(&small), [], "half a megabyte is not worth it");
        let large = Condition { bytes: 900 * MB, spare_bytes: 500 * MB, vacuum_blocks: true, ..good.clone() };
        assert_eq!(acts(&large), [], "writers would have to wait");
        assert_eq!(acts(&Condition { vacuum_blocks: false, ..large }), [Act::Vacuum]);
        let dead = Condition { rows: 3_000, dead_rows: 1_000, ..good.clone() };
        assert_eq!(acts(&dead), [Act::Vacuum]);
        assert_eq!(acts(&Condition { rows: 3, dead_rows: 900, ..good.clone() }), []);
        assert_eq!(acts(&Condition { log_bytes: 64 * MB, ..good.clone() }), [Act::Checkpoint]);
        assert_eq!(acts(&Condition { analysed: false, ..good }), [Act::Analyse]);
        assert!(is_bloated(64 << 20, 1_000) && !is_bloated(4 << 20, 0) && !is_bloated(64 << 20, 1_000_000));
    }
}
