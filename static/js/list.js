// Lists: search as one types, filter as one chooses, tick a whole page, count what is ticked.
const body = (list) => list.querySelector("[data-list-body]");

function ticks(list) {
  return [...list.querySelectorAll(".tick-cell [name=id]")];
}

function recount(list) {
  const all = ticks(list);
  const ticked = all.filter((box) => box.checked).length;
  const page = list.querySelector("[data-tick-page]");
  if (page) {
    page.hidden = all.length === 0;
    page.checked = all.length > 0 && ticked === all.length;
    page.indeterminate = ticked > 0 && ticked < all.length;
  }
  const words = list.querySelector("[data-bulk-count]");
  const matching = list.querySelector("[data-bulk-all]")?.checked;
  if (words) words.textContent = matching ? "" : `${ticked} selected`;
}

async function renew(list, url, request) {
  const part = body(list);
  part.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(url, { signal: request.signal, headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(list.id);
    part.replaceWith(document.adoptNode(body(fresh)));
    const csv = list.querySelector("[data-csv]");
    const freshCsv = fresh.querySelector("[data-csv]");
    if (csv && freshCsv) {
      csv.href = freshCsv.href;
      csv.hidden = freshCsv.hidden;
    }
    history.replaceState(null, "", url);
    for (const back of document.querySelectorAll(".theme [name=return]")) back.value = location.pathname + location.search;
    recount(list);
  } catch (error) {
    if (error.name !== "AbortError") location.assign(url);
  }
}

function watch(list) {
  const form = list.querySelector("[data-filters]");
  let request = new AbortController();
  let timer;
  const look = () => {
    clearTimeout(timer);
    // Not form.action: a filter of that name would stand for it.
    const url = new URL(form.getAttribute("action"), location.href);
    url.search = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
    request.abort();
    request = new AbortController();
    renew(list, url, request);
  };
  form?.addEventListener("input", (event) => {
    clearTimeout(timer);
    if (!event.isComposing) timer = setTimeout(look, event.target.type === "search" ? 250 : 0);
  });
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    look();
  });
  list.addEventListener("change", (event) => {
    if (event.target.matches("[data-tick-page]")) {
      for (const box of ticks(list)) box.checked = event.target.checked;
    }
    recount(list);
  });
  recount(list);
}

document.querySelectorAll("[data-list]").forEach(watch);
