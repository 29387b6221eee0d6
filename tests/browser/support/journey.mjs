// A journey: one app, one browser, and the people in it, from start to clean-up.

import { test } from "node:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startApp } from "./app.mjs";
import { launchBrowser, newPerson } from "./browser.mjs";
import { assertNoFaults, pictures } from "./check.mjs";
import { engine } from "./engine.mjs";

const minutes = 4;

/**
 * `walk` gets the app and `person(options)`, which opens a browser for one more person. `options` go to
 * `startApp`. If the journey fails, what each person saw and what the app said is left among the pictures.
 */
export function journey(name, options, walk) {
  test(`${name} (${engine})`, async () => {
    const app = await startApp(options);
    const browser = await launchBrowser();
    const pages = [];
    const person = async (browserOptions) => {
      const page = await newPerson(browser, app, browserOptions);
      pages.push(page);
      return page;
    };
    try {
      await within(minutes, walk({ app, person }));
    } catch (error) {
      await leaveEvidence(name, app, pages);
      try {
        assertNoFaults();
      } catch (faults) {
        error.message += `\nand on the pages before:\n${faults.message}`;
      }
      throw error;
    } finally {
      await browser.close();
      await app.stop();
    }
    assertNoFaults();
  });
}

// The runner's own time limit would leave the app and the browser running.
async function within(minutes, walk) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not finished after ${minutes} minutes`)), minutes * 60_000);
  });
  await Promise.race([walk, late]).finally(() => clearTimeout(timer));
}

async function leaveEvidence(name, app, pages) {
  const base = join(pictures, `failed-${name.replace(/[^a-z0-9]+/gi, "-")}-${engine}`);
  await writeFile(`${base}.log`, app.output);
  for (const [index, page] of pages.entries()) {
    await page.screenshot({ path: `${base}-${index + 1}.png`, fullPage: true }).catch(() => {});
    await writeFile(`${base}-${index + 1}.html`, `<!-- ${page.url()} -->\n${await page.content().catch(String)}`);
  }
}
