/** Rows: the elements that show messages, and which one of them the Tab key reaches. */

import { copyOf, part, setText } from "../ui/page.js";
import { dayName, exactTime, formatPrice, linked, permalink, say, timeLeft, timeOfDay } from "../ui/format.js";
import { weightOf } from "./board.js";

const SHORT = 150; // a text of fewer characters, and of at most six lines, is never cut off
const MOST_LINES = 6; // as in style.css

/**
 * The row of a message: the one that the server has drawn, if it stands in the document, else a new one.
 *
 * @param {Message} message
 * @param {Look} look
 */
export function messageRow(message, look) {
  const standing = document.getElementById(`m${message.id}`);
  const isSame = standing instanceof HTMLLIElement && standing.querySelector("time")?.dateTime === message.posted_at;
  const item = isSame ? standing : copyOf("#message-template");
  item.id = `m${message.id}`;
  item.dataset["id"] = String(message.id);
  showAuthor(item, message);
  const link = part(".when", HTMLAnchorElement, item);
  link.href = permalink(message.id);
  link.title = exactTime(message.posted_at);
  part("time", HTMLTimeElement, item).dateTime = message.posted_at;
  freshen(item, message, look);
  reach(item, false);
  return item;
}

/**
 * Updates what may change in a message's row: the time in words, whose it is, its weight, and its links.
 *
 * @param {HTMLElement} item
 * @param {Message} message
 * @param {Look} look
 */
export function freshen(item, message, look) {
  const mine = look.isMine(message);
  item.classList.toggle("mine", mine);
  part(".yours", HTMLElement, item).hidden = !mine;
  setText(part("time", HTMLTimeElement, item), timeOfDay(message.posted_at));
  weigh(item, message, look);
  showWords(part(".words", HTMLElement, item), message.text, look.links);
}

/** @param {Content} content of a message that is about to be posted */
export function pendingRow(content) {
  const item = copyOf("#pending-template");
  showAuthor(item, content);
  setText(part(".words", HTMLElement, item), content.text);
  return item;
}

/** @param {Span} gap to be closed by its button */
export function gapRow(gap) {
  const item = copyOf("#gap-template");
  item.dataset["from"] = String(gap.from);
  item.dataset["to"] = String(gap.to);
  return item;
}

/**
 * @param {string} day above its first message
 * @param {HTMLElement} [item] that shows it already
 */
export function dayRow(day, item = document.createElement("li")) {
  item.className = "day";
  setText(item, dayName(day, Date.now()));
  return item;
}

/**
 * A pinned message in short: what was paid, by whom, and for how long it stays.
 *
 * @param {Message} message
 * @param {HTMLElement | undefined} drawn the element that shows it already
 * @param {Look} look
 * @param {number} leftMs
 */
export function pinRow(message, drawn, look, leftMs) {
  const item = drawn ?? copyOf("#pin-template");
  const link = part("a", HTMLAnchorElement, item);
  link.href = permalink(message.id);
  item.dataset["id"] = String(message.id);
  setText(part(".author", HTMLElement, item), message.author ?? say("Anonymous"));
  setText(part(".words", HTMLElement, item), message.text);
  setText(part(".left", HTMLElement, item), timeLeft(leftMs));
  weigh(item, message, look);
  if (!drawn) reach(item, false);
  return item;
}

/**
 * Offers to show the rest of the texts that are cut off.
 *
 * @param {HTMLElement[]} items rows of messages that have just been drawn, or resized
 */
export function offerRest(items) {
  const long = items.flatMap((item) => {
    const words = part(".words", HTMLElement, item);
    const text = words.textContent ?? "";
    const may = text.length >= SHORT || text.split("\n").length > MOST_LINES;
    return may && !item.classList.contains("whole") ? [{ item, words }] : [];
  });
  const measured = long.map(({ item, words }) => ({ item, cut: words.scrollHeight > words.clientHeight + 1 })); // all at once
  for (const { item, cut } of measured) {
    const button = item.querySelector(".more");
    if (cut && !button) item.append(moreButton());
    if (!cut) button?.remove();
  }
}

/** @param {HTMLElement} item whose whole text is wanted, or no longer */
export function toggleRest(item) {
  const whole = item.classList.toggle("whole");
  const button = part(".more", HTMLButtonElement, item);
  button.setAttribute("aria-expanded", String(whole));
  setText(button, whole ? say("Show less") : say("Show more"));
}

