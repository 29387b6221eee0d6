// What runs is fetched again until it settles. Detail that was opened stays open.
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// What is replaced is not read out, so the news is told beside it: at most every ten seconds.
function tell(id, fresh) {
  const said = document.querySelector(`[data-live-news="${id}"]`);
  const news = fresh.querySelector("h2")?.textContent;
  if (!said || !news || said.textContent === news || Date.now() - (said.dataset.at ?? 0) < 10_000) return;
  said.textContent = news;
  said.dataset.at = Date.now();
}

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
      tell(id, fresh);
      if (!part.contains(document.activeElement)) part.replaceWith(document.adoptNode(fresh));
      wait = 1000;
    } catch {
      wait = Math.min(wait * 2, 15000);
    }
  }
}

for (const part of document.querySelectorAll('[data-live="running"]')) follow(part.id);
