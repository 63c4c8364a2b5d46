// Optional extras for the panel: it refreshes itself, and its buttons work without leaving the page.
// Everything works without this file.

const REFRESH_MS = 1500;

const main = document.querySelector("main[data-live]");
const live = document.querySelector("#live");
const said = document.querySelector("#said");
let shown = "";

/** Replace the live part with new HTML from our own server, and keep the focus. */
function show(/** @type {string} */ text) {
  if (!live || text === shown) return;
  const focused = document.activeElement?.id;
  const fresh = new DOMParser().parseFromString(text, "text/html");
  live.replaceChildren(...fresh.body.childNodes);
  shown = text;
  if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus();
}

async function refresh() {
  if (!(main instanceof HTMLElement) || document.hidden) return;
  try {
    const answer = await fetch(main.dataset.live ?? "");
    if (answer.ok) show(await answer.text());
  } catch {
    // The sandbox can't be reached, for example because it is restarting: try again at the next refresh.
  }
}

/** Submit a form of the live part in the background and show the result. */
async function submit(/** @type {HTMLFormElement} */ form) {
  const button = form.querySelector("button");
  button?.setAttribute("aria-disabled", "true");
  try {
    const answer = await fetch(form.action, { method: "POST" });
    const text = new URL(answer.url).searchParams.get("said");
    if (said && text) said.textContent = text;
  } catch {
    if (said) said.textContent = "The sandbox can’t be reached.";
  }
  button?.removeAttribute("aria-disabled");
  await refresh();
}

live?.addEventListener("submit", (event) => {
  if (!(event.target instanceof HTMLFormElement)) return;
  event.preventDefault();
  if (event.target.querySelector("[aria-disabled]")) return;
  submit(event.target);
});

setInterval(refresh, REFRESH_MS);
document.addEventListener("visibilitychange", refresh);
// A reload does not show the result again.
if (location.search) history.replaceState(null, "", location.pathname);