/** The one element of a list that the Tab key reaches; from there, arrow keys reach the others. */
export class TabStop {
  /** @type {HTMLElement | null} */
  #current = null;
  #list;
  #focusable;

  /**
   * @param {HTMLElement} list
   * @param {{ back: string, on: string, focusable?: string }} options the keys for the previous and the next item, and what
   *   in an item takes the focus: itself, if nothing is given
   */
  constructor(list, { back, on, focusable }) {
    this.#list = list;
    this.#focusable = focusable;
    list.addEventListener("focusin", (event) => this.#move(itemOf(event.target)));
    list.addEventListener("keydown", (event) => {
      const { key } = event;
      const here = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey ? null : itemOf(event.target);
      const next = here && this.#next(here, { step: key === on ? 1 : key === back ? -1 : 0, key });
      if (!next) return;
      event.preventDefault();
      const target = this.#focusable ? part(this.#focusable, HTMLElement, next) : next;
      target.focus();
    });
  }

  /** Puts it on an item that is there: the newest or the first, unless the reader has chosen one. */
  settle() {
    if (this.#current?.isConnected && this.#list.contains(document.activeElement)) return;
    const items = /** @type {NodeListOf<HTMLElement>} */ (this.#list.querySelectorAll(":scope > [data-id]"));
    this.#move((this.#focusable ? items[0] : items[items.length - 1]) ?? null);
  }

  /**
   * @param {HTMLElement} here
   * @param {{ step: number, key: string }} to
   */
  #next(here, { step, key }) {
    const items = /** @type {NodeListOf<HTMLElement>} */ (this.#list.querySelectorAll(":scope > [data-id]"));
    if (key === "Home") return items[0];
    if (key === "End") return items[items.length - 1];
    return step === 0 ? null : items[[...items].indexOf(here) + step];
  }

  /** @param {HTMLElement | null} item */
  #move(item) {
    if (!item || item === this.#current) return;
    if (this.#current) reach(this.#current, false);
    reach(item, true);
    this.#current = item;
  }
}

/**
 * @param {EventTarget | null} target
 * @returns {HTMLElement | null} the item of a list that it is in
 */
export function itemOf(target) {
  return target instanceof Element ? target.closest("li") : null;
}

/**
 * Whether the Tab key reaches an item, and the links and buttons in it.
 *
 * @param {HTMLElement} item
 * @param {boolean} reached
 */
function reach(item, reached) {
  const index = reached ? 0 : -1;
  if (item.hasAttribute("tabindex")) item.tabIndex = index;
  for (const control of /** @type {NodeListOf<HTMLElement>} */ (item.querySelectorAll("a, button"))) control.tabIndex = index;
}

/**
 * Shows what was paid, unless all messages cost the same.
 *
 * @param {HTMLElement} item
 * @param {Message} message
 * @param {Look} look
 */
function weigh(item, message, { price }) {
  const amount = part(".amount", HTMLElement, item);
  amount.hidden = price?.tiers.length === 1;
  setText(amount, formatPrice(message.amount, message.currency));
  const weight = String(weightOf(message, price));
  if (price && item.dataset["weight"] !== weight) item.dataset["weight"] = weight;
}

/**
 * @param {HTMLElement} item
 * @param {Pick<Message, "author">} message
 */
function showAuthor(item, { author }) {
  const name = part(".author", HTMLElement, item);
  name.classList.toggle("anonymous", author === null);
  setText(name, author ?? say("Anonymous"));
}

/**
 * @param {HTMLElement} words
 * @param {string} text
 * @param {boolean} links whether to show addresses as links
 */
function showWords(words, text, links) {
  const parts = links ? linked(text) : [{ text }];
  const standing = words.querySelectorAll("a").length;
  if (words.textContent === text && standing === parts.filter(({ href }) => href).length) return;
  words.replaceChildren(...parts.map((one) => (one.href ? linkTo(one.href) : one.text)));
}

/** @param {string} href which the link shows as it is */
function linkTo(href) {
  const link = document.createElement("a");
  link.href = href;
  link.rel = "nofollow ugc noopener";
  link.target = "_blank";
  link.dir = "ltr";
  link.tabIndex = -1;
  link.textContent = href;
  return link;
}

function moreButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "more";
  button.setAttribute("aria-expanded", "false");
  button.tabIndex = -1;
  button.textContent = say("Show more");
  return button;
}
