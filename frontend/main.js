/** The page: creates its parts and passes events between them. */

import { Api } from "./feed/api.js";
import { backoff, Feed } from "./feed/feed.js";
import { weightOf } from "./reading/board.js";
import { Reader } from "./reading/reader.js";
import { messageAt, payLabel, permalink, readReturn, say, withoutReturn } from "./ui/format.js";
import { key, Memory, Notice, onClick, PageFrame, part, setText } from "./ui/page.js";

const TICK_MS = 20_000; // how often relative times are updated
const DESK_MS = 10_000; // until the desk is loaded in any case, lest an upgrade of the server should separate it from the page
const SHARED = [key("mine"), key("payments")]; // what tabs of one device tell each other
const INFO_RETRY = { baseMs: 1_000, capMs: 30_000 };

const tab = new Memory(() => sessionStorage);
const device = new Memory(() => localStorage);
const back = readReturn(location.search); // from checkout
const wasBuyer = [tab.read("draft"), tab.read("payment"), device.read("payments"), device.read("mine")].some(Boolean);
const api = new Api();
const page = new PageFrame({
  onPill: () => reader.goToEnd(),
  onOlder: () => void reader.readOlder(),
  onTryNow: tryNow,
  onBannerClosed: () => tab.write("banner", "closed"),
});
/** @param {string} words */
const announce = (words) => page.announce(words);
const notice = new Notice(announce);
const feed = new Feed({ location, onFrame: hear, onIndicator: showConnection, isOnline: () => navigator.onLine });
const reader = new Reader({ api, page, notice, isMine: (message) => desk?.isMine(message) ?? false, onShare: share, onOpen: open });
const form = part("#composer", HTMLFormElement);
/** @type {import("./buying/desk.js").Desk | undefined} */
let desk;
/** @type {Promise<void> | undefined} */
let loadingDesk;
/** @type {Promise<import("./ui/alerts.js").Alerts> | undefined} */
let alerts; // loaded only for whoever wants them
/** @type {BoardInfo | null} */
let info = null; // until the server has sent it
let saidBroken = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let configuring;

start();

function start() {
  addEventListener("error", (event) => isOurs(event) && sayBroken());
  addEventListener("unhandledrejection", sayBroken);
  if (back) history.replaceState(history.state, "", withoutReturn(location));
  const opening = readOpening();
  history.scrollRestoration = "manual"; // the list is still empty when the browser would restore the scroll position
  if (opening) configureFor(opening.board);
  else void Promise.all([configure(), loadDesk()]); // the desk shows what the document lacks
  if (opening?.snapshot) {
    reader.takeOver(opening.snapshot, opening.history);
    feed.begin(opening.snapshot);
  }
  offerAlerts();
  offerDesk();
  if (!back) void follow();
  feed.start();
  setInterval(tick, TICK_MS);
  addEventListener("popstate", follow); // a new hash is one, too
  addEventListener("online", wake);
  addEventListener("offline", () => feed.doubt());
  addEventListener("pagehide", () => feed.suspend());
  addEventListener("pageshow", (event) => event.persisted && comeBack());
  document.addEventListener("visibilitychange", () => !document.hidden && wake());
  document.documentElement.dataset["page"] = "started"; // floor.js looks for it
}

/** Has the desk loaded as soon as somebody turns to the form, and buys with it what was sent before it was there. */
function offerDesk() {
  const load = () => void loadDesk();
  const submit = () => !desk && void loadDesk().then(() => form.requestSubmit());
  if (back || wasBuyer || form.contains(document.activeElement)) load();
  for (const type of ["focusin", "pointerenter", "input"]) form.addEventListener(type, load);
  for (const type of ["focusin", "input"]) form.addEventListener(type, standIn);
  standIn(); // something may have been chosen or written before this page started
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  form.addEventListener("keydown", ({ key: pressed, ctrlKey, metaKey, isComposing }) => {
    if (pressed === "Enter" && (ctrlKey || metaKey) && !isComposing) submit();
  });
  part("#skip", HTMLAnchorElement).addEventListener("click", (event) => {
    event.preventDefault(); // the hash stays free for a message's
    part("#message-text", HTMLTextAreaElement).focus();
  });
  addEventListener("storage", ({ key: changed }) => SHARED.includes(changed ?? "") && void loadDesk().then(() => desk?.reread()));
  setTimeout(() => void loadDesk().catch(() => {}), DESK_MS); // if it fails, the form will try again
}

/** Until the desk is there: opens the form, which is one line on a phone, and has the button say what will be paid. */
function standIn() {
  if (desk) return;
  const { text, amount } = readForm();
  if (text || form.contains(document.activeElement)) form.dataset["idle"] = "false";
  if (amount && info) setText(part("#pay", HTMLButtonElement), payLabel({ ...info.price, amount }, info.tax_behavior ?? null));
}

/** What stands in the form; the amount is null if there is none to choose. */
function readForm() {
  const { text = "", author = "", amount } = Object.fromEntries(new FormData(form));
  return { text, author, amount: Number(amount) || null };
}

function loadDesk() {
  return (loadingDesk ??= openDesk());
}

