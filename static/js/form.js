// Forms: the summary takes the focus, unsaved changes warn, Ctrl/⌘ S saves, passwords can be shown.
document.querySelector("[data-summary]")?.focus();

const shown = (form) => new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, value.name ?? value])).toString();

for (const form of document.querySelectorAll("form[data-warn-unsaved]")) {
  const before = "unsaved" in form.dataset ? null : shown(form);
  let leaving = false;
  form.addEventListener("submit", () => { leaving = true; });
  addEventListener("pageshow", () => { leaving = false; });
  addEventListener("beforeunload", (event) => {
    if (!leaving && shown(form) !== before) event.preventDefault();
  });
}

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "s" || event.shiftKey || event.altKey || !(event.ctrlKey || event.metaKey)) return;
  const form = event.target.closest("form[data-save-shortcut]") ?? document.querySelector("form[data-save-shortcut]");
  if (form) {
    event.preventDefault();
    form.requestSubmit();
  }
});

// A second press must not send a form twice; coming back by the browser's button enables it again.
const sent = new WeakSet();
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (sent.has(event.target)) event.preventDefault();
  sent.add(event.target);
  setTimeout(() => sent.delete(event.target), 4000);
});

for (const button of document.querySelectorAll("[data-reveal]")) {
  const input = document.getElementById(button.dataset.reveal);
  button.hidden = false;
  button.addEventListener("click", () => {
    const show = input.type === "password";
    input.type = show ? "text" : "password";
    button.textContent = show ? "Hide" : "Show";
    button.setAttribute("aria-pressed", show);
  });
}
