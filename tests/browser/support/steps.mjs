// The stretches of road that several journeys share. Each starts from anywhere and says where it ends.

import assert from "node:assert/strict";
import { eventually } from "./eventually.mjs";
import { assertPath, assertSays, fillIn, heading, pathOf, press } from "./page.mjs";
import { institution, owner } from "./people.mjs";
import { buttons, fields, says } from "./words.mjs";

export const home = `/i/${institution.domain}`;
export const platformPageOf = ({ domain }) => `/platform/institutions/${domain}`;
export const platformPage = platformPageOf(institution);

/** Ends on the page that follows the registration; returns its address. */
export async function register(page, { name, kind, domain, country, website, timeZone } = institution) {
  await page.goto("/register");
  await fillIn(page, [
    [fields.institutionName, name],
    [fields.kind, kind],
    [fields.domain, domain],
    [fields.country, country],
    [fields.website, website],
    [fields.timeZone, timeZone],
    [fields.yourName, owner.name],
    [fields.email, owner.email],
    [fields.password, owner.password],
  ]);
  await press(page, buttons.registerInstitution);
  assertPath(page, /^\/registrations\/.+/);
  await assertSays(page, name);
  await assertSays(page, says.pending);
  return pathOf(page);
}

/** Ends where the person belongs: the platform, or their institution. */
export async function signIn(page, { email, password }) {
  await page.goto("/sign-in");
  await fillIn(page, [
    [fields.email, email],
    [fields.password, password],
  ]);
  await press(page, buttons.signIn);
  assertPath(page, /^\/(platform|i\/)/);
}

/** Whoever holds a link to choose a password chooses one, and signs in with it. */
export async function choosePassword(page, button, { email, password }) {
  await fillIn(page, [
    [fields.newPassword, password],
    [fields.newPasswordAgain, password],
  ]);
  await press(page, button);
  assertPath(page, "/sign-in");
  await signIn(page, { email, password });
}

/** By a super admin who is signed in. Ends on the institution's page, with its database there and active. */
export async function approve(page, which = institution) {
  await page.goto(platformPageOf(which));
  await press(page, buttons.approveInstitution);
  await eventually("the institution to become active", async () => {
    await page.goto(platformPageOf(which));
    return says.active.test(await heading(page));
  });
}

/** Register, approve, sign in: ends with the owner on the institution's first page. */
export async function openInstitution(admin, ownerPage, superAdmin) {
  await register(ownerPage);
  await signIn(admin, superAdmin);
  await approve(admin);
  await signIn(ownerPage, owner);
  assertPath(ownerPage, home);
}

/** Ends on the student's page. */
export async function addStudent(page, { number, name, admissionYear }) {
  await page.goto(`${home}/students`);
  await press(page, buttons.addStudent);
  assertPath(page, `${home}/students/new`);
  await fillIn(page, [
    [fields.studentNumber, number],
    [fields.studentName, name],
    [fields.admissionYear, admissionYear],
  ]);
  await press(page, buttons.addStudent);
  assertPath(page, /\/students\/[^/]+$/);
  await assertSays(page, name);
}

/** Leaves the person before the dry run's result: nothing is written yet. */
export async function checkImport(page, csv) {
  await page.goto(`${home}/students/import`);
  const file = { name: "students.csv", mimeType: "text/csv", buffer: Buffer.from(csv) };
  await fillIn(page, [[fields.csvFile, file]]);
  await press(page, buttons.checkFile);
}

/** From the dry run; ends when the operation says it is done. */
export async function applyImport(page) {
  await press(page, buttons.applyImport);
  await eventually("the import to be done", async () => {
    if (says.importDone.test(await heading(page))) return true;
    await page.reload();
    return false;
  });
}

/** The list as filtered by `query`, as the CSV that its link gives, through the person's own session. */
export async function exportStudents(page, query = "") {
  await page.goto(`${home}/students${query}`);
  const link = page.getByRole("main").getByRole("link", { name: buttons.exportCsv });
  const answer = await page.request.get(await link.evaluate((el) => el.href));
  assert.equal(answer.status(), 200);
  assert.match(answer.headers()["content-type"], /^text\/csv/);
  assert.match(answer.headers()["content-disposition"] ?? "", /attachment/);
  return answer.text();
}

/** By a super admin who is signed in. Ends on the institution's page, which says that it is suspended. */
export async function suspend(page, reason) {
  await page.goto(platformPage);
  await press(page, buttons.suspendInstitution);
  await fillIn(page, [[fields.reason, reason]]);
  await press(page, buttons.suspendInstitution);
  assertPath(page, platformPage);
  assert.match(await heading(page), says.suspended);
}
