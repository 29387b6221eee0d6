// Debian's Chromium, and the people who sit before it.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const executablePath = process.env.PROVOST_TEST_CHROMIUM || "/usr/bin/chromium";

// Quiet: no calls home, no first-run pages. The sandbox stays on but for root, for whom Chromium has none.
const args = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
];

export function launchBrowser() {
  if (!existsSync(executablePath)) throw new Error(`${executablePath} is missing; scripts/test browser installs it`);
  return chromium.launch({ executablePath, args });
}

/**
 * Somebody with a browser of their own (cookies are not shared): a page, with what it served and what it
 * complained about on record. `options` are Playwright's: viewport, colorScheme, javaScriptEnabled, ...
 */
export async function newPerson(browser, app, options = {}) {
  const context = await browser.newContext({
    baseURL: app.url,
    locale: "en-GB",
    timezoneId: "Europe/Tallinn",
    reducedMotion: "reduce",
    viewport: { width: 1440, height: 900 },
    ...options,
  });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  records.set(page, { served: null, complaints: [], scripts: options.javaScriptEnabled !== false });
  record(page);
  return page;
}

const records = new WeakMap();

/** The HTML of the page as the server sent it, a page that answers a POST included. */
export async function servedHtml(page) {
  return records.get(page).served;
}

/** Whether this person's browser runs scripts. */
export function runsScripts(page) {
  return records.get(page).scripts;
}

/** What went wrong in the browser since the last call: console errors, exceptions, failed requests. */
export function takeComplaints(page) {
  return records.get(page).complaints.splice(0);
}

function record(page) {
  const entry = records.get(page);
  page.on("response", (response) => {
    const request = response.request();
    const isDocument = request.isNavigationRequest() && request.frame() === page.mainFrame();
    const isRedirect = response.status() >= 300 && response.status() < 400;
    if (isDocument && !isRedirect) {
      entry.served = response.text();
      entry.served.catch(() => {});
    }
    if (response.status() >= 500) entry.complaints.push(`${response.status()} from ${response.url()}`);
  });
  page.on("pageerror", (error) => entry.complaints.push(`exception: ${error.message}`));
  page.on("console", (message) => {
    // A form that comes back with 422, or a page that is not there, is an answer and no fault of the page.
    const aboutDocument = message.location().url.split("#")[0] === page.url().split("#")[0];
    const isAnswer = aboutDocument && /status of 4\d\d/.test(message.text());
    if (message.type() === "error" && !isAnswer) entry.complaints.push(`console: ${message.text()}`);
  });
  page.on("requestfailed", (request) => {
    // Chromium gives up a navigation that becomes a download, and what a page was loading when it was left.
    if (request.failure()?.errorText !== "net::ERR_ABORTED") {
      entry.complaints.push(`${request.failure()?.errorText} for ${request.url()}`);
    }
  });
}
