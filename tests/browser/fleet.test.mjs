// Running the fleet: every page about databases, backups, migrations, servers and the end of an institution.

import assert from "node:assert/strict";
import { checkPage } from "./support/check.mjs";
import { eventually } from "./support/eventually.mjs";
import { journey } from "./support/journey.mjs";
import { assertPath, assertSays, fillIn, openFirst, pathOf, press } from "./support/page.mjs";
import { superAdmin } from "./support/people.mjs";
import { home, openInstitution, platformPage } from "./support/steps.mjs";
import { fields } from "./support/words.mjs";

journey("running the fleet", { superAdmin }, async ({ person }) => {
  const ada = await person();
  const mare = await person();
  await openInstitution(ada, mare, superAdmin);

  // A backup is taken, and proved by restoring it.
  await ada.goto(platformPage);
  await press(ada, "Back up now");
  await settled(ada);
  await checkPage(ada, "operation-backup");
  await ada.goto("/platform/backups");
  await checkPage(ada, "backups");
  await openFirst(ada);
  const backup = pathOf(ada);
  await press(ada, "Verify backup");
  await settled(ada);
  await ada.goto(backup);
  await assertSays(ada, "Verified");
  await checkPage(ada, "backup");

  for (const [name, path] of Object.entries({
    "fleet-institution": platformPage,
    "backup-restore": `${backup}/restore`,
    "institution-move": `${platformPage}/move`,
    "institution-archiving": `${platformPage}/archiving`,
    "institution-deletion": `${platformPage}/deletion`,
    "institution-export": `${platformPage}/export`,
    "institution-sandbox": `${platformPage}/sandboxes`,
    "institution-subscription": `${platformPage}/subscription`,
    "institution-subscription-edit": `${platformPage}/subscription/edit`,
    alerts: "/platform/alerts",
    webhooks: "/platform/webhooks",
    "webhook-new": "/platform/webhooks/new",
    migrations: "/platform/migrations",
    "migrations-tenants": "/platform/migrations/tenants",
    "migrations-new": "/platform/migrations/new",
    servers: "/platform/servers",
    "server-new": "/platform/servers/new",
    reconciliation: "/platform/reconciliation",
    maintenance: "/platform/maintenance",
    "maintenance-runs": "/platform/maintenance/runs",
    "maintenance-connections": "/platform/maintenance/connections",
    doctor: "/platform/doctor",
    plans: "/platform/plans",
    "plan-new": "/platform/plans/new",
    "plan-edit": "/platform/plans/basic/edit",
    announcements: "/platform/announcements",
    "announcement-new": "/platform/announcements/new",
    admins: "/platform/admins",
    "audit-archives": "/platform/audit/archives",
    keeping: "/platform/settings/keeping",
    notifications: "/notifications",
  })) {
    await ada.goto(path);
    await checkPage(ada, name);
  }
  await ada.goto("/platform/servers");
  await openFirst(ada);
  await checkPage(ada, "server");

  // The owner may take the data along.
  await mare.goto(`${home}/export`);
  await checkPage(mare, "export");

  // The institution is archived, and is brought back in one act.
  await ada.goto(`${platformPage}/archiving`);
  await fillIn(ada, [[fields.reason, "The school has closed."]]);
  await press(ada, "Archive institution");
  await settled(ada);
  await checkPage(ada, "operation-archive");
  await mare.goto(home);
  await assertSays(mare, /archived/i);
  await checkPage(mare, "archived");
  await ada.goto(platformPage);
  await checkPage(ada, "institution-archived");
  await press(ada, "Bring institution back");
  await checkPage(ada, "institution-return");
  await press(ada, "Bring institution back");
  await settled(ada);
  await ada.goto(platformPage);
  await assertSays(ada, /active/i);
});

/** Waits until the operation on the page is settled, and holds that it went well. */
async function settled(page) {
  assertPath(page, /\/platform\/operations\//);
  await eventually("the operation to be settled", async () => {
    await page.reload();
    return (await page.locator("#operation").getAttribute("data-live")) === "settled";
  });
  assert.match(await page.locator("#operation").innerText(), /Done|Succeeded/i);
}
