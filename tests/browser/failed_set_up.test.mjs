// A set-up that cannot be done: what a super admin sees and can do, and what the registrant is told meanwhile.

import assert from "node:assert/strict";
import { checkPage } from "./support/check.mjs";
import { eventually } from "./support/eventually.mjs";
import { journey } from "./support/journey.mjs";
import { assertSays, control, fillIn, heading, openFirst, press } from "./support/page.mjs";
import { owner, secondInstitution as second, superAdmin } from "./support/people.mjs";
import { breakSetUps } from "./support/sabotage.mjs";
import { openInstitution, platformPage, platformPageOf, register, signIn } from "./support/steps.mjs";
import { buttons, fields, says } from "./support/words.mjs";

journey("a set-up that fails, rolled back and tried again", { superAdmin, ownRole: true }, async ({ app, person }) => {
  const mare = await person();
  const ada = await person();
  await openInstitution(ada, mare, superAdmin);
  const status = await register(mare, second);
  const damage = await breakSetUps(app);

  await ada.goto(platformPageOf(second));
  await press(ada, buttons.approveInstitution);
  await ada.goto("/platform/operations");
  await openFirst(ada);
  await tells(ada, /last attempt did not succeed/);
  await damage.evenUndoing();
  await mare.goto(status);
  await checkPage(mare, "registration-provisioning");
  await shows(ada, /failed/i);
  await checkPage(ada, "operation-failed");
  await control(ada, "Try again");
  await control(ada, "Roll back");
  await ada.goto("/platform");
  await checkPage(ada, "platform-failed");
  await ada.goto(platformPageOf(second));
  assert.match(await heading(ada), /failed/i);
  await checkPage(ada, "institution-failed");
  await mare.goto(status);
  await assertSays(mare, /did not work at the first go/);
  await checkPage(mare, "registration-failed");

  // Once it is mended, what is left can be taken back, and the whole tried again.
  await damage.mend();
  await ada.goto("/platform/operations?status=failed");
  await openFirst(ada);
  await press(ada, "Roll back");
  await shows(ada, /rolled back/i);
  await checkPage(ada, "operation-rolled-back");
  await press(ada, "Try again");
  await shows(ada, /done/i);
  await checkPage(ada, "operation-done-at-last");
  await mare.goto(status);
  await assertSays(mare, says.active);
});

journey("a registration that is turned down, and looked at again", { superAdmin }, async ({ app, person }) => {
  const mare = await person();
  const ada = await person();
  const status = await register(mare);
  await signIn(ada, superAdmin);
  await ada.goto(platformPage);
  await press(ada, buttons.rejectInstitution);
  await fillIn(ada, [[fields.reason, "The domain belongs to another school."]]);
  await press(ada, buttons.rejectInstitution);
  assert.match(await heading(ada), /rejected/i);
  const mail = await app.mailTo(owner.email, /not accepted|rejected|turned down/i);
  assert.ok(mail, "she is told by mail");
  await mare.goto(status);
  await assertSays(mare, "The domain belongs to another school.");
  await checkPage(mare, "registration-turned-down");
  await press(ada, "Reconsider institution");
  await checkPage(ada, "registration-reconsidered");
  await mare.goto(status);
  await assertSays(mare, says.pending);
});

// Provost tries six times, over half a minute, before it gives up; and as long again at undoing.
const patience = 100;

/** Waits until the operation's state, beside its title, reads so. */
const shows = (page, state) => eventually(`the operation to show ${state}`, async () => {
  await page.reload();
  return state.test(await page.locator("h1 .badge").innerText());
}, { seconds: patience, every: 250 });

const tells = (page, words) => eventually(`the page to say ${words}`, async () => {
  await page.reload();
  return words.test(await page.getByRole("main").innerText());
});
