//! What the layout needs to know to draw the frame round any page.
//!
//! A handler takes the [`Page`] its area prepared (navigation, viewer, theme) and adds its own
//! title, crumbs, action and words. Nothing here reads a session or a database.

mod frame;
mod notice;

use super::{badge::Badge, theme::Theme, words::initials};

pub use frame::{Bell, Link, NavGroup, NavItem, Search, Viewer};
pub use notice::{Action, Banner, Notice, NoticeKind};

/// Whose pages these are; it decides the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Area {
    #[default]
    Public,
    Platform,
    Institution,
}

/// How wide the content may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Width {
    /// Tables and records use the room.
    #[default]
    Full,
    /// Prose stays under 72 characters.
    Prose,
    /// A single small card, as for signing in.
    Narrow,
}

/// Everything the layouts need. Built with [`Page::new`] and the methods below.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub title: String,
    pub area: Area,
    /// "Platform", or the institution's name.
    pub area_name: String,
    /// The letters in the mark.
    pub mark: String,
    /// Where the mark leads.
    pub home: String,
    /// Where the search box asks, when there is one.
    pub search: Option<Search>,
    pub nav: Vec<NavGroup>,
    pub crumbs: Vec<Link>,
    pub tabs: Vec<NavItem>,
    /// One sentence under the title, only if it helps.
    pub intro: Option<String>,
    /// The record's state, beside the title.
    pub badge: Option<Badge>,
    /// The one primary action.
    pub action: Option<Action>,
    /// Quieter actions beside it.
    pub more: Vec<Action>,
    pub flash: Option<Notice>,
    pub banner: Option<Banner>,
    pub bell: Option<Bell>,
    pub viewer: Option<Viewer>,
    pub theme: Theme,
    pub width: Width,
    /// This page's own path and query, to come back to.
    pub path: String,
}

impl Page {
    /// A page of an area. `name` is what the top of the navigation says.
    pub fn new(area: Area, name: impl Into<String>, home: impl Into<String>) -> Self {
        let area_name = name.into();
        let mark = initials(&area_name);
        Self { area, area_name, mark, home: home.into(), ..Self::default() }
    }

    /// A page that needs no sign-in.
    pub fn public(title: impl Into<String>) -> Self {
        Self::new(Area::Public, "Provost", "/").title(title)
    }

    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    pub fn theme(mut self, theme: Theme) -> Self {
        self.theme = theme;
        self
    }

    pub fn width(mut self, width: Width) -> Self {
        self.width = width;
        self
    }

    pub fn search(mut self, href: impl Into<String>, placeholder: impl Into<String>) -> Self {
        self.search = Some(Search { href: href.into(), placeholder: placeholder.into() });
        self
    }

    pub fn nav(mut self, groups: Vec<NavGroup>) -> Self {
        self.nav = groups;
        self
    }

    /// One step of the way here, the outermost first; this page itself is added by the layout.
    pub fn crumb(mut self, label: impl Into<String>, href: impl Into<String>) -> Self {
        self.crumbs.push(Link::new(label, href));
        self
    }

    pub fn tab(mut self, tab: NavItem) -> Self {
        self.tabs.push(tab);
        self
    }

    pub fn intro(mut self, sentence: impl Into<String>) -> Self {
        self.intro = Some(sentence.into());
        self
    }

    pub fn badge(mut self, badge: Badge) -> Self {
        self.badge = Some(badge);
        self
    }

    /// The one primary action of the page.
    pub fn action(mut self, action: Action) -> Self {
        self.action = Some(action);
        self
    }

    /// A quieter action beside the primary one.
    pub fn also(mut self, action: Action) -> Self {
        self.more.push(action);
        self
    }

    pub fn flash(mut self, notice: impl Into<Option<Notice>>) -> Self {
        self.flash = notice.into();
        self
    }

    pub fn banner(mut self, banner: impl Into<Option<Banner>>) -> Self {
        self.banner = banner.into();
        self
    }

    pub fn bell(mut self, href: impl Into<String>, unread: i64) -> Self {
        self.bell = Some(Bell { href: href.into(), unread });
        self
    }

    pub fn viewer(mut self, viewer: impl Into<Option<Viewer>>) -> Self {
        self.viewer = viewer.into();
        self
    }

    /// Whether the frame of signed-in pages is drawn.
    pub fn framed(&self) -> bool {
        self.area != Area::Public
    }

    /// Notices that a person has not seen, shortened so that they fit in the bell.
    pub fn unread(&self) -> String {
        match self.bell.as_ref().map_or(0, |bell| bell.unread) {
            0 => String::new(),
            n @ 1..100 => n.to_string(),
            _ => "99+".to_owned(),
        }
    }

    /// What the browser's tab says.
    pub fn tab_title(&self) -> String {
        match (self.title.as_str(), self.area_name.as_str()) {
            ("", area) => area.to_owned(),
            (title, "" | "Provost") => format!("{title} · Provost"),
            (title, area) => format!("{title} · {area} · Provost"),
        }
    }

    /// The word the style sheet knows the width by.
    pub fn width_name(&self) -> &'static str {
        match self.width {
            Width::Full => "full",
            Width::Prose => "prose",
            Width::Narrow => "narrow",
        }
    }
}
