//! What a person can do, and what is said to them: actions, notices, banners.

use askama::{Template, filters::HtmlSafe};

use super::Link;
use crate::web::icons::Icon;

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
    /// Where putting it away is posted.
    pub dismiss: Option<String>,
}

impl Banner {
    pub fn new(kind: NoticeKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), link: None, dismiss: None }
    }

    /// Offers to put it away by posting to `action`, and to come back.
    pub fn dismiss(mut self, action: impl Into<String>) -> Self {
        self.dismiss = Some(action.into());
        self
    }

    pub fn link(mut self, label: impl Into<String>, href: impl Into<String>) -> Self {
        self.link = Some(Link::new(label, href));
        self
    }
}
