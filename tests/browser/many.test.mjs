// More rows than fit on a page: pages, all that match, and the list on paper.

import assert from "node:assert/strict";
import { checkPage, checkPrint } from "./support/check.mjs";
import { journey } from "./support/journey.mjs";
import { assertPath, assertSays, openFirst, press } from "./support/page.mjs";
import { superAdmin } from "./support/people.mjs";
import { applyImport, checkImport, home, openInstitution } from "./support/steps.mjs";
import { buttons } from "./support/words.mjs";

// 60 of one year and 4 of another.
const rows = Array.from({ length: 64 }, (_, n) => `M-${1000 + n},Õpilane ${String(n).padStart(2, "0")} Päts,${n < 60 ? 2024 : 2025}`);
const manyCsv = ["student_number,full_name,admission_year", ...rows, ""].join("\n");

journey("many students: pages, all that match, paper", { superAdmin }, async ({ person }) => {
  const ada = await person();
  const mare = await person();
  await openInstitution(ada, mare, superAdmin);
  await checkImport(mare, manyCsv);
  await checkPage(mare, "students-import-many");
  await applyImport(mare);
  await mare.goto(home);
  const lines = await mare.locator(".timeline > li").allInnerTexts();
  assert.match(lines[0], /imported students from students\.csv/, "an import is one line");
  assert.ok(lines.length < 6, lines.join("\n"));
  await checkPage(mare, "institution-home-imported");

  await mare.goto(`${home}/students?year=2024`);
  await assertSays(mare, "1–25 of 60 students");
  await checkPage(mare, "students-many");
  await press(mare, "Next page");
  await assertSays(mare, "26–50 of 60 students");
  await press(mare, "Last page");
  await assertSays(mare, "51–60 of 60 students");
  await press(mare, "50");
  await assertSays(mare, "1–50 of 60 students");

  // All that match, on other pages too; and nobody else.
  await mare.getByRole("checkbox", { name: "Select all on this page" }).check();
  await assertSays(mare, "50 selected");
  await mare.getByRole("checkbox", { name: "All 60 that match" }).check();
  await checkPage(mare, "students-all-that-match");
  await press(mare, buttons.archive);
  await assertSays(mare, "60");
  await checkPage(mare, "archive-many-confirm");
  await press(mare, "Archive 60 students");
  assertPath(mare, `${home}/students`);
  await assertSays(mare, "Archived 60 students.");
  await mare.goto(`${home}/students`);
  await assertSays(mare, "4 students");
  await mare.goto(`${home}/students?archived=yes`);
  await assertSays(mare, "1–25 of 60 students");
  await mare.goto(`${home}/activity`);
  await checkPage(mare, "activity-many");

  await mare.goto(`${home}/students`);
  await checkPrint(mare, "students-on-paper");
  await openFirst(mare);
  await checkPrint(mare, "student-on-paper");
  await mare.goto(`${home}/activity`);
  await checkPrint(mare, "activity-on-paper");
});
