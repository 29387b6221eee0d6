// A super admin's day: many registrations from a file, one turned down, the rest let in, and the records of it.

import assert from "node:assert/strict";
import { checkPage } from "./support/check.mjs";
import { eventually } from "./support/eventually.mjs";
import { journey } from "./support/journey.mjs";
import { assertPath, assertSays, fillIn, heading, press } from "./support/page.mjs";
import { registrationsCsv, superAdmin } from "./support/people.mjs";
import { signIn } from "./support/steps.mjs";
import { buttons, fields } from "./support/words.mjs";

journey("a super admin's day", { superAdmin }, async ({ person }) => {
  const ada = await person();
  await signIn(ada, superAdmin);

  await ada.goto("/platform/registrations");
  await checkPage(ada, "registrations-empty");
  await ada.goto("/platform/registrations/import");
  await checkPage(ada, "registrations-import");
  await press(ada, buttons.checkFile);
  await checkPage(ada, "registrations-import-refused");
  const file = { name: "institutions.csv", mimeType: "text/csv", buffer: Buffer.from(registrationsCsv) };
  await fillIn(ada, [[fields.csvFile, file]]);
  await press(ada, buttons.checkFile);
  await checkPage(ada, "registrations-import-checked");
  await press(ada, buttons.applyImport);
  await finished(ada);
  await checkPage(ada, "operation-import");
  await ada.goto("/platform");
  await checkPage(ada, "platform-waiting");

  // One is turned down, with a reason; that can be reconsidered.
  await ada.goto("/platform/registrations");
  await checkPage(ada, "registrations-waiting");
  await ada.getByRole("link", { name: "Diploma Mill" }).click();
  await checkPage(ada, "registration");
  await press(ada, buttons.rejectInstitution);
  await checkPage(ada, "reject-confirm");
  await press(ada, buttons.rejectInstitution);
  await checkPage(ada, "reject-refused");
  await fillIn(ada, [[fields.reason, "It gives degrees for money."]]);
  await press(ada, buttons.rejectInstitution);
  assert.match(await heading(ada), /rejected/i);
  await checkPage(ada, "registration-rejected");

  // The others are let in at once.
  await ada.goto("/platform/registrations?status=waiting");
  await ada.getByRole("checkbox", { name: "Select all on this page" }).check();
  await press(ada, /^Approve/);
  await checkPage(ada, "approve-many-confirm");
  await press(ada, "Approve institutions");
  await finished(ada);
  await checkPage(ada, "operation-bulk");
  await eventually("both institutions to be active", async () => {
    await ada.goto("/platform/institutions?status=active");
    return (await ada.getByRole("main").getByRole("row").count()) === 3;
  });

  const institution = "/platform/institutions/nunoa.example.org";
  for (const [name, path] of Object.entries({
    "institution-imported": institution,
    "institution-edit": `${institution}/edit`,
    "institution-invitation": `${institution}/invitation`,
    "institutions-mixed": "/platform/institutions",
    "institutions-nothing": "/platform/institutions?q=nothing+like+it",
    "operations-many": "/platform/operations",
    databases: "/platform/databases",
    audit: "/platform/audit",
    "platform-settings": "/platform/settings",
    "platform-not-found": "/platform/no-such-page",
  })) {
    await ada.goto(path);
    await checkPage(ada, name);
  }
  await ada.goto("/platform/settings");
  await press(ada, buttons.saveSettings);
  await assertSays(ada, /saved/i);
  await ada.goto("/platform/audit");
  await ada.getByRole("main").getByRole("table").getByRole("link").first().click();
  assertPath(ada, /\/platform\/audit\/\d+/);
  await checkPage(ada, "audit-entry");
});

/** Waits until the operation on the page is settled, well or not. */
async function finished(page) {
  assertPath(page, /\/platform\/operations\//);
  await eventually("the operation to be finished", async () => {
    await page.reload();
    return (await page.locator("#operation").getAttribute("data-live")) === "settled";
  });
}
