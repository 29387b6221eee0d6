// Two people at one list: nobody's work is overwritten unseen, and what was done to many can be undone.

import assert from "node:assert/strict";
import { checkPage } from "./support/check.mjs";
import { journey } from "./support/journey.mjs";
import { assertPath, assertSays, fillIn, heading, pathOf, press } from "./support/page.mjs";
import { owner, student, studentsCsv, superAdmin } from "./support/people.mjs";
import { addStudent, applyImport, checkImport, home, openInstitution, signIn } from "./support/steps.mjs";
import { buttons, fields } from "./support/words.mjs";

journey("two people edit one student; archive many and undo", { superAdmin }, async ({ person }) => {
  const ada = await person();
  const mare = await person();
  const other = await person();
  await openInstitution(ada, mare, superAdmin);
  await addStudent(mare, student);
  const own = pathOf(mare);

  // Both open the form; the second to save is told, and shown both.
  await signIn(other, owner);
  await mare.goto(`${own}/edit`);
  await other.goto(`${own}/edit`);
  await checkPage(other, "student-edit");
  await fillIn(other, [["Programme", "Mathematics"]]);
  await press(other, buttons.saveStudent);
  assertPath(other, own);
  await fillIn(mare, [["Programme", "Physics"]]);
  await press(mare, buttons.saveStudent);
  await assertSays(mare, /Somebody else changed this/);
  await assertSays(mare, "Mathematics");
  await assertSays(mare, "Physics");
  await checkPage(mare, "student-conflict");
  await press(mare, buttons.saveStudent);
  assertPath(mare, own);
  await assertSays(mare, "Physics");
  assert.equal(await mare.getByText("1 change", { exact: true }).count(), 2, "the history tells what each changed");
  await checkPage(mare, "student-changed");

  // One alone, and back.
  await press(mare, "Archive student");
  assert.match(await heading(mare), /archived/i);
  await checkPage(mare, "student-archived");
  await press(mare, "Restore student");

  // All of a page, and back.
  await checkImport(mare, studentsCsv);
  await applyImport(mare);
  await mare.goto(`${home}/students`);
  await mare.getByRole("checkbox", { name: "Select all on this page" }).check();
  await assertSays(mare, "5 selected");
  await checkPage(mare, "students-ticked");
  await press(mare, buttons.archive);
  await assertSays(mare, "Archived 5 students.");
  await checkPage(mare, "students-all-archived");
  await press(mare, buttons.undo);
  await assertSays(mare, "Restored 5 students.");
  await assertSays(mare, student.name);
});
