// Without a mouse: every stop is reached by Tab, shows its focus, and is worked with Enter and typing.

import assert from "node:assert/strict";
import { journey } from "./support/journey.mjs";
import { assertPath, assertSays, control, field, tabTo } from "./support/page.mjs";
import { owner, student, superAdmin } from "./support/people.mjs";
import { approve, home, register, signIn } from "./support/steps.mjs";
import { buttons, fields } from "./support/words.mjs";

journey("keyboard only", { superAdmin }, async ({ person }) => {
  const mare = await person();
  const ada = await person();
  await register(mare);
  await signIn(ada, superAdmin);
  await approve(ada);

  const type = async (label, text) => {
    await tabTo(mare, field(mare, label));
    await mare.keyboard.type(text);
  };
  const enter = async (target) => {
    await tabTo(mare, target);
    await Promise.all([mare.waitForEvent("domcontentloaded"), mare.keyboard.press("Enter")]);
  };

  await mare.goto("/sign-in");
  await type(fields.email, owner.email);
  await type(fields.password, owner.password);
  await enter(await control(mare, buttons.signIn));
  assertPath(mare, home);

  // The first stop of a page leads past the navigation.
  await mare.keyboard.press("Tab");
  const first = await mare.evaluate(() => document.activeElement.textContent.trim());
  assert.match(first, new RegExp(buttons.skipToContent, "i"));
  await mare.keyboard.press("Enter");
  const inMain = await mare.evaluate(() => location.hash !== "" && !!document.querySelector(location.hash)?.closest("main"));
  assert.ok(inMain, "the skip link leads to the main part");

  await enter(mare.getByRole("navigation").getByRole("link", { name: /^Students/ }).first());
  assertPath(mare, `${home}/students`);
  await enter(await control(mare, buttons.addStudent));
  await type(fields.studentNumber, student.number);
  await type(fields.studentName, student.name);
  await type(fields.admissionYear, student.admissionYear);
  await enter(await control(mare, buttons.addStudent));
  await assertSays(mare, student.name);
});
