/** The board's view: draws the state of board.js as a list, and keeps the reader's place in it. */

import { rows } from "./board.js";
import { copyOf, onClick, part, setText } from "../ui/elements.js";
import { exactTime, formatPrice, relativeTime } from "../ui/format.js";

const LOOKED_AT = 20; // of the newest messages, for the one that was about to be posted
const END_PX = 96; // this close to the end, the list follows new messages
const STAY_MS = 10_000; // how long the page stays with a message that was just paid for, however many follow
const QUIET_MS = 1_000; // how long assistive technology does not read out a list that is being filled

/** The list of messages. All user-written text goes through `textContent`. */
export class BoardView {
  #list = part("#board", HTMLOListElement);
  #log = part("#log", HTMLElement);
  /** @type {Map<string, HTMLElement>} */
  #items = new Map(); // by row key
  /** @type {WeakMap<Element, Message>} */
  #drawn = new WeakMap(); // what an item shows
  #atEnd = true;
  #range = 0; // how far the page could be scrolled when last measured
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #quiet;
  #placed = 0; // where the page was last scrolled to by this view
  /** @type {HTMLElement | null} */
  #kept = null; // the message just paid for, which does not scroll out of view for a while
  /** @type {{ item: HTMLElement, content: Content } | null} */
  #pending = null; // a message that is about to be posted
  #parts;

