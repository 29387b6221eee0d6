// The main job: register, approve, sign in, add a student, import, find, export.

import assert from "node:assert/strict";
import { checkPage } from "./support/check.mjs";
import { journey } from "./support/journey.mjs";
import { assertPath, assertSays, fillIn, press } from "./support/page.mjs";
import { institution, owner, student, studentsCsv, superAdmin } from "./support/people.mjs";
import { addStudent, applyImport, approve, checkImport, exportStudents, home, platformPage, register, signIn } from "./support/steps.mjs";
import { buttons, fields, says } from "./support/words.mjs";

journey("register, approve, sign in, add, import, export", { superAdmin }, async ({ app, person }) => {
  const mare = await person();
  const ada = await person();

  // Mare registers her school.
  await mare.goto("/");
  await checkPage(mare, "front");
  await mare.goto("/register");
  await checkPage(mare, "register");
  await press(mare, buttons.registerInstitution);
  await checkPage(mare, "register-refused");
  const status = await register(mare);
  await checkPage(mare, "registration-pending");
  const received = await app.mailTo(owner.email);
  assert.ok(received.links.some((link) => link.endsWith(status)), "the mail leads to the registration");

  // Ada finds it waiting and approves it.
  await ada.goto("/sign-in");
  await checkPage(ada, "sign-in");
  await fillIn(ada, [
    [fields.email, superAdmin.email],
    [fields.password, "not the password"],
  ]);
  await press(ada, buttons.signIn);
  await checkPage(ada, "sign-in-refused");
  await signIn(ada, superAdmin);
  await checkPage(ada, "platform");
  await ada.goto("/platform/registrations");
  await assertSays(ada, institution.name);
  await checkPage(ada, "registrations");
  await ada.goto(platformPage);
  await checkPage(ada, "institution-pending");
  await approve(ada);
  await checkPage(ada, "institution-active");
  await ada.goto("/platform/institutions");
  await checkPage(ada, "institutions");
  await ada.goto("/platform/operations");
  await checkPage(ada, "operations");
  await ada.getByRole("main").getByRole("table").getByRole("link").first().click();
  await checkPage(ada, "operation");

  // Mare reads of it and signs in to a database of her own.
  await mare.goto(status);
  await assertSays(mare, says.active);
  await checkPage(mare, "registration-active");
  await signIn(mare, owner);
  assertPath(mare, home);
  await checkPage(mare, "institution-home");
  await mare.goto(`${home}/students`);
  await checkPage(mare, "students-empty");

  // One student by hand.
  await mare.goto(`${home}/students/new`);
  await checkPage(mare, "student-new");
  await press(mare, buttons.addStudent);
  await checkPage(mare, "student-refused");
  await addStudent(mare, student);
  await checkPage(mare, "student");

  // Several from a file; the same file a second time changes nothing.
  await mare.goto(`${home}/students/import`);
  await checkPage(mare, "students-import");
  await checkImport(mare, studentsCsv);
  await assertSays(mare, says.created(4));
  await checkPage(mare, "students-import-checked");
  await applyImport(mare);
  await checkPage(mare, "students-import-done");
  await checkImport(mare, studentsCsv);
  await assertSays(mare, says.created(0));
  await checkPage(mare, "students-import-known");

  // Found by a name in another script; exported as filtered.
  await mare.goto(`${home}/students`);
  await assertSays(mare, /\b5\b/);
  await checkPage(mare, "students");
  await mare.goto(`${home}/students?q=${encodeURIComponent("Παπαδόπουλος")}`);
  await assertSays(mare, "Γιώργος Παπαδόπουλος");
  await checkPage(mare, "students-found");
  const all = await exportStudents(mare);
  assert.equal(all.trim().split(/\r?\n/).length, 6, "a head and five students");
  assert.ok(all.includes(student.name));
  assert.doesNotMatch(all, /(^|,)"?=1\+1/m, "a formula is defused");
  const filtered = await exportStudents(mare, `?q=${encodeURIComponent("Fatima")}`);
  assert.equal(filtered.trim().split(/\r?\n/).length, 2);

  // The rest of what she sees on the first day.
  for (const part of ["", "/activity", "/settings"]) {
    await mare.goto(home + part);
    await checkPage(mare, `institution${part.replace("/", "-") || "-at-work"}`);
  }
  await mare.goto(`${home}/activity`);
  await mare.getByRole("main").getByRole("table").getByRole("link").first().click();
  await checkPage(mare, "institution-activity-entry");
  await mare.goto(`${home}/no-such-page`);
  await checkPage(mare, "institution-not-found");
  await press(mare, buttons.signOut);
  await mare.goto("/no-such-page");
  await checkPage(mare, "not-found");
  const gone = await mare.request.get(`${home}/students`, { maxRedirects: 0 });
  assert.notEqual(gone.status(), 200, "signed out means out");
});
