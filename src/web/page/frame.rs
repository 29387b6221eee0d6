//! What stands round a page: the way to other pages, the search box, notifications, who is signed in.

use crate::web::{icons::Icon, words::initials};

/// Where the search box of the top bar asks, and what it finds.
#[derive(Debug, Clone)]
pub struct Search {
    pub href: String,
    pub placeholder: String,
}

/// A word that leads somewhere.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Link {
    pub label: String,
    pub href: String,
}

impl Link {
    pub fn new(label: impl Into<String>, href: impl Into<String>) -> Self {
        Self { label: label.into(), href: href.into() }
    }
}

/// Entries of the navigation that belong together. An empty label is not shown.
#[derive(Debug, Clone)]
pub struct NavGroup {
    pub label: String,
    pub items: Vec<NavItem>,
}

impl NavGroup {
    pub fn new(label: impl Into<String>, items: Vec<NavItem>) -> Self {
        Self { label: label.into(), items }
    }
}

/// One entry of the navigation.
#[derive(Debug, Clone)]
pub struct NavItem {
    pub label: String,
    pub href: String,
    pub icon: Icon,
    pub current: bool,
    /// Work that waits there, and the word for it: "3 failed".
    pub count: Option<(i64, &'static str)>,
}

impl NavItem {
    /// An entry that is marked when `path` is its page or lies under it.
    pub fn new(label: impl Into<String>, href: impl Into<String>, icon: Icon, path: &str) -> Self {
        let href = href.into();
        let path = path.split('?').next().unwrap_or_default();
        let current =
            path.strip_prefix(href.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        Self { label: label.into(), href, icon, current, count: None }
    }

    /// An entry whose page lies above others, as a dashboard: marked on that very page only.
    pub fn root(label: impl Into<String>, href: impl Into<String>, icon: Icon, path: &str) -> Self {
        let mut item = Self::new(label, href, icon, path);
        item.current = path.split('?').next() == Some(item.href.as_str());
        item
    }

    /// How much work waits there, and what it is; zero is not shown.
    pub fn count(mut self, n: i64, word: &'static str) -> Self {
        self.count = (n > 0).then_some((n, word));
        self
    }
}

/// Who is signed in.
#[derive(Debug, Clone)]
pub struct Viewer {
    pub name: String,
    pub email: String,
    pub role_label: String,
    pub account_href: String,
    /// Notifications they have not read.
    pub unread: i64,
    /// Where signing out is posted.
    pub sign_out: String,
}

impl Viewer {
    /// The letters in the avatar.
    pub fn initials(&self) -> String {
        initials(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_entry_is_the_page_or_what_lies_above_it() {
        let at = |path| NavItem::new("Students", "/i/mit.edu/students", Icon::Students, path).current;
        assert!(at("/i/mit.edu/students?page=2"));
        assert!(at("/i/mit.edu/students/42/edit"));
        assert!(!at("/i/mit.edu/students-archive"));
        assert!(!NavItem::root("Overview", "/platform", Icon::Home, "/platform/plans").current);
    }
}
