// Who may sign in: invitations to an institution and to the platform, passwords chosen, changed and forgotten.

import assert from "node:assert/strict";
import { checkPage } from "./support/check.mjs";
import { journey } from "./support/journey.mjs";
import { assertPath, assertSays, click, fillIn, heading, press } from "./support/page.mjs";
import { colleague, owner, secondAdmin, superAdmin } from "./support/people.mjs";
import { choosePassword, home, openInstitution, signIn } from "./support/steps.mjs";
import { buttons, fields } from "./support/words.mjs";

const linkIn = (mail, path) => mail.links.find((link) => new URL(link).pathname.startsWith(path));

journey("invite a colleague, and a forgotten password", { superAdmin }, async ({ app, person }) => {
  const ada = await person();
  const mare = await person();
  const juri = await person();
  await openInstitution(ada, mare, superAdmin);

  // Mare invites Jüri, who chooses his own password.
  await mare.goto(`${home}/users`);
  await checkPage(mare, "users");
  await press(mare, "Invite user");
  await checkPage(mare, "user-new");
  await press(mare, buttons.sendInvitation);
  await checkPage(mare, "user-new-refused");
  await fillIn(mare, [
    [fields.name, colleague.name],
    [fields.email, colleague.email],
  ]);
  await mare.getByRole("checkbox", { name: /^Registrar/ }).check();
  await press(mare, buttons.sendInvitation);
  await assertSays(mare, colleague.name);
  await mare.getByRole("link", { name: colleague.name }).click();
  await checkPage(mare, "user-invited");

  const invitation = await app.mailTo(colleague.email);
  await juri.goto(linkIn(invitation, "/invitations/"));
  await checkPage(juri, "invitation");
  await choosePassword(juri, buttons.acceptInvitation, colleague);
  assertPath(juri, home);
  await checkPage(juri, "institution-home-registrar");
  const used = await juri.request.get(linkIn(invitation, "/invitations/"));
  assert.equal(used.status(), 404, "an invitation works once");
  await juri.goto(`${home}/users`);
  await checkPage(juri, "users-forbidden");
  await juri.goto("/account");
  await checkPage(juri, "account");

  // He forgets it, and chooses another by mail; his other browser is signed out.
  const elsewhere = await person();
  await elsewhere.goto("/password-reset");
  await checkPage(elsewhere, "password-reset");
  await fillIn(elsewhere, [[fields.email, colleague.email]]);
  await press(elsewhere, buttons.sendLink);
  await assertSays(elsewhere, /on its way/);
  const reset = await app.mailTo(colleague.email, /password/i);
  await elsewhere.goto(linkIn(reset, "/password-reset/"));
  await checkPage(elsewhere, "password-reset-new");
  await choosePassword(elsewhere, buttons.setPassword, { ...colleague, password: "a-heron-borrowed-the-ladder" });
  assertPath(elsewhere, home);
  await juri.goto(`${home}/students`);
  assertPath(juri, "/sign-in");

  // Mare sees him active, changes his roles, and cuts him off.
  await mare.reload();
  assert.match(await heading(mare), /active/i);
  await checkPage(mare, "user");
  await press(mare, "Edit user");
  await checkPage(mare, "user-edit");
  await press(mare, "Save user");
  await press(mare, "Disable user");
  await checkPage(mare, "user-disabled");
  await elsewhere.goto(`${home}/students`);
  assertPath(elsewhere, "/sign-in");
  await press(mare, "Remove user");
  await checkPage(mare, "user-remove");
  await press(mare, "Remove user");
  assertPath(mare, `${home}/users`);
  await assertSays(mare, `Removed ${colleague.name}.`);
  await signIn(mare, owner);
});

journey("invite a platform admin", { superAdmin }, async ({ app, person }) => {
  const ada = await person();
  const noor = await person();
  await signIn(ada, superAdmin);
  await ada.goto("/platform/admins");
  await press(ada, "Invite admin");
  await checkPage(ada, "admin-new");
  await fillIn(ada, [
    [fields.name, secondAdmin.name],
    [fields.email, secondAdmin.email],
  ]);
  await ada.getByRole("radio", { name: /^Operator/ }).check();
  await press(ada, buttons.sendInvitation);
  await assertSays(ada, secondAdmin.name);
  await checkPage(ada, "admins");

  const invitation = await app.mailTo(secondAdmin.email);
  await noor.goto(linkIn(invitation, "/invitations/"));
  await checkPage(noor, "invitation-platform");
  await choosePassword(noor, buttons.acceptInvitation, secondAdmin);
  assertPath(noor, "/platform");
  await checkPage(noor, "platform-operator");

  await ada.goto("/platform/admins");
  await click(ada, ada.getByRole("row", { name: secondAdmin.name }).getByRole("link", { name: "Change role" }));
  await checkPage(ada, "admin-role");
  await ada.getByRole("radio", { name: /^Super admin/ }).check();
  await press(ada, "Change role");
  await assertSays(ada, "is now super admin");
  await click(ada, ada.getByRole("row", { name: secondAdmin.name }).getByRole("link", { name: "Disable admin" }));
  await checkPage(ada, "admin-disable");
  await press(ada, "Disable admin");
  await assertSays(ada, `${secondAdmin.name} is disabled`);
  await noor.goto("/platform");
  assertPath(noor, "/sign-in");
});
