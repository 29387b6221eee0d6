// The main job with JavaScript switched off, for everyone in it.

import assert from "node:assert/strict";
import { checkPage } from "./support/check.mjs";
import { journey } from "./support/journey.mjs";
import { assertSays } from "./support/page.mjs";
import { student, studentsCsv, superAdmin } from "./support/people.mjs";
import { addStudent, applyImport, checkImport, exportStudents, home, openInstitution, suspend } from "./support/steps.mjs";
import { says } from "./support/words.mjs";

journey("the main job without JavaScript", { superAdmin }, async ({ person }) => {
  const ada = await person({ javaScriptEnabled: false });
  const mare = await person({ javaScriptEnabled: false });
  await openInstitution(ada, mare, superAdmin);

  await addStudent(mare, student);
  await checkImport(mare, studentsCsv);
  await assertSays(mare, says.created(4));
  await applyImport(mare);
  await mare.goto(`${home}/students`);
  await checkPage(mare, "students-without-javascript");
  const csv = await exportStudents(mare);
  assert.equal(csv.trim().split(/\r?\n/).length, 6);

  await suspend(ada, "The fee for spring is unpaid.");
  await mare.goto(home);
  await assertSays(mare, says.suspended);
});
