// What must hold on every page, whatever it shows; and its pictures, to be looked at.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HtmlValidate } from "html-validate";
import { runsScripts, servedHtml, takeComplaints } from "./browser.mjs";

export const pictures = join(dirname(fileURLToPath(import.meta.url)), "../pictures");
mkdirSync(pictures, { recursive: true });

// How a page is looked at. In the dark only colours differ, so only contrast is asked for again.
const looks = [
  { width: 1440, colorScheme: "light", rules: "all" },
  { width: 1440, colorScheme: "dark", rules: "contrast" },
  { width: 1024, colorScheme: "light", rules: "none" },
  { width: 360, colorScheme: "light", rules: "all" },
  { width: 360, colorScheme: "dark", rules: "none" },
];
const standards = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const validator = new HtmlValidate({
  extends: ["html-validate:recommended", "html-validate:document"],
  rules: {
    // The look of the source is nobody's concern: templates leave blanks behind.
    "no-trailing-whitespace": "off",
    "attribute-boolean-style": "off",
    "attribute-empty-style": "off",
    "doctype-style": "off",
    "void-style": "off",
    // A title may hold an institution's name, and those are as long as they are.
    "long-title": "off",
    // Our own files from our own server, under names that carry their hash.
    "require-sri": "off",
    // Fields may share a name: the ticked rows of a list, and the same rows handed on by a confirm page.
    "form-dup-name": "off",
  },
});

/**
 * Checks the page the person is on (valid HTML, no accessibility violation in light, dark or narrow, no
 * sideways scroll down to 360 px, nothing said on the console) and takes its pictures under `name`.
 * What is wrong fails the journey at its end, so that one run tells of every page.
 */
export async function checkPage(page, name) {
  const found = [...(await invalidHtml(page))];
  const viewport = page.viewportSize();
  const scheme = (await isDark(page)) ? "dark" : "light";
  const readable = runsScripts(page) ? page : await twin(page);
  for (const { width, colorScheme, rules } of looks) {
    for (const each of new Set([page, readable])) {
      await each.emulateMedia({ colorScheme });
      await unroll(each, width);
      await stillness(each);
    }
    if (rules !== "none") found.push(...(await violations(readable, rules, `${width} px, ${colorScheme}`)));
    await page.screenshot({ path: join(pictures, `${name}-${width}-${colorScheme}.png`) });
    found.push(...(await sidewaysScroll(page, width)));
  }
  if (readable !== page) await readable.context().close();
  await page.emulateMedia({ colorScheme: scheme });
  await page.setViewportSize(viewport);
  found.push(...takeComplaints(page));
  if (found.length > 0) faults.push(`${name} (${page.url()}):\n  ${found.join("\n  ")}`);
}

/** On paper: the words without the frame, nothing wider than the sheet; and a picture of it. */
export async function checkPrint(page, name) {
  const viewport = page.viewportSize();
  // A4 between its margins, in CSS pixels.
  await page.setViewportSize({ width: 688, height: 1000 });
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  const found = await sidewaysScroll(page, 688);
  for (const part of ["nav.side", "header.top", ".list-tools", ".head-actions", ".bulk"]) {
    for (const shown of await page.locator(part).all()) if (await shown.isVisible()) found.push(`${part} is printed`);
  }
  const ground = await page.locator("html").evaluate((html) => getComputedStyle(html).backgroundColor);
  if (!/^(rgb\(255, 255, 255\)|white|oklch\(1 )/.test(ground)) found.push(`the paper is ${ground}`);
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
  await page.emulateMedia({ media: "screen", colorScheme: "light" });
  await page.setViewportSize(viewport);
  if (found.length > 0) faults.push(`${name} (${page.url()}):\n  ${found.join("\n  ")}`);
}

const faults = [];

/** Fails with what was found on the pages checked since the last call, of all of them at once. */
export function assertNoFaults() {
  const found = faults.splice(0);
  assert.ok(found.length === 0, found.join("\n"));
}

function isDark(page) {
  return page.evaluate(() => matchMedia("(prefers-color-scheme: dark)").matches);
}

// As high as the page is long, so that nothing sticky lies over what is below it.
async function unroll(page, width) {
  await page.setViewportSize({ width, height: width === 360 ? 780 : 900 });
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width, height });
}

// Colours in the middle of a transition are nobody's: what moves is waited for, but for what never ends.
async function stillness(page) {
  await page.evaluate(() => Promise.all(document.getAnimations()
    .filter((animation) => animation.effect?.getComputedTiming().endTime !== Infinity)
    .map((animation) => animation.finished.catch(() => {}))));
}

async function invalidHtml(page) {
  const html = await servedHtml(page);
  const report = await validator.validateString(html);
  return report.results
    .flatMap((result) => result.messages)
    .map(({ line, column, message, ruleId, selector }) => `HTML ${line}:${column} ${message} (${ruleId}) at ${selector ?? "?"}`);
}

// axe itself is JavaScript. Where a person has that switched off, it reads a copy of what the server sent, opened
// in a browser that runs scripts, but with none of the page's own.
async function twin(page) {
  const original = page.context();
  const context = await original.browser().newContext({ storageState: await original.storageState(), reducedMotion: "reduce" });
  const copy = await context.newPage();
  const html = await servedHtml(page);
  await copy.route("**/*", (route) => {
    const type = route.request().resourceType();
    if (type === "document") return route.fulfill({ contentType: "text/html; charset=utf-8", body: html });
    return type === "script" ? route.abort() : route.continue();
  });
  await copy.goto(page.url());
  return copy;
}

// Through the debugger, so that the page's content policy does not stand in the way.
async function violations(page, rules, where) {
  const session = await page.context().newCDPSession(page);
  try {
    const evaluate = async (expression) => {
      const { result, exceptionDetails } = await session.send("Runtime.evaluate", {
        expression,
        awaitPromise: true,
        returnByValue: true,
        allowUnsafeEvalBlockedByCSP: true,
      });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    };
    await evaluate(`typeof axe === "undefined" && (() => { ${axe} })()`);
    const options = JSON.stringify({ runOnly: rules === "all" ? standards : ["color-contrast"], resultTypes: ["violations"] });
    const found = await evaluate(`axe.run(document, ${options}).then(({ violations }) => violations.map(
      ({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ target, failureSummary }) => [target.join(" "), failureSummary]) })))`);
    return found.flatMap(({ id, help, nodes }) =>
      nodes.map(([target, summary]) => `axe ${id} (${where}): ${help}: ${target}: ${summary.split("\n").slice(1).join("; ").trim()}`),
    );
  } finally {
    await session.detach();
  }
}

async function sidewaysScroll(page, width) {
  const { wide, room } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth,
    room: document.documentElement.clientWidth,
  }));
  return wide > room ? [`scrolls sideways at ${width} px: ${wide} px of content in ${room} px`] : [];
}
