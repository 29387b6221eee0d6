//! What all tenants of a server share: the two roles that hold the rights, and the template database.

use std::sync::PoisonError;

use diesel::connection::SimpleConnection;

use super::{
    PostgresEngine,
    admin::{Admin, explain, explain_text, lacks_right},
};
use crate::db::{
    Target,
    engine::{EngineError, Finding, MAX_NAME_BYTES, quote, schema_version},
    tenant::TenantConn,
};

impl PostgresEngine {
    /// Makes the owner and the runtime group, or finds that they are ours.
    pub(super) fn ensure_groups(&self, admin: &mut Admin<'_>) -> Result<(), EngineError> {
        if let Some(finding) = admin.missing_rights()?.into_iter().next() {
            return Err(lacks_right(&finding));
        }
        let comment = self.comment_of_groups();
        let owner_name = format!("{}_owner", self.prefix);
        match admin.role_comment(&owner_name)? {
            Some(found) if found == comment => {}
            Some(_) => {
                return Err(EngineError::permanent(format!(
                    "The role {owner_name} on this server belongs to another Provost or to something else. Set \
                     PROVOST_DATABASE_PREFIX to a prefix that nobody uses, then try again."
                )));
            }
            None => self.create_groups(admin, &owner_name, &comment)?,
        }
        if !admin.is_member_of(&owner_name)? {
            let statement = format!("GRANT {} TO CURRENT_USER", self.owner()?);
            admin.run(&statement, "become a member of the databases' owner")?;
        }
        crate::crash_point!("postgres:groups-made");
        self.close_shared(admin)
    }

    /// What marks the owner and the runtime group as this platform's.
    fn comment_of_groups(&self) -> String {
        format!("Provost platform {}", self.platform_id)
    }

    /// What [`Self::ensure_groups`] would stumble over. Where there are no roles yet, the first set-up makes
    /// them.
    pub(super) fn diagnose_groups(&self, admin: &mut Admin<'_>) -> Result<Option<Finding>, EngineError> {
        let owner = format!("{}_owner", self.prefix);
        let found = match admin.role_comment(&owner)? {
            None => None,
            Some(comment) if comment != self.comment_of_groups() => Some((
                format!("The role {owner} on this server belongs to another Provost or to something else."),
                "Set PROVOST_DATABASE_PREFIX to a prefix that nobody uses.".to_owned(),
            )),
            Some(_) if admin.is_member_of(&owner)? => None,
            Some(_) => Some((
                format!(
                    "The platform's role is no member of {owner}, which owns the institutions' databases."
                ),
                format!("As a superuser run: GRANT {} TO \"{}\"", self.owner()?, admin.own_role()?),
            )),
        };
        Ok(found.map(|(problem, remedy)| Finding { problem, remedy, fatal: true }))
    }

    /// Another node may be doing the same.
    fn create_groups(
        &self,
        admin: &mut Admin<'_>,
        owner_name: &str,
        comment: &str,
    ) -> Result<(), EngineError> {
        admin.lock(owner_name)?;
        let missing = admin.role_comment(owner_name)?.is_none();
        if missing {
            let (owner, runtime) = (self.owner()?, self.runtime()?);
            admin.run(
                &format!(
                    "BEGIN; CREATE ROLE {owner} NOLOGIN; COMMENT ON ROLE {owner} IS '{comment}'; \
                     CREATE ROLE {runtime} NOLOGIN; COMMENT ON ROLE {runtime} IS '{comment}'; \
                     GRANT {owner} TO CURRENT_USER; COMMIT"
                ),
                "make the roles that hold the rights",
            )?;
        }
        admin.unlock(owner_name)
    }

    /// Every new database, the shared one too, lets every role of the server in.
    pub(super) fn close_shared(&self, admin: &mut Admin<'_>) -> Result<(), EngineError> {
        if !self.holds_shared {
            return Ok(());
        }
        let Some(name) = admin.shared_open_to_public()? else { return Ok(()) };
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        admin.run(&format!("REVOKE ALL ON DATABASE {quoted} FROM PUBLIC"), "close the shared database")?;
        if admin.shared_open_to_public()?.is_some() {
            return Err(EngineError::permanent(format!(
                "Every role of the server may enter the shared database {name}. As its owner run: REVOKE ALL ON \
                 DATABASE {quoted} FROM PUBLIC; then try again."
            )));
        }
        Ok(())
    }

    /// The template of the present schema version; built where missing, under another name, then renamed.
    pub(super) fn ensure_template(&self, admin: &mut Admin<'_>) -> Result<String, EngineError> {
        let version = schema_version(&self.migrations);
        let mut template = format!("{}_template_{version}", self.prefix);
        template.truncate(MAX_NAME_BYTES);
        {
            let prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            if prepared.as_deref() == Some(&version) {
                return Ok(template);
            }
        }
        self.ensure_groups(admin)?;
        let building = format!("{}_template_building", self.prefix);
        admin.lock(&building)?;
        let built = match admin.database(&template)? {
            Some(_) => Ok(()),
            None => self.build_template(admin, &building, &template),
        };
        // Last, and again where that was missed: what is marked so cannot be dropped as half-built.
        let built = built.and_then(|()| {
            admin.run(
                &format!("ALTER DATABASE {} IS_TEMPLATE true", quote(&template)?),
                "protect the template",
            )
        });
        admin.unlock(&building)?;
        built?;
        *self.prepared.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
        Ok(template)
    }

    fn build_template(
        &self,
        admin: &mut Admin<'_>,
        building: &str,
        template: &str,
    ) -> Result<(), EngineError> {
        let (name, owner) = (quote(building)?, self.owner()?);
        // The rest of an interrupted build. Nobody else can be in it.
        admin.run(&format!("DROP DATABASE IF EXISTS {name}"), "remove a half-built template")?;
        // Collation C: the same order and the same `lower` as on SQLite, whatever the system's locale.
        admin.run(
            &format!(
                "CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' \
                 ALLOW_CONNECTIONS false"
            ),
            "make the template",
        )?;
        crate::crash_point!("postgres:template-created");
        admin.run(&format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"), "close the template")?;
        admin.run(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"), "open the template")?;
        self.fill_template(building)?;
        crate::crash_point!("postgres:template-migrated");
        admin.run(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"), "close the template")?;
        admin.run(&format!("ALTER DATABASE {name} RENAME TO {}", quote(template)?), "name the template")?;
        crate::crash_point!("postgres:template-renamed");
        Ok(())
    }

    /// The schema, owned by the owner; rows for the runtime group, now and after later migrations.
    fn fill_template(&self, building: &str) -> Result<(), EngineError> {
        let (owner, runtime) = (self.owner()?, self.runtime()?);
        let failed = |error: &dyn std::fmt::Display| explain_text(&error.to_string(), "fill the template");
        let target = Target::Postgres(self.url_of(building, None)?);
        let mut connection = TenantConn::open(&target).map_err(|error| failed(&error))?;
        connection
            .batch_execute(&format!(
                "SET ROLE {owner}; REVOKE ALL ON SCHEMA public FROM PUBLIC; \
                 GRANT USAGE ON SCHEMA public TO {runtime}; \
                 ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {runtime}; \
                 ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO {runtime}"
            ))
            .map_err(|error| explain(&error, "grant rights in the template"))?;
        self.migrations.build(&mut connection).map_err(|error| failed(&error))?;
        connection
            .batch_execute(&format!(
                "REVOKE INSERT, UPDATE, DELETE ON __diesel_schema_migrations FROM {runtime}"
            ))
            .map_err(|error| explain(&error, "grant rights in the template"))
    }
}
