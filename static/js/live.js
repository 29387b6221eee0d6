// What runs is fetched again until it settles. Detail that was opened stays open.
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function follow(id) {
  let wait = 1000;
  for (;;) {
    await pause(wait);
    const part = document.getElementById(id);
    if (part?.dataset.live !== "running") return;
    if (document.hidden) continue;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected || answer.status === 401 || answer.status === 403) return location.reload();
      if (!answer.ok) throw new Error(answer.statusText);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(id);
      if (!fresh) return location.reload();
      if (fresh.dataset.live !== "running") return location.reload();
      const open = [...part.querySelectorAll("details")].map((details) => details.open);
      fresh.querySelectorAll("details").forEach((details, i) => { details.open = open[i] ?? false; });
      if (!part.contains(document.activeElement)) part.replaceWith(document.adoptNode(fresh));
      wait = 1000;
    } catch {
      wait = Math.min(wait * 2, 15000);
    }
  }
}

for (const part of document.querySelectorAll('[data-live="running"]')) follow(part.id);
