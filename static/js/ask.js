// What asks first has a page of its own; here a dialog shows the same question over the page one is on.
let asking = false;

async function ask(link) {
  asking = true;
  const dialog = document.createElement("dialog");
  try {
    const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const question = page.querySelector("[data-question]");
    if (!answer.ok || answer.redirected || !question) throw new Error("no question");
    const title = page.querySelector("h1");
    const heading = document.createElement("h2");
    heading.id = "question";
    heading.textContent = title.firstChild.textContent.trim();
    dialog.className = "ask";
    dialog.setAttribute("aria-labelledby", heading.id);
    dialog.append(heading, document.adoptNode(question));
  } catch {
    return location.assign(link.href);
  } finally {
    asking = false;
  }
  document.body.append(dialog);
  // Showing it remembers where the focus was, and closing it, by Esc too, puts the focus back there.
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => {
    if (!event.target.closest("[data-cancel]")) return;
    event.preventDefault();
    dialog.close();
  });
  dialog.showModal();
  // Nothing grave lies under the first press of Enter.
  (dialog.querySelector("textarea, input:not([type=hidden])") ?? dialog.querySelector("[data-cancel]"))?.focus();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-asks]");
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (!asking) ask(link);
});
