// The panel's niceties: it keeps itself up to date, and its buttons work without leaving the page.
// Everything works without this file.

const REFRESH_MS = 1500;

const main = document.querySelector("main[data-live]");
const live = document.querySelector("#live");
const said = document.querySelector("#said");
let shown = "";

/** Put fresh HTML of our own server in place, leaving the focus where it was. */
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
    // The sandbox is away, restarting say; the next look may find it again.
  }
}

/** Submit a form of the live part in place and say what came of it. */
async function submit(/** @type {HTMLFormElement} */ form) {
  const button = form.querySelector("button");
  button?.setAttribute("aria-disabled", "true");
  try {
    const answer = await fetch(form.action, { method: "POST" });
    const text = new URL(answer.url).searchParams.get("said");
    if (said && text) said.textContent = text;
  } catch {
    if (said) said.textContent = "The sandbox does not answer.";
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
// What was said once is not said again on a reload.
if (location.search) history.replaceState(null, "", location.pathname);
