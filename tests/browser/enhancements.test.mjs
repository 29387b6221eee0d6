// What JavaScript adds to pages that work without it, each of it used once as a person would.

import assert from "node:assert/strict";
import { checkPage } from "./support/check.mjs";
import { eventually } from "./support/eventually.mjs";
import { journey } from "./support/journey.mjs";
import { assertPath, assertSays, fillIn, pathOf, press } from "./support/page.mjs";
import { owner, student, superAdmin } from "./support/people.mjs";
import { addStudent, applyImport, checkImport, home, openInstitution, platformPage } from "./support/steps.mjs";
import { buttons, fields } from "./support/words.mjs";

// More than a page of them.
const many = ["student_number,full_name,admission_year", ...Array.from({ length: 30 }, (_, n) => `S-2${String(n).padStart(3, "0")},Pupil ${n + 1},2024`), ""].join("\n");

journey("the enhancements", { superAdmin }, async ({ app, person }) => {
  const ada = await person();
  const mare = await person();
  await openInstitution(ada, mare, superAdmin);
  await addStudent(mare, student);
  const own = pathOf(mare);
  await checkImport(mare, many);
  await applyImport(mare);

  const query = () => new URL(mare.url()).searchParams;
  const csv = mare.getByRole("main").getByRole("link", { name: buttons.exportCsv });
  const rows = mare.getByRole("main").getByRole("rowheader");
  const rowsBecome = (n) => eventually(`${n} rows`, async () => (await rows.count()) === n);

  // A list narrows as one types and chooses, and its address and its file with it.
  await mare.goto(`${home}/students`);
  await rowsBecome(25);
  const search = mare.getByRole("main").getByRole("searchbox");
  await search.pressSequentially("Pupil 3");
  await rowsBecome(2);
  assert.equal(query().get("q"), "Pupil 3");
  assert.match(await csv.getAttribute("href"), /q=Pupil\+3/);
  await search.fill("nobody is called this");
  await assertSoon(mare, "No students match");
  assert.equal(await csv.isVisible(), false, "there is nothing to export");
  await search.fill("");
  await rowsBecome(25);
  assert.ok(await csv.isVisible());
  await mare.getByRole("main").getByLabel("Admitted", { exact: true }).selectOption(student.admissionYear);
  await rowsBecome(1);
  assert.equal(query().get("year"), student.admissionYear);

  // The activity log has a filter called "action", which is also what forms call their address.
  await mare.goto(`${home}/activity`);
  const what = mare.getByRole("main").getByLabel("What", { exact: true });
  await what.selectOption("user.created");
  await rowsBecome(1);
  await what.selectOption("student.created");
  await eventually("the choice to be in the address", () => query().get("action") === "student.created");
  await search.fill("Łukasz");
  await search.press("Enter");
  await eventually("the search to be in the address", () => query().get("q") === "Łukasz");
  await rowsBecome(1);
  await checkPage(mare, "activity-filtered");

  // The colours change where one is.
  await mare.getByRole("banner").locator("summary").click();
  await press(mare, "Dark");
  assert.equal(await mare.locator("html").getAttribute("data-theme"), "dark");
  assert.equal(query().get("action"), "student.created");
  await mare.getByRole("banner").locator("summary").click();
  await press(mare, "As the system");

  // All that match, not only those on the page.
  await mare.goto(`${home}/students?year=2024`);
  await mare.getByRole("checkbox", { name: "Select all on this page" }).check();
  await mare.getByRole("checkbox", { name: "All 30 that match" }).check();
  await press(mare, buttons.archive);
  await assertSays(mare, "30");
  await press(mare, "Archive 30 students");
  await assertSays(mare, "Archived 30 students.");
  assert.equal(query().get("year"), "2024", "back to the list as it was");
  await press(mare, buttons.undo);
  await assertSays(mare, "Restored 30 students.");

  // The key for the search box; the key that saves, which does nothing where something grave is asked.
  await mare.keyboard.press("/");
  assert.equal(await mare.evaluate(() => document.activeElement.id), "top-q");
  await mare.goto(`${own}/edit`);
  await fillIn(mare, [["Programme", "Mathematics"]]);
  const warned = new Promise((seen) => mare.once("dialog", (dialog) => { seen(dialog.type()); dialog.dismiss(); }));
  await mare.getByRole("navigation", { name: "Main" }).getByRole("link", { name: /^Activity/ }).click();
  assert.equal(await warned, "beforeunload");
  assertPath(mare, `${own}/edit`);
  await Promise.all([mare.waitForURL(`**${own}`), mare.keyboard.press("Control+s")]);
  await assertSays(mare, "Mathematics");
  await ada.goto(`${platformPage}/sessions/remove`);
  await checkPage(ada, "sessions-confirm");
  await ada.keyboard.press("Control+s");
  await new Promise((done) => setTimeout(done, 500));
  assertPath(ada, `${platformPage}/sessions/remove`);

  await keepsWhatWasTyped(app, mare, own);
});

/** A session that runs out under a form takes nothing with it. */
async function keepsWhatWasTyped(app, mare, own) {
  const news = mare.locator("[data-session-news]");
  const post = (path, form) => mare.request.post(path, { form, headers: { origin: app.url }, maxRedirects: 0 });
  await mare.clock.install();
  await mare.goto(`${own}/edit`);
  const answered = mare.waitForResponse(/sessions\/current/);
  await fillIn(mare, [["Programme", "Physics"]]);
  await answered;
  assert.equal(await news.count(), 0);
  await mare.clock.fastForward("28:00");
  await assertSoon(mare, "You are signed out soon");
  await checkPage(mare, "session-ends-soon");
  await press(mare, "Stay signed in");
  await eventually("the warning to go", async () => (await news.count()) === 0);
  await mare.clock.fastForward("31:00");
  await post("/sign-out", {});
  await press(mare, buttons.saveStudent);
  await assertSoon(mare, "What you typed is still here");
  assertPath(mare, `${own}/edit`);
  await post("/sign-in", { email: owner.email, password: owner.password });
  await Promise.all([mare.waitForURL(`**${own}`), press(mare, buttons.saveStudent)]);
  await assertSays(mare, "Physics");
}

function assertSoon(page, words) {
  return page.getByText(words).first().waitFor();
}
