//! What the layout needs to know to draw the frame round any page.
//!
//! A handler takes the [`Page`] its area prepared (navigation, viewer, theme) and adds its own
//! title, crumbs, action and words. Nothing here reads a session or a database.

use askama::{Template, filters::HtmlSafe};

use super::{badge::Badge, icons::Icon, theme::Theme, words::initials};

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
    pub viewer: Option<Viewer>,
    pub theme: Theme,
    pub width: Width,
    /// This page's own path and query, to come back to; empty for what answers a form.
    pub path: String,
}

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

/// Something a person can do: a link, or a form that posts.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Action {
    /// A verb with its object: "Approve institution".
    pub label: String,
    pub href: String,
    #[serde(skip)]
    pub icon: Option<Icon>,
    pub post: bool,
    /// Leads to a page that asks first; a dialog may ask instead.
    pub asks: bool,
    pub danger: bool,
    /// Values that travel with a post.
    pub hidden: Vec<(String, String)>,
}

impl Action {
    /// Leads to a page.
    pub fn link(label: impl Into<String>, href: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            href: href.into(),
            icon: None,
            post: false,
            asks: false,
            danger: false,
            hidden: Vec::new(),
        }
    }

    /// Leads to a [`crate::web::confirm::ConfirmPage`].
    pub fn ask(label: impl Into<String>, href: impl Into<String>) -> Self {
        Self { asks: true, ..Self::link(label, href) }
    }

    /// Posts to a path at once.
    pub fn post(label: impl Into<String>, href: impl Into<String>) -> Self {
        Self { post: true, ..Self::link(label, href) }
    }

    pub fn icon(mut self, icon: Icon) -> Self {
        self.icon = Some(icon);
        self
    }

    /// Marks what cannot be taken back easily.
    pub fn danger(mut self) -> Self {
        self.danger = true;
        self
    }

    pub fn hidden(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.hidden.push((name.into(), value.into()));
        self
    }
}

/// How grave a notice or a banner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum NoticeKind {
    Success,
    Info,
    Warning,
    Error,
}

impl NoticeKind {
    /// The word the style sheet knows it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    pub fn icon(self) -> Icon {
        match self {
            Self::Success => Icon::CircleCheck,
            Self::Info => Icon::Info,
            Self::Warning => Icon::Alert,
            Self::Error => Icon::CircleAlert,
        }
    }
}

/// What happened: at the top after a redirect, or within a page by `{{ notice }}`.
#[derive(Debug, Clone, Template, serde::Serialize, serde::Deserialize)]
#[template(path = "kit/notice.html")]
pub struct Notice {
    pub kind: NoticeKind,
    pub text: String,
    pub link: Option<Link>,
    /// A post that takes it back.
    pub undo: Option<Action>,
}

impl HtmlSafe for Notice {}

impl Notice {
    pub fn new(kind: NoticeKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), link: None, undo: None }
    }

    pub fn success(text: impl Into<String>) -> Self {
        Self::new(NoticeKind::Success, text)
    }

    pub fn info(text: impl Into<String>) -> Self {
        Self::new(NoticeKind::Info, text)
    }

    pub fn warning(text: impl Into<String>) -> Self {
        Self::new(NoticeKind::Warning, text)
    }

    pub fn error(text: impl Into<String>) -> Self {
        Self::new(NoticeKind::Error, text)
    }

    /// Leads to what the text speaks of.
    pub fn link(mut self, label: impl Into<String>, href: impl Into<String>) -> Self {
        self.link = Some(Link::new(label, href));
        self
    }

    /// Offers to take it back by posting to `action`.
    pub fn undo(mut self, action: impl Into<String>) -> Self {
        self.undo = Some(Action::post("Undo", action).icon(Icon::Undo));
        self
    }
}

/// Something is not as usual. A page shows the gravest only.
#[derive(Debug, Clone)]
pub struct Banner {
    pub kind: NoticeKind,
    pub text: String,
    pub link: Option<Link>,
}

impl Banner {
    pub fn new(kind: NoticeKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), link: None }
    }

    pub fn link(mut self, label: impl Into<String>, href: impl Into<String>) -> Self {
        self.link = Some(Link::new(label, href));
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
    /// Where signing out is posted.
    pub sign_out: String,
}

impl Viewer {
    /// The letters in the avatar.
    pub fn initials(&self) -> String {
        initials(&self.name)
    }
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

    pub fn viewer(mut self, viewer: impl Into<Option<Viewer>>) -> Self {
        self.viewer = viewer.into();
        self
    }

    /// The page itself, or the nearest one above it where it cannot be asked for again.
    pub fn way_back(&self) -> &str {
        match (self.path.as_str(), self.crumbs.last()) {
            ("", Some(above)) => &above.href,
            ("", None) => &self.home,
            (path, _) => path,
        }
    }

    /// Whether the frame of signed-in pages is drawn.
    pub fn framed(&self) -> bool {
        self.area != Area::Public
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