async function openDesk() {
  const preloads = part("#desk", HTMLTemplateElement);
  document.head.append(preloads.content.cloneNode(true)); // all its modules at once, not one after the other's imports
  const { Desk } = await import("./buying/desk.js").catch((error) => {
    loadingDesk = undefined;
    const typed = readForm();
    if (typed.text || typed.author) tab.write("draft", typed); // for the page after the reload
    throw error;
  });
  desk = new Desk({
    api,
    feed,
    tab,
    device,
    notice,
    announce,
    onOwn: () => reader.refresh(),
    showPending: (pending) => reader.showPending(pending),
    onConfigure: () => void configure(),
    goTo: (id, focus) => reader.goTo({ id, mark: "highlight", focus }),
    onCopy: share,
    onLeave: (url) => location.assign(url),
    later: (act, ms) => setTimeout(act, ms),
  });
  desk.open({ info, back, isLate: !back && !wasBuyer });
}

/** Offers a sound and, where the browser has them, notifications. */
function offerAlerts() {
  onClick("#sound", () => void loadAlerts().then((loaded) => loaded.toggleSound()));
  onClick("#notifications", () => void loadAlerts().then((loaded) => loaded.toggleNotifications()));
  part("#notifications", HTMLButtonElement).hidden = !("Notification" in window); // as on an iPhone
  if (device.read("alerts")) void loadAlerts();
}

function loadAlerts() {
  return (alerts ??= import("./ui/alerts.js").then(({ Alerts }) => new Alerts({ device, notice, onOpen: open })));
}

/** Reports an unexpected error, once per page load: one failure often causes many. */
function sayBroken() {
  if (saidBroken) return;
  saidBroken = true;
  const action = { label: say("Reload"), act: () => location.reload() };
  notice.show(say("This page ran into an error. It may not work properly until you reload it."), { tone: "error", action });
}

/**
 * Whether the error is the page's own. Errors in browser extensions are not, and "ResizeObserver loop" is harmless.
 *
 * @param {ErrorEvent} event
 */
function isOurs({ filename, message }) {
  return !/^[a-z-]+-extension:/.test(filename) && !message.startsWith("ResizeObserver loop");
}

/** Fetches title, price and limits, and retries until it has them: without them nothing can be sent. */
async function configure(attempt = 0) {
  clearTimeout(configuring);
  let received;
  try {
    received = await api.board();
  } catch {
    configuring = setTimeout(() => void configure(attempt + 1), backoff(attempt, INFO_RETRY));
    return;
  }
  configureFor(received);
}

/** @param {BoardInfo} received */
function configureFor(received) {
  info = received;
  page.configure(info, tab.read("banner") === "closed");
  reader.configure(info);
  if (desk) desk.configure(info);
  else part("#pay", HTMLButtonElement).disabled = false;
}

/**
 * What the server wrote into the document: the board's settings, and the snapshot that the document shows.
 *
 * @returns {Opening | null} null if there is none
 */
function readOpening() {
  const data = document.getElementById("opening")?.textContent;
  return data ? JSON.parse(data) : null;
}

/** @param {Frame} frame */
function hear(frame) {
  switch (frame.type) {
    case "viewers":
      page.showAudience(frame);
      break;
    case "message.posted":
      reader.receive(frame);
      void alerts?.then((loaded) => loaded.hear(frame.message, weightOf(frame.message, info?.price ?? null)));
      break;
    case "snapshot":
    case "resumed":
    case "message.removed":
    case "message.restored":
    case "message.withheld":
      reader.receive(frame);
  }
  desk?.hear(frame);
}

/** @param {Indicator} indicator */
function showConnection(indicator) {
  page.showConnection(indicator);
  reader.connectionChanged(indicator);
}

/** The page became visible again, or the network is back. */
function wake() {
  if (!info) void configure();
  feed.wake();
  desk?.tell("woke");
  tick();
}

/** The page was restored from the back-forward cache, for example because the buyer pressed Back at checkout. */
function comeBack() {
  desk?.tell("came back");
  wake();
}

function tryNow() {
  reader.retry();
  wake();
}

function tick() {
  reader.refresh();
  desk?.tell("ticked");
}

/** Goes to the message that the address leads to. */
async function follow() {
  const id = messageAt(location);
  if (id === null) return;
  const { kind } = await reader.goTo({ id, mark: "target", focus: true });
  if (kind === "removed") notice.show(say("That message was taken off the board."));
  if (kind === "unknown") notice.show(say("That link doesn’t lead to a message."));
  if (kind !== "failed") return;
  const action = { label: say("Try again"), act: () => void follow() };
  notice.show(say("That message couldn’t be loaded."), { tone: "error", action });
}

/** @param {number} id of a message, whose address the page takes */
function open(id) {
  history.pushState(null, "", permalink(id));
  void follow();
}

/**
 * Shares the link of a message by the browser's own means, or else copies it.
 *
 * @param {number} id
 */
async function share(id) {
  const url = location.origin + permalink(id);
  // Both are undefined over plain HTTP.
  /** @typedef {{ clipboard?: Clipboard, share?: (data: { url: string }) => Promise<void> }} Offered */
  const { clipboard, share: native } = /** @type {Offered} */ (/** @type {unknown} */ (navigator));
  if (native) {
    const shared = await native.call(navigator, { url }).then(
      () => true,
      (/** @type {unknown} */ error) => error instanceof DOMException && error.name === "AbortError", // the reader changed their mind
    );
    if (shared) return;
  }
  const copied = await clipboard?.writeText(url).then(
    () => true,
    () => false, // not permitted
  );
  if (!copied) history.replaceState(history.state, "", permalink(id));
  notice.show(copied ? say("Link copied.") : say("The link is in the address bar; copy it from there."));
}
