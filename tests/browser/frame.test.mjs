// The frame round every page: colours, the navigation on a telephone, questions in a dialog, a choice at sign-in.

import assert from "node:assert/strict";
import { checkPage } from "./support/check.mjs";
import { journey } from "./support/journey.mjs";
import { assertPath, assertSays, fillIn, heading, press, tabTo } from "./support/page.mjs";
import { owner, secondInstitution as second, superAdmin } from "./support/people.mjs";
import { approve, home, openInstitution, platformPage, register } from "./support/steps.mjs";
import { buttons, fields, says } from "./support/words.mjs";

journey("colours, a sheet of navigation, and a question in a dialog", { superAdmin }, async ({ person }) => {
  const ada = await person();
  const mare = await person({ viewport: { width: 360, height: 780 } });
  await openInstitution(ada, mare, superAdmin);

  // Dark, and dark it stays.
  const theme = (page) => page.locator("html").getAttribute("data-theme");
  await ada.goto("/platform/institutions?status=active");
  await ada.getByRole("banner").locator("summary").click();
  await press(ada, "Dark");
  assertPath(ada, "/platform/institutions");
  assert.equal(await theme(ada), "dark");
  await ada.goto("/platform/audit");
  assert.equal(await theme(ada), "dark");
  await ada.getByRole("banner").locator("summary").click();
  await checkPage(ada, "menu-open");
  await ada.keyboard.press("Escape");
  assert.equal(await ada.locator("[data-menu][open]").count(), 0);
  await ada.getByRole("banner").locator("summary").click();
  await press(ada, "As the system");
  assert.equal(await theme(ada), "system");

  // The sheet, by keyboard: it opens, closes with Esc, and gives the focus back.
  await mare.goto(home);
  const menu = mare.getByRole("button", { name: "Menu" });
  const sheet = mare.getByRole("navigation", { name: "Main" });
  await tabTo(mare, menu);
  await mare.keyboard.press("Enter");
  await sheet.waitFor();
  await mare.screenshot({ path: new URL("pictures/sheet-360-light.png", import.meta.url).pathname });
  await mare.keyboard.press("Escape");
  await sheet.waitFor({ state: "hidden" });
  assert.ok(await menu.evaluate((el) => el === document.activeElement), "the focus is back on the button");
  await mare.keyboard.press("Enter");
  await tabTo(mare, sheet.getByRole("link", { name: "Activity" }));
  await mare.keyboard.press("Enter");
  await mare.waitForURL(`**${home}/activity`);

  // The dialog: the focus goes in, stays in, and comes back; what it asks is the page's own question.
  await ada.goto(platformPage);
  const opener = ada.getByRole("link", { name: buttons.suspendInstitution });
  await tabTo(ada, opener);
  await ada.keyboard.press("Enter");
  const dialog = ada.getByRole("dialog");
  await dialog.waitFor();
  assertPath(ada, platformPage);
  assert.match(await dialog.getByRole("heading").first().innerText(), /Suspend/);
  await checkPage(ada, "suspend-dialog");
  const within = () => ada.evaluate(() => !!document.activeElement.closest("dialog") || document.activeElement === document.body);
  for (let stops = 0; stops < 6; stops += 1) {
    assert.ok(await within(), "the focus stays in the dialog");
    await ada.keyboard.press("Tab");
  }
  await ada.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.ok(await opener.evaluate((el) => el === document.activeElement), "the focus is back on the link");
  await ada.keyboard.press("Enter");
  await dialog.getByRole("link", { name: "Cancel" }).click();
  await dialog.waitFor({ state: "detached" });
  await press(ada, buttons.suspendInstitution);
  await press(ada, buttons.suspendInstitution);
  await assertSays(ada, /There is a problem/);
  await fillIn(ada, [[fields.reason, "The fee for spring is unpaid."]]);
  await press(ada, buttons.suspendInstitution);
  assert.match(await heading(ada), says.suspended);
});

journey("one e-mail in two institutions", { superAdmin }, async ({ person }) => {
  const ada = await person();
  const mare = await person();
  await openInstitution(ada, mare, superAdmin);
  await register(await person(), second);
  await approve(ada, second);

  const again = await person();
  await again.goto("/sign-in");
  await fillIn(again, [
    [fields.email, owner.email],
    [fields.password, owner.password],
  ]);
  await press(again, buttons.signIn);
  assertPath(again, "/sign-in/choice");
  await checkPage(again, "sign-in-choice");
  await press(again, "Continue");
  await assertSays(again, /There is a problem/);
  await checkPage(again, "sign-in-choice-refused");
  await again.getByRole("radio", { name: second.name }).check();
  await press(again, "Continue");
  assertPath(again, `/i/${second.domain}`);
  await again.goto(home);
  await assertSays(again, /not yours to see/);
  await assertSays(again, second.name);
  await checkPage(again, "not-found-in-frame");
});
