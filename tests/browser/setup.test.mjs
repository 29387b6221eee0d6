// First run: the address that the app printed makes the first super admin, once.

import assert from "node:assert/strict";
import { checkPage } from "./support/check.mjs";
import { journey } from "./support/journey.mjs";
import { assertPath, assertSays, fillIn, press } from "./support/page.mjs";
import { superAdmin } from "./support/people.mjs";
import { signIn } from "./support/steps.mjs";
import { buttons, fields } from "./support/words.mjs";

journey("set-up of the first super admin", {}, async ({ app, person }) => {
  const page = await person();
  const address = await app.setupAddress();

  // Without its token there is no form, only where to find the address.
  await page.goto("/setup");
  assert.equal(await page.getByRole("main").getByRole("textbox").count(), 0);
  await checkPage(page, "setup-explained");

  await page.goto(address);
  await checkPage(page, "setup");

  await fillIn(page, [
    [fields.yourName, superAdmin.name],
    [fields.email, "not an address"],
    [fields.newPassword, superAdmin.password],
    [fields.newPasswordAgain, superAdmin.password],
  ]);
  await press(page, buttons.createSuperAdmin);
  await checkPage(page, "setup-refused");
  assert.equal(await page.getByLabel(fields.yourName).inputValue(), superAdmin.name, "typed values stay");

  await fillIn(page, [
    [fields.email, superAdmin.email],
    [fields.newPassword, superAdmin.password],
    [fields.newPasswordAgain, superAdmin.password],
  ]);
  await press(page, buttons.createSuperAdmin);
  assertPath(page, "/sign-in");
  await signIn(page, superAdmin);
  assertPath(page, "/platform");
  await assertSays(page, superAdmin.name);
  await checkPage(page, "platform-empty");

  for (const gone of [address, "/setup"]) {
    const again = await page.request.get(gone);
    assert.equal(again.status(), 404, "the set-up address works once");
  }
});
