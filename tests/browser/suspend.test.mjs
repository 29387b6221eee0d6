// Suspension meets people at work: it takes effect on their next request, and what they entered stays.

import assert from "node:assert/strict";
import { checkPage } from "./support/check.mjs";
import { journey } from "./support/journey.mjs";
import { assertPath, assertSays, heading, press } from "./support/page.mjs";
import { owner, student, superAdmin } from "./support/people.mjs";
import { addStudent, home, openInstitution, platformPage, signIn, suspend } from "./support/steps.mjs";
import { buttons, says } from "./support/words.mjs";

journey("suspend while signed in", { superAdmin }, async ({ app, person }) => {
  const mare = await person();
  const ada = await person();
  await openInstitution(ada, mare, superAdmin);
  await addStudent(mare, student);

  await ada.goto(platformPage);
  await press(ada, buttons.suspendInstitution);
  await checkPage(ada, "suspend-confirm");
  await suspend(ada, "The fee for spring is unpaid.");
  await checkPage(ada, "institution-suspended");

  const answer = await mare.goto(`${home}/students`);
  assert.notEqual(answer.status(), 200);
  await assertSays(mare, says.suspended);
  assert.ok(!(await mare.content()).includes(student.name), "no record shows");
  await checkPage(mare, "suspended");
  await app.mailTo(owner.email, says.suspended);

  // Reactivation brings everything back.
  await press(ada, buttons.reactivateInstitution);
  await checkPage(ada, "reactivate-confirm");
  await press(ada, buttons.reactivateInstitution);
  assertPath(ada, platformPage);
  assert.match(await heading(ada), says.active);
  await mare.goto(`${home}/students`);
  if (new URL(mare.url()).pathname === "/sign-in") await signIn(mare, owner);
  await mare.goto(`${home}/students`);
  assertPath(mare, `${home}/students`);
  await assertSays(mare, student.name);
});
