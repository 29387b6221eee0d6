// Acting on a page as a person does: by the words on it.

import assert from "node:assert/strict";
import { runsScripts } from "./browser.mjs";

const exactly = (words) =>
  words instanceof RegExp ? words : new RegExp(`^\\s*${words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}( \\(optional\\))?\\s*$`, "i");

/** The field with this label, or the group with this legend, in the open dialog or else the page's main part. */
export function field(page, label) {
  const main = page.locator("body:has(> dialog[open]) > dialog, body:not(:has(> dialog[open])) main");
  return main.getByLabel(exactly(label)).or(main.getByRole("group", { name: exactly(label) })).first();
}

/** Fills in `[label, value]` pairs, whatever kind of field each turns out to be. */
export async function fillIn(page, pairs) {
  for (const [label, value] of pairs) {
    const control = field(page, label);
    const { tag, type } = await control.evaluate((el) => ({ tag: el.tagName, type: el.type }));
    if (tag === "SELECT") await choose(control, value);
    else if (tag === "FIELDSET") await control.getByLabel(exactly(value)).check();
    else if (type === "checkbox") await control.setChecked(value);
    else if (type === "file") await control.setInputFiles(value);
    else await control.fill(value);
  }
}

async function choose(select, words) {
  const options = await select.evaluate((el) => [...el.options].map(({ label, value }) => ({ label, value })));
  const wanted = options.find(({ label, value }) => value === words || label.trim() === words)
    ?? options.find(({ label }) => label.includes(words));
  assert.ok(wanted, `no option "${words}" among: ${options.map(({ label }) => label).join(", ")}`);
  await select.selectOption(wanted.value);
}

/**
 * Presses the button, or follows the link, of this name; the main part of the page goes before the frame. Where a
 * dialog asks first, it is open afterwards.
 */
export async function press(page, name) {
  await click(page, await control(page, name));
}

/** The same with a control that is known. */
export async function click(page, target) {
  const asks = runsScripts(page) && (await target.getAttribute("data-asks")) !== null;
  await target.click();
  if (asks) await page.getByRole("dialog").waitFor();
}

export async function control(page, name) {
  // Counting does not wait, and the page may still be on its way.
  const anywhere = page.getByRole("button", { name: exactly(name) }).or(page.getByRole("link", { name: exactly(name) }));
  await anywhere.first().waitFor({ state: "attached" }).catch(() => {});
  for (const within of [page.getByRole("dialog"), page.getByRole("main"), page]) {
    for (const role of ["button", "link"]) {
      const found = within.getByRole(role, { name: exactly(name) });
      if (await found.count()) return found.first();
    }
  }
  throw new Error(`no button or link "${name}" on ${page.url()}`);
}

/** Opens the first record of the list on the page. */
export async function openFirst(page) {
  await page.getByRole("main").getByRole("rowheader").getByRole("link").first().click();
}

/** The page shows these words; what a press has led to may still be on its way. */
export async function assertSays(page, words) {
  const wanted = words instanceof RegExp ? words : new RegExp(words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const end = Date.now() + 5_000;
  let text = await page.locator("body").innerText();
  while (!wanted.test(text) && Date.now() < end) {
    await page.waitForTimeout(50);
    text = await page.locator("body").innerText();
  }
  assert.match(text, wanted, page.url());
}

/** What the page is about: its first heading, with the badge beside it. */
export function heading(page) {
  return page.getByRole("heading", { level: 1 }).innerText();
}

export function pathOf(page) {
  return new URL(page.url()).pathname;
}

export function assertPath(page, path) {
  assert.ok(path instanceof RegExp ? path.test(pathOf(page)) : pathOf(page) === path, `expected ${path}, but this is ${pathOf(page)}`);
}

/** Goes on with Tab until the control has the focus, as somebody without a mouse does; the focus must show. */
export async function tabTo(page, target, { atMost = 120 } = {}) {
  const look = () => target.evaluate((el) => {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(el);
    return { outlined: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2, boxShadow };
  });
  // Many controls have a shadow at rest: only what the focus adds shows it.
  const atRest = await look();
  for (let presses = 0; presses <= atMost; presses += 1) {
    if (await target.evaluate((el) => el === document.activeElement)) {
      const { outlined, boxShadow } = await look();
      assert.ok(outlined || boxShadow !== atRest.boxShadow, `the focus does not show on ${await target.evaluate((el) => el.outerHTML.slice(0, 120))}`);
      return;
    }
    await page.keyboard.press("Tab");
  }
  throw new Error(`${atMost} presses of Tab did not reach ${target} on ${page.url()}`);
}
