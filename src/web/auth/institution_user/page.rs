//! The frame of an institution's pages: navigation, who looks, and what is said above.

use super::{InstitutionUser, role_label};
use crate::web::{
    auth::identity,
    icons::Icon,
    page::{Area, NavGroup, NavItem, Page, Viewer},
};

impl InstitutionUser {
    /// A page of this institution, with navigation, viewer and the message kept for it.
    #[must_use]
    pub fn page(&self, title: impl Into<String>) -> Page {
        let role = self.roles.first().map_or("No role", |role| role_label(*role));
        Page::new(Area::Institution, self.institution.name.clone(), self.path(""))
            .title(title)
            .path(self.way_back.clone())
            .theme(self.theme)
            .search(self.path("/students"), "Find a student")
            .nav(self.navigation())
            .banner(self.above())
            .flash(identity::take_flash(&self.session))
            .viewer(Viewer {
                name: self.name.clone(),
                email: self.email.clone(),
                role_label: role.into(),
                unread: self.unread,
                account_href: "/account".into(),
                sign_out: "/sign-out".into(),
            })
    }

    fn navigation(&self) -> Vec<NavGroup> {
        let item = |label: &str, rest: &str, icon| NavItem::new(label, self.path(rest), icon, &self.path);
        let mut office = vec![item("Activity", "/activity", Icon::Activity)];
        if self.is_owner() {
            office.push(item("Users", "/users", Icon::Users));
            office.push(item("Settings", "/settings", Icon::Settings));
        }
        vec![
            NavGroup::new(
                "Records",
                vec![
                    NavItem::root("Overview", self.path(""), Icon::Chart, &self.path),
                    item("Students", "/students", Icon::Students),
                ],
            ),
            NavGroup::new("Office", office),
        ]
    }
}
