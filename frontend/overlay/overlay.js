/** The stream overlay: shows new messages one after the other, for a browser source in a streaming program. */

import { Api } from "../feed/api.js";
import { backoff, Feed } from "../feed/feed.js";
import { Chime } from "../ui/chime.js";
import { part, setText } from "../ui/page.js";
import { formatPrice, say } from "../ui/format.js";
import { weightOf } from "../reading/board.js";
import { advance, emptyQueue, nextChange, PAUSE_MS, readOptions, receive } from "./queue.js";

const RETRY = { baseMs: 1_000, capMs: 30_000 };
const LONG = { characters: 120, lines: 6 }; // above which a text is set smaller
const LONGEST = { characters: 280, lines: 12 }; // and smaller still

const options = readOptions(location.search);
const chime = new Chime(options.sound);
const api = new Api();
const stage = part("#stage", HTMLElement);
const feed = new Feed({ location, onFrame: hear, onIndicator: follow, isOnline: () => navigator.onLine });
let queue = emptyQueue();
/** @type {BoardInfo["price"] | null} */
let price = null; // until the server has sent it
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let attempt = 0;

feed.start();
addEventListener("online", () => feed.wake());
addEventListener("keydown", (event) => {
  if (event.key === "m" && !event.repeat) chime.toggle();
});

/** @param {Frame} frame */
function hear(frame) {
  const before = queue;
  queue = receive(queue, frame, performance.now(), options);
  // What was removed doesn't fade, not even if it is fading already.
  if ("message_id" in frame) stage.querySelector(`[data-id="${frame.message_id}"]`)?.remove();
  else if (before.shown && !queue.shown) stage.replaceChildren();
  goOn();
}

/** Lets the queue advance as far as it can now, and sets the timer for its next change. */
function goOn() {
  for (let next = step(); next !== queue; next = step()) {
    queue = next;
    if (queue.shown) show(queue.shown.message);
    else fade();
  }
  clearTimeout(timer);
  const at = nextChange(queue);
  if (at !== null) timer = setTimeout(goOn, Math.max(0, at - performance.now()));
}

function step() {
  return advance(queue, performance.now(), level);
}

/** @param {Message} message */
function show(message) {
  const card = document.importNode(part("#message-template", HTMLTemplateElement).content, true);
  const item = part(".message", HTMLElement, card);
  const author = part(".author", HTMLElement, item);
  const text = part(".text", HTMLElement, item);
  item.dataset["id"] = String(message.id);
  item.dataset["level"] = String(level(message));
  item.dataset["length"] = exceeds(message.text, LONGEST) ? "longest" : exceeds(message.text, LONG) ? "long" : "short";
  author.classList.toggle("anonymous", message.author === null);
  setText(author, message.author ?? say("Anonymous"));
  setText(part(".amount", HTMLElement, item), formatPrice(message.amount, message.currency));
  setText(text, message.text);
  stage.replaceChildren(item);
  item.dir = getComputedStyle(text).direction; // of the whole card, so that the author stands where the text begins
  chime.ring(level(message)).catch(() => undefined); // without sound it goes on
}

/** Lets the message on screen fade; the next one comes after the pause. */
function fade() {
  const item = stage.firstElementChild;
  item?.classList.add("leaving");
  setTimeout(() => item?.remove(), PAUSE_MS);
}

/**
 * @param {string} text
 * @param {{ characters: number, lines: number }} limit
 */
function exceeds(text, { characters, lines }) {
  return text.length > characters || text.split("\n").length > lines;
}

/** @param {Message} message */
function level(message) {
  return weightOf(message, price);
}

/**
 * Reads the tiers whenever the connection is live again: the server may have restarted with others.
 *
 * @param {Indicator} indicator
 */
function follow(indicator) {
  if (indicator === "live") void readTiers();
}

async function readTiers() {
  try {
    price = (await api.board()).price;
    attempt = 0;
  } catch {
    setTimeout(readTiers, backoff(attempt++, RETRY));
  }
}
