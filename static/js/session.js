// Being signed in ends after a while without a request. Typing into a form keeps it from ending; shortly
// before it ends the form says so; and a form is not sent once it has ended, so that no text is lost.
const main = document.querySelector("main[data-session]");
const forms = main ? [...main.querySelectorAll("form[data-warn-unsaved]")] : [];
const minute = 60_000;
const warned = 3 * minute;
// The server notes a request at most once a minute, so the end may come that much earlier.
const vague = minute;
// Not known before somebody types: until then there is nothing to lose.
let end = Infinity;
let asked = Date.now();
let timer;

function say(words, way) {
  for (const form of forms) {
    const known = form.querySelector("[data-session-news]");
    if (!words) {
      known?.remove();
      continue;
    }
    const box = known ?? document.createElement("div");
    if (!known) {
      box.className = "notice";
      box.dataset.kind = "warning";
      box.dataset.sessionNews = "";
      box.setAttribute("role", "alert");
      form.querySelector(".save-bar").before(box);
    }
    const sentence = document.createElement("p");
    sentence.textContent = words;
    box.replaceChildren(sentence, way());
  }
}

function stay() {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "button", textContent: "Stay signed in" });
  button.dataset.style = "quiet";
  button.addEventListener("click", ask);
  return button;
}

function signIn() {
  const link = document.createElement("a");
  Object.assign(link, { href: "/sign-in", target: "_blank", rel: "noopener", className: "button", textContent: "Sign in in a new tab" });
  link.dataset.style = "quiet";
  return link;
}

function look() {
  clearTimeout(timer);
  const left = end - Date.now();
  if (left > warned) {
    say("");
    timer = setTimeout(look, left - warned);
  } else if (left > 0) {
    say("You are signed out soon, because nothing was sent for a while. Save, or stay signed in.", stay);
    timer = setTimeout(look, left);
  } else {
    say("You are signed out. What you typed is still here: sign in in a new tab, then save on this page.", signIn);
  }
}

/** Asks how long there is left, which counts as a request; whether there was an answer. */
async function ask() {
  asked = Date.now();
  try {
    const answer = await fetch(main.dataset.session, { headers: { Accept: "application/json" } });
    if (!answer.ok) return false;
    end = Date.now() + (await answer.json()).seconds_left * 1000;
  } catch {
    return false;
  }
  look();
  return true;
}

async function send(form, submitter) {
  if (!(await ask())) {
    say("The server does not answer. What you typed is still here; try again in a moment.", stay);
  } else if (end > Date.now()) {
    form.requestSubmit(submitter);
  } else {
    form.querySelector("[data-session-news] a")?.focus();
  }
}

for (const form of forms) {
  form.addEventListener("input", () => {
    if (end === Infinity || Date.now() - asked > minute) ask();
  });
  form.addEventListener("submit", (event) => {
    if (Date.now() < end - vague) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    send(form, event.submitter);
  });
}
if (forms.some((form) => "unsaved" in form.dataset)) ask();
