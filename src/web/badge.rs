//! A status as word, colour and icon, never as colour alone.

use askama::{Template, filters::HtmlSafe};

use super::icons::Icon;

/// What a status means to the person who sees it; it picks the colour and the icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    #[default]
    Neutral,
    /// Waits for a person: amber.
    Waiting,
    /// Something runs right now: blue, in motion.
    Working,
    /// As it should be: green.
    Good,
    /// Held back on purpose, as a suspension: orange.
    Held,
    /// Went wrong: red.
    Bad,
    /// Over and put away: grey.
    Past,
}

impl Tone {
    /// The word the style sheet knows it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Waiting => "waiting",
            Self::Working => "working",
            Self::Good => "good",
            Self::Held => "held",
            Self::Bad => "bad",
            Self::Past => "past",
        }
    }

    /// The icon that goes with it.
    pub fn icon(self) -> Icon {
        match self {
            Self::Neutral => Icon::Info,
            Self::Waiting => Icon::Clock,
            Self::Working => Icon::Loader,
            Self::Good => Icon::CircleCheck,
            Self::Held => Icon::CirclePause,
            Self::Bad => Icon::CircleX,
            Self::Past => Icon::Archive,
        }
    }
}

/// A status to show: `Badge::new(Tone::Good, "Active")`, written by `{{ badge }}`.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "kit/badge.html")]
pub struct Badge {
    pub tone: Tone,
    pub text: String,
    pub icon: Icon,
}

impl HtmlSafe for Badge {}

impl Badge {
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into(), icon: tone.icon() }
    }

    /// Another icon than the tone's own.
    pub fn icon(mut self, icon: Icon) -> Self {
        self.icon = icon;
        self
    }
}
