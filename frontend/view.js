/** The board's view: draws the state of board.js as a list, and keeps the reader's place in it. */

import { rows } from "./board.js";
import { copyOf, element, part, setText } from "./elements.js";
import { exactTime, formatPrice, relativeTime } from "./format.js";

/** @import { Message } from "./types" */
/** @import { Board, Row, Span } from "./board.js" */

const END_PX = 96; // this near to the end counts as reading along
const QUIET_MS = 1_000; // how long assistive technology is kept from reading out what is not news

/** The list of messages. All text of strangers goes through `textContent`. */
export class BoardView {
  #list = element("board", HTMLOListElement);
  #log = element("log", HTMLElement);
  #messageTemplate = element("message-template", HTMLTemplateElement);
  #gapTemplate = element("gap-template", HTMLTemplateElement);
  /** @type {Map<string, HTMLElement>} */
  #items = new Map(); // by row key
  /** @type {WeakMap<Element, Message>} */
  #drawn = new WeakMap(); // what an item shows
  #atEnd = true;
  #range = 0; // how far the page could be scrolled when last looked at
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #quiet;
  #onGap;
  #isMine;

  /**
   * @param {object} options
   * @param {(message: Message) => boolean} options.isMine
   * @param {(gap: Span) => void} options.onGap a gap is to be read
   * @param {(id: number) => void} options.onCopy the link of a message is to be copied
   * @param {(atEnd: boolean) => void} options.onScroll the reader scrolled
   */
  constructor({ isMine, onGap, onCopy, onScroll }) {
    this.#isMine = isMine;
    this.#onGap = onGap;
    this.#list.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button.copy") : null;
      const item = button?.closest("li");
      if (item) onCopy(Number(item.dataset["id"]));
    });
    addEventListener("scroll", () => onScroll(this.#measureEnd()), { passive: true });
    addEventListener("resize", () => this.#followEnd());
    new ResizeObserver(() => this.#followEnd()).observe(document.body);
  }

  /** Whether the reader is at the end of the list, reading along. */
  get atEnd() {
    return this.#atEnd;
  }

  /**
   * Draws the board. The reader's place stays where it is: at the end for who reads along, else at the message on top.
   *
   * @param {Board} board
   * @param {{ news: boolean }} options `news`: what is added was posted just now, and is worth reading out
   */
  render(board, { news }) {
    if (!news) this.#hush();
    const anchor = this.#atEnd ? null : this.#topItem();
    const top = anchor?.getBoundingClientRect().top ?? 0;
    const hadFocus = this.#list.contains(document.activeElement);
    this.#reconcile(rows(board));
    if (hadFocus && document.activeElement === document.body) this.#log.focus({ preventScroll: true });
    if (this.#atEnd) this.scrollToEnd();
    else if (anchor?.isConnected) scrollBy({ top: anchor.getBoundingClientRect().top - top, behavior: "instant" });
    this.setBusy(false);
  }

  /** @param {boolean} busy more of the list is on its way */
  setBusy(busy) {
    this.#log.ariaBusy = String(busy);
  }

  /** Goes to the newest message. */
  scrollToEnd() {
    scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
    this.#atEnd = true;
    this.#range = scrollRange();
  }

  /**
   * Goes to a message and marks it.
   *
   * @param {number} id
   * @param {{ mark: "highlight" | "target", focus: boolean }} options
   * @returns {boolean} false when it is not in the list
   */
  reveal(id, { mark, focus }) {
    const item = this.#items.get(`m${id}`);
    if (!item) return false;
    for (const marked of this.#list.querySelectorAll(`.${mark}`)) marked.classList.remove(mark);
    item.classList.add(mark);
    item.scrollIntoView({ block: "center", behavior: "instant" });
    this.#range = scrollRange();
    this.#measureEnd();
    if (focus) item.focus({ preventScroll: true });
    return true;
  }

  /**
   * Brings the relative times up to date.
   *
   * @param {number} now epoch milliseconds
   */
  refreshTimes(now) {
    for (const time of this.#list.querySelectorAll("time")) setText(time, relativeTime(time.dateTime, now));
  }

  /** Looks again at which messages are this device's own. */
  refreshMine() {
    for (const item of this.#items.values()) {
      const message = this.#drawn.get(item);
      if (message) this.#markMine(item, message);
    }
  }

  /** @param {Row[]} wanted */
  #reconcile(wanted) {
    const keep = new Map(wanted.map((row) => [rowKey(row), row]));
    for (const [key, item] of this.#items) {
      if (keep.has(key)) continue;
      item.remove();
      this.#items.delete(key);
    }
    let next = this.#list.firstElementChild;
    for (const [key, row] of keep) {
      const item = this.#items.get(key) ?? this.#create(row);
      this.#items.set(key, item);
      this.#fill(item, row);
      if (item === next) next = next.nextElementSibling;
      else this.#list.insertBefore(item, next);
    }
  }

  /** @param {Row} row */
  #create(row) {
    if (row.kind === "message") return copyOf(this.#messageTemplate);
    const item = copyOf(this.#gapTemplate);
    const { gap } = row;
    part(item, "button", HTMLButtonElement).addEventListener("click", () => this.#onGap(gap));
    return item;
  }

  /**
   * @param {HTMLElement} item
   * @param {Row} row
   */
  #fill(item, row) {
    if (row.kind === "gap" || this.#drawn.get(item) === row.message) return;
    const { message } = row;
    this.#drawn.set(item, message);
    item.id = `m${message.id}`;
    item.dataset["id"] = String(message.id);
    const author = part(item, ".author", HTMLElement);
    author.classList.toggle("anonymous", message.author === null);
    setText(author, message.author ?? "Anonymous");
    setText(part(item, ".words", HTMLElement), message.text);
    setText(part(item, ".amount", HTMLElement), formatPrice(message.amount, message.currency));
    const link = part(item, ".when", HTMLAnchorElement);
    link.href = `#m${message.id}`;
    link.title = exactTime(message.posted_at);
    const time = part(item, "time", HTMLTimeElement);
    time.dateTime = message.posted_at;
    setText(time, relativeTime(message.posted_at, Date.now()));
    this.#markMine(item, message);
  }

  /**
   * @param {HTMLElement} item
   * @param {Message} message
   */
  #markMine(item, message) {
    const mine = this.#isMine(message);
    item.classList.toggle("mine", mine);
    part(item, ".yours", HTMLElement).hidden = !mine;
  }

  /** Keeps a filling list from being read out from top to bottom. */
  #hush() {
    this.#log.ariaLive = "off";
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => (this.#log.ariaLive = "polite"), QUIET_MS);
  }

  /** Whatever resized (the keyboard, a growing text box), who reads along stays at the end. */
  #followEnd() {
    if (this.#atEnd) this.scrollToEnd();
  }

  /** A scroll that comes with a new size is the browser's doing, and takes nobody away from the end. */
  #measureEnd() {
    const resized = this.#range !== scrollRange();
    if (this.#atEnd && resized) this.scrollToEnd();
    else this.#atEnd = scrollRange() - scrollY <= END_PX;
    this.#range = scrollRange();
    return this.#atEnd;
  }

  /** The first item that can be seen, even in part. */
  #topItem() {
    const items = this.#list.children;
    let [low, high] = [0, items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((items[middle]?.getBoundingClientRect().bottom ?? 0) <= 0) low = middle + 1;
      else high = middle;
    }
    return items[low] ?? null;
  }
}

/** How far the page can be scrolled, in CSS pixels. */
function scrollRange() {
  const { scrollHeight, clientHeight } = document.documentElement;
  return scrollHeight - clientHeight;
}

/** @param {Row} row */
function rowKey(row) {
  return row.kind === "message" ? `m${row.message.id}` : `gap${row.gap.from}-${row.gap.to}`;
}
