// Waiting for what will come, with a deadline and never with a fixed sleep.

import { setTimeout as pause } from "node:timers/promises";

/** Calls `look` until it gives something truthy, and returns that; fails with `what` and the last error. */
export async function eventually(what, look, { seconds = 20, every = 50 } = {}) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    let last;
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      if (error.final) throw error;
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`waited ${seconds} s for ${what}${last ? `: ${last.message}` : ""}`, { cause: last });
    }
    await pause(every);
  }
}