  /** @param {ViewParts} parts */
  constructor(parts) {
    this.#parts = parts;
    addEventListener("scroll", () => parts.onScroll(this.#measureEnd()), { passive: true });
    addEventListener("resize", () => this.#followEnd());
    new ResizeObserver(() => this.#followEnd()).observe(document.body);
  }

  /** Whether the reader is at the end of the list, so that it follows new messages. */
  get atEnd() {
    return this.#atEnd;
  }

  /**
   * Draws the board and keeps the reader's place: at the end if the reader was there, else at the topmost visible message.
   *
   * @param {Board} board
   * @param {{ news: boolean }} options `news`: the added messages were posted just now and should be read out
   */
  render(board, { news }) {
    if (!news) this.#hush();
    const anchor = this.#atEnd ? null : this.#topItem();
    const top = anchor?.getBoundingClientRect().top ?? 0;
    const hadFocus = this.#list.contains(document.activeElement);
    this.#reconcile(rows(board));
    if (hadFocus && document.activeElement === document.body) this.#log.focus({ preventScroll: true });
    if (anchor?.isConnected) scrollBy({ top: anchor.getBoundingClientRect().top - top, behavior: "instant" });
    this.#followEnd();
    this.setBusy(false);
  }

  /** @param {boolean} busy whether more of the list is loading */
  setBusy(busy) {
    this.#log.setAttribute("aria-busy", String(busy));
  }

  /** Goes to the newest message. */
  scrollToEnd() {
    this.#atEnd = true;
    this.#followEnd();
  }

  /** @param {Target} target in the list, to scroll to and mark */
  reveal({ id, mark, focus }) {
    for (const marked of this.#list.querySelectorAll(`.${mark}`)) marked.classList.remove(mark);
    const item = document.getElementById(`m${id}`);
    item?.classList.add(mark);
    item?.scrollIntoView({ block: "center", behavior: "instant" });
    this.#range = scrollRange();
    this.#placed = scrollY;
    this.#kept = null;
    this.#measureEnd();
    if (item && mark === "highlight") this.#keep(item);
    if (focus) item?.focus({ preventScroll: true });
  }

  /** @param {HTMLElement} item to stay with for a while, unless the reader scrolls */
  #keep(item) {
    this.#kept = item;
    setTimeout(() => {
      if (this.#kept !== item) return;
      this.#kept = null;
      this.#followEnd();
    }, STAY_MS);
  }

  /**
   * Shows a message that is about to be posted, at the end of the list, until it is drawn there itself.
   *
   * @param {Content | null} content null removes it
   */
  showPending(content) {
    this.#pending?.item.remove();
    this.#pending = null;
    if (!content || this.#shows(content)) return;
    const item = copyOf("#pending-template");
    drawAuthor(item, content);
    setText(part(".words", HTMLElement, item), content.text);
    this.#hush();
    this.#list.append(item);
    this.#pending = { item, content };
    this.scrollToEnd();
  }

  /**
   * Whether the end of the list has a message like this one, other than those that are known to be the reader's own.
   *
   * @param {Content} content
   */
  #shows({ text, author }) {
    const newest = [...this.#list.querySelectorAll(".message[data-id]:not(.mine)")].slice(-LOOKED_AT);
    return newest.some((item) => {
      const sameAuthor = item.querySelector(".author")?.textContent === (author ?? "Anonymous");
      return sameAuthor && item.querySelector(".words")?.textContent === text;
    });
  }

  /** Updates the relative times and the marks on own messages. */
  refresh() {
    for (const item of this.#items.values()) {
      const message = this.#drawn.get(item);
      if (message) this.#freshen(item, message);
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
      if (item === next) next = next.nextElementSibling;
      else this.#list.insertBefore(item, next);
    }
    if (this.#pending && this.#shows(this.#pending.content)) this.showPending(null);
  }

  /** @param {Row} row */
  #create(row) {
    if (row.kind === "message") return this.#createMessage(row.message);
    const item = copyOf("#gap-template");
    onClick("button", () => this.#parts.onGap(row.gap), item);
    return item;
  }

  /** @param {Message} message */
  #createMessage(message) {
    const item = copyOf("#message-template");
    this.#drawn.set(item, message);
    item.id = `m${message.id}`;
    item.dataset["id"] = String(message.id);
    drawAuthor(item, message);
    setText(part(".words", HTMLElement, item), message.text);
    setText(part(".amount", HTMLElement, item), formatPrice(message.amount, message.currency));
    const link = part(".when", HTMLAnchorElement, item);
    link.href = `#m${message.id}`;
    link.title = exactTime(message.posted_at);
    part("time", HTMLTimeElement, item).dateTime = message.posted_at;
    onClick(".copy", () => this.#parts.onCopy(message.id), item);
    this.#freshen(item, message);
    return item;
  }

  /**
   * @param {HTMLElement} item
   * @param {Message} message
   */
  #freshen(item, message) {
    const mine = this.#parts.isMine(message);
    item.classList.toggle("mine", mine);
    part(".yours", HTMLElement, item).hidden = !mine;
    setText(part("time", HTMLTimeElement, item), relativeTime(message.posted_at, Date.now()));
  }

  /** Stops assistive technology from reading out the whole list while it is filled. */
  #hush() {
    this.#log.setAttribute("aria-live", "off");
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#log.setAttribute("aria-live", "polite"), QUIET_MS);
  }

  /** Stays at the end, if the reader was there, after something was added or resized (keyboard, growing text box). */
  #followEnd() {
    if (this.#atEnd) scrollTo({ top: Math.min(scrollRange(), this.#keptTop()), behavior: "instant" });
    this.#range = scrollRange();
    this.#placed = scrollY;
  }

  /** How far the page can be scrolled before the message just paid for leaves the screen. */
  #keptTop() {
    if (!this.#kept?.isConnected) return Infinity;
    const top = parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0;
    return this.#kept.getBoundingClientRect().top + scrollY - top;
  }

  /** Updates `atEnd`. A scroll together with a new size comes from the browser, so it does not leave the end. */
  #measureEnd() {
    const resized = this.#range !== scrollRange();
    if (!resized && Math.abs(scrollY - this.#placed) > 1) this.#kept = null; // the reader scrolled
    if (this.#kept?.isConnected && this.#atEnd) return true;
    if (!resized || !this.#atEnd) this.#atEnd = scrollRange() - scrollY <= END_PX;
    if (resized) this.#followEnd();
    return this.#atEnd;
  }

  /** The first item that is at least partly visible. */
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

/**
 * @param {HTMLElement} item
 * @param {Pick<Message, "author">} message
 */
function drawAuthor(item, message) {
  const author = part(".author", HTMLElement, item);
  author.classList.toggle("anonymous", message.author === null);
  setText(author, message.author ?? "Anonymous");
}

/** How far the page can be scrolled, in CSS pixels. */
function scrollRange() {
  return document.documentElement.scrollHeight - document.documentElement.clientHeight;
}

/**
 * A key for a row. It includes the time, because the same id may be another message in another epoch.
 *
 * @param {Row} row
 */
function rowKey(row) {
  return row.kind === "message" ? `${row.message.id} ${row.message.posted_at}` : `${row.gap.from}-${row.gap.to}`;
}
