// A telephone at night: the main job at 360 px, dark, by touch.

import assert from "node:assert/strict";
import { checkPage } from "./support/check.mjs";
import { journey } from "./support/journey.mjs";
import { assertSays } from "./support/page.mjs";
import { student, studentsCsv, superAdmin } from "./support/people.mjs";
import { addStudent, applyImport, checkImport, home, openInstitution } from "./support/steps.mjs";

const telephone = { viewport: { width: 360, height: 780 }, colorScheme: "dark", hasTouch: true, isMobile: true };

journey("narrow and dark", { superAdmin }, async ({ person }) => {
  const ada = await person(telephone);
  const mare = await person(telephone);
  await openInstitution(ada, mare, superAdmin);
  const ground = await mare.locator("html").evaluate((html) => getComputedStyle(html).backgroundColor);
  assert.ok(isDark(ground), `the page is dark (${ground})`);

  await addStudent(mare, student);
  await checkImport(mare, studentsCsv);
  await applyImport(mare);
  await mare.goto(`${home}/students`);
  await assertSays(mare, student.name);
  await checkPage(mare, "students-telephone");
});

// Whatever notation the browser gives the colour in: OKLCH and Lab name the lightness first.
function isDark(colour) {
  const [a, b, c] = colour.match(/[\d.]+/g).map(Number);
  if (colour.startsWith("oklch") || colour.startsWith("oklab")) return a < 0.4;
  if (colour.startsWith("lab") || colour.startsWith("lch")) return a < 40;
  if (colour.startsWith("color(")) return (a + b + c) / 3 < 0.4;
  return (a + b + c) / 3 < 100;
}
