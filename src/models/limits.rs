//! How much an institution may hold. The registry knows it, the institution's own transactions hold to it: a
//! plain value, carried from the one to the other with the right to write.

use super::text::grouped;

/// How every refusal begins that is about a limit.
const NO_ROOM: &str = "There is no room for";

/// What a plan can limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Who can sign in or is invited.
    Users,
    /// Students on the lists; archived ones are not counted.
    Students,
    /// The size of the institution's database, uploaded files included.
    Storage,
}

impl Resource {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Users, Self::Students, Self::Storage];

    /// The word people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Users => "Users",
            Self::Students => "Students",
            Self::Storage => "Storage",
        }
    }

    /// An amount of it in words: "1,200 students", "4.9 GB".
    #[must_use]
    pub fn amount(self, n: i64) -> String {
        let plural = if n == 1 { "" } else { "s" };
        match self {
            Self::Users => format!("{} user{plural}", grouped(n)),
            Self::Students => format!("{} student{plural}", grouped(n)),
            Self::Storage if n < 1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
            Self::Storage => format!("{:.1} GB", n as f64 / 1e9),
        }
    }

    /// What the institution itself can do when there is no room.
    const fn remedy(self) -> &'static str {
        match self {
            Self::Users => "Disable or remove a user who is gone",
            Self::Students => "Archive students who are gone",
            Self::Storage => "Send a smaller file",
        }
    }
}

/// What an institution may hold; none means without limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of what is limited")]
pub struct Limits {
    /// The plan's name, as people read it.
    pub plan: String,
    pub users: Option<i64>,
    pub students: Option<i64>,
    pub storage_bytes: Option<i64>,
}

/// What an institution holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of what is limited")]
pub struct Usage {
    pub users: i64,
    pub students: i64,
    pub storage_bytes: i64,
}

impl Usage {
    /// How much of one thing.
    #[must_use]
    pub const fn of(&self, resource: Resource) -> i64 {
        match resource {
            Resource::Users => self.users,
            Resource::Students => self.students,
            Resource::Storage => self.storage_bytes,
        }
    }
}

impl Limits {
    /// How much of one thing is allowed.
    #[must_use]
    pub const fn of(&self, resource: Resource) -> Option<i64> {
        match resource {
            Resource::Users => self.users,
            Resource::Students => self.students,
            Resource::Storage => self.storage_bytes,
        }
    }

    /// Whether a refusal is about a limit, and not about what somebody typed.
    #[must_use]
    pub fn refuses(text: &str) -> bool {
        text.starts_with(NO_ROOM)
    }

    /// Why `more` do not fit beside those `used`: the limit, what is used, and who can raise it.
    #[must_use]
    pub fn lacking(&self, resource: Resource, used: i64, more: i64) -> Option<String> {
        let most = self.of(resource)?;
        if more <= 0 || used.saturating_add(more) <= most {
            return None;
        }
        let (most, used, more) = (resource.amount(most), resource.amount(used), resource.amount(more));
        Some(format!(
            "{NO_ROOM} {more}: the {} plan allows {most}, and {used} are in use. {}, or ask the \
             platform's administrators to raise the limit.",
            self.plan,
            resource.remedy()
        ))
    }

    /// What to say before it is too late: from nine tenths of a limit on.
    #[must_use]
    pub fn nearly(&self, resource: Resource, used: i64) -> Option<String> {
        let most = self.of(resource)?;
        self.is_near(resource, used).then(|| {
            format!(
                "{} of the {} plan's {} are in use. The platform's administrators can raise the limit.",
                resource.amount(used),
                self.plan,
                resource.amount(most)
            )
        })
    }

    /// Whether nine tenths of a limit are used.
    #[must_use]
    pub fn is_near(&self, resource: Resource, used: i64) -> bool {
        self.of(resource).is_some_and(|most| used.saturating_mul(10) >= most.saturating_mul(9))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told_with_the_limit_and_who_can_raise_it() {
        let limits = Limits { plan: "Starter".into(), students: Some(1_000), ..Limits::default() };
        assert_eq!(limits.lacking(Resource::Students, 999, 1), None);
        assert_eq!(limits.lacking(Resource::Users, i64::MAX, 1), None);
        assert_eq!(limits.lacking(Resource::Students, 2_000, 0), None);
        let told = limits.lacking(Resource::Students, 1_000, 1).unwrap_or_default();
        for words in ["1 student:", "Starter", "1,000 students", "platform's administrators"] {
            assert!(told.contains(words), "{told}");
        }
        assert_eq!(limits.nearly(Resource::Students, 899), None);
        assert!(limits.nearly(Resource::Students, 900).is_some());
        assert_eq!(Resource::Storage.amount(4_900_000_000), "4.9 GB");
    }
}
