/** The page: creates its parts and passes events between them. */

import { messageInHash, permalink, readReturn, withoutReturn } from "./ui/address.js";
import { Api } from "./feed/api.js";
import { backoff } from "./feed/backoff.js";
import { Buyer, Claims } from "./buying/buyer.js";
import { Composer, PaymentCard, PurchaseList } from "./buying/composer.js";
import { Feed } from "./feed/feed.js";
import { key, Memory } from "./ui/memory.js";
import { Notice } from "./ui/notice.js";
import { PageFrame } from "./ui/page.js";
import { Reader } from "./reading/reader.js";

const TICK_MS = 20_000; // how often relative times are updated
const INFO_RETRY = { baseMs: 1_000, capMs: 30_000 };

const tab = new Memory(() => sessionStorage);
const device = new Memory(() => localStorage);
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
const claims = new Claims({ api, device, onChange: showOwn });
const reader = new Reader({ api, page, notice, isMine: (message) => claims.isMine(message), onCopy: copyLink });
const composer = new Composer({
  onInput: (typed) => buyer.tell({ type: "typed", ...typed }),
  onSubmit: () => buyer.submit(),
  readPins: () => api.pinned(),
});
const list = new PurchaseList({
  onOpen: () => {
    buyer.list(); // what is written meanwhile changes it
    void claims.review();
  },
  onRewrite: (id) => buyer.tell({ type: "acted", action: "rewrite", id }),
});
const card = new PaymentCard({ onAction: (action) => buyer.tell({ type: "acted", action }), announce });
const buyer = new Buyer({
  api,
  feed,
  tab,
  claims,
  composer,
  card,
  list,
  notice,
  showPending: (pending) => reader.showPending(pending),
  onConfigure: () => void configure(),
  goTo: (id, focus) => reader.goTo({ id, mark: "highlight", focus }),
  onCopy: copyLink,
  onLeave: (url) => location.assign(url),
  later: (act, ms) => setTimeout(act, ms),
});
let configured = false;
let saidBroken = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let configuring;

start();

function start() {
  addEventListener("error", (event) => isOurs(event) && sayBroken());
  addEventListener("unhandledrejection", sayBroken);
  const back = readReturn(location.search);
  if (back) history.replaceState(history.state, "", withoutReturn(location));
  history.scrollRestoration = "manual"; // the list is still empty when the browser would restore the scroll position
  void configure();
  buyer.open(back);
  if (!back) void followHash();
  feed.start();
  setInterval(tick, TICK_MS);
  addEventListener("hashchange", followHash);
  addEventListener("online", wake);
  addEventListener("offline", () => feed.doubt());
  addEventListener("pagehide", () => feed.suspend());
  addEventListener("pageshow", (event) => event.persisted && comeBack());
  addEventListener("storage", (event) => event.key === key("mine") && claims.reread());
  addEventListener("storage", (event) => event.key === key("payments") && buyer.share());
  document.addEventListener("visibilitychange", () => !document.hidden && wake());
  document.documentElement.dataset["page"] = "started"; // floor.js looks for it
}

/** Reports an unexpected error, once per page load: one failure often causes many. */
function sayBroken() {
  if (saidBroken) return;
  saidBroken = true;
  const action = { label: "Reload", act: () => location.reload() };
  notice.show("This page ran into an error. It may not work properly until you reload it.", { tone: "error", action });
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
  let info;
  try {
    info = await api.board();
  } catch {
    configuring = setTimeout(() => void configure(attempt + 1), backoff(attempt, INFO_RETRY));
    return;
  }
  configured = true;
  page.configure(info, tab.read("banner") === "closed");
  composer.configure(info);
  buyer.tell({ type: "configured", amounts: info.price.tiers.map(({ amount }) => amount) });
}

/** The messages of one's own changed. */
function showOwn() {
  reader.refresh();
  buyer.list();
}

/** @param {Frame} frame */
function hear(frame) {
  switch (frame.type) {
    case "snapshot":
    case "message.posted":
    case "message.removed":
    case "message.restored":
    case "message.withheld":
      reader.receive(frame);
  }
  buyer.hear(frame);
}

/** @param {Indicator} indicator */
function showConnection(indicator) {
  page.showConnection(indicator);
  reader.connectionChanged(indicator);
}

/** The page became visible again, or the network is back. */
function wake() {
  if (!configured) void configure();
  feed.wake();
  buyer.tell({ type: "woke" });
  tick();
}

/** The page was restored from the back-forward cache, for example because the buyer pressed Back at checkout. */
function comeBack() {
  buyer.share(); // nothing reported what other tabs did meanwhile
  claims.reread();
  buyer.tell({ type: "came back" });
  wake();
}

function tryNow() {
  reader.retry();
  wake();
}

function tick() {
  reader.refresh();
  buyer.tell({ type: "ticked" });
}

async function followHash() {
  const id = messageInHash(location.hash);
  if (id === null) return;
  const { kind } = await reader.goTo({ id, mark: "target", focus: true });
  if (kind === "removed") notice.show("That message was taken off the board.");
  if (kind === "unknown") notice.show("That link doesn’t lead to a message.");
  if (kind !== "failed") return;
  const action = { label: "Try again", act: () => void followHash() };
  notice.show("That message couldn’t be loaded.", { tone: "error", action });
}

/** @param {number} id */
async function copyLink(id) {
  const { clipboard } = /** @type {{ clipboard?: Clipboard }} */ (navigator); // undefined over plain HTTP
  const copied = await clipboard?.writeText(permalink(location.href, id)).then(
    () => true,
    () => false, // not permitted
  );
  if (!copied) history.replaceState(history.state, "", `#m${id}`);
  notice.show(copied ? "Link copied." : "The link is in the address bar; copy it from there.");
}
