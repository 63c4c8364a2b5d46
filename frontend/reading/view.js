/** The board's view: draws the state of board.js as a list, and keeps the reader's place in it. */

import { extent, find, pinnedMs, rows } from "./board.js";
import { dayRow, freshen, gapRow, itemOf, messageRow, offerRest, pendingRow, pinRow, TabStop, toggleRest } from "./row.js";
import { part } from "../ui/page.js";

const END_PX = 96; // this close to the end, the list follows new messages
const LOOKED_AT = 20; // of the newest messages, for the one that was about to be posted
const MOST_DRAWN = 300; // messages; with more, each key press and frame takes longer (3,000: 33 ms a key)
const DAY = "day "; // begins the keys of days
const QUIET_MS = 1_000; // how long assistive technology does not read out a list that is being filled
const MARGIN_PX = 16; // between a message that was scrolled to and the bar above it
const STAY_MS = 10_000; // how long the page stays with a message that was just paid for, however many follow

/** The list of messages, and of those that are pinned. All user-written text goes through `textContent`. */
export class BoardView {
  #list = part("#board", HTMLOListElement);
  #log = part("#log", HTMLElement);
  #pinned = part("#pinned", HTMLElement);
  #pins = part("#pins", HTMLOListElement);
  #tabStop = new TabStop(this.#list, { back: "ArrowUp", on: "ArrowDown" });
  #pinStop = new TabStop(this.#pins, { back: "ArrowLeft", on: "ArrowRight", focusable: "a" });
  /** @type {Map<string, HTMLElement>} */
  #items = new Map(); // by row key
  /** @type {Map<Element, Message>} */
  #drawn = new Map(); // what the items show
  /** @type {number | null} */
  #first = null; // the id of the topmost message in the list
  #hidden = { above: false, below: false }; // whether the board has messages beyond those in the list
  #atEnd = true;
  /** @type {HTMLElement | null} */
  #kept = null; // the message that was revealed, which does not scroll out of view by itself
  #stays = false; // with it, though newer messages are below the visible part
  #placed = 0; // where the page was last scrolled to by this view
  /** @type {{ item: HTMLElement, coming: Coming } | null} */
  #pending = null; // a message that is about to be posted
  #range = 0; // how far the page could be scrolled when last measured
  #width = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #quiet;
  /** @type {Look} */
  #look;
  #parts;

  /** @param {ViewParts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#look = { isMine: parts.isMine, price: null, links: false };
    this.#list.addEventListener("click", (event) => this.#press(event));
    this.#pins.addEventListener("click", (event) => this.#press(event));
    addEventListener("scroll", () => this.#scrolled(), { passive: true });
    addEventListener("resize", () => this.#followEnd());
    new ResizeObserver(() => this.#resized()).observe(document.body);
  }

  /** Whether the reader is at the end of the list, so that it follows new messages. */
  get atEnd() {
    return this.#atEnd && !this.#stays;
  }

  /** The id of the topmost visible message, or of the one that the page stays with; null at the end of the list. */
  get place() {
    if (this.#atEnd) return this.#stays ? idOf(this.#kept) : null;
    return idOf(this.#topItem());
  }

  /** Whether the board has messages above those in the list. */
  get hidesOlder() {
    return this.#hidden.above;
  }

  /** @param {BoardInfo} info with what rows look like */
  configure({ price, links = true }) {
    this.#look = { ...this.#look, price, links };
    this.refresh();
  }

  /**
   * Draws the board and keeps the reader's place: at the end if the reader was there, else at the topmost visible message.
   *
   * @param {Board} board
   * @param {{ news: boolean, around?: number | undefined }} options `news`: the added messages were posted just now and
   *   should be read out; `around`: a message to have in the list
   */
  render(board, { news, around }) {
    if (!news) this.#hush();
    const anchor = this.#atEnd ? null : this.#topItem(board);
    const top = anchor?.getBoundingClientRect().top ?? 0;
    const hadFocus = this.#list.contains(document.activeElement);
    const place = around ?? (this.#atEnd ? this.place : idOf(anchor));
    const first = around === undefined ? this.#first : null;
    const span = extent(board, { most: MOST_DRAWN, place, first });
    this.#first = board.messages[span.from]?.id ?? null;
    this.#hidden = { above: span.from > 0, below: span.to < board.messages.length };
    this.#reconcile(rows(board, span));
    this.#tabStop.settle();
    if (hadFocus && document.activeElement === document.body) this.#log.focus({ preventScroll: true });
    if (anchor?.isConnected) scrollBy({ top: anchor.getBoundingClientRect().top - top, behavior: "instant" });
    this.#followEnd();
    this.setBusy(false);
  }

  /**
   * Draws what is pinned.
   *
   * @param {Board} board
   * @param {number} at by the clock that the board's pins are counted by
   */
  renderPins(board, at) {
    const standing = new Map([...this.#pins.children].map((item) => [idOf(item), /** @type {HTMLElement} */ (item)]));
    const items = board.pins.messages.map((message) =>
      pinRow(message, standing.get(message.id), this.#look, pinnedMs(board, message, at)),
    );
    const same = items.length === this.#pins.children.length && items.every((item, index) => item === this.#pins.children[index]);
    if (!same) this.#pins.replaceChildren(...items);
    this.#pinned.hidden = items.length === 0;
    this.#pinStop.settle();
  }

  /** @param {boolean} busy whether more of the list is loading */
  setBusy(busy) {
    this.#log.setAttribute("aria-busy", String(busy));
  }

  /** Goes to the newest message, which must be drawn next. */
  scrollToEnd() {
    this.#atEnd = true;
    this.#kept = null;
    this.#followEnd();
  }

  /**
   * Shows a message that is about to be posted, at the end of the list, until it is drawn there itself.
   *
   * @param {Coming | null} coming null removes it
   */
  showPending(coming) {
    const before = this.#pending;
    const stays = coming && !this.#shows(coming);
    if (stays && before?.coming.text === coming.text && before.coming.author === coming.author) {
      before.coming = coming;
      return;
    }
    before?.item.remove();
    this.#pending = null;
    if (!stays) return;
    const item = pendingRow(coming);
    this.#hush();
    this.#list.append(item);
    this.#pending = { item, coming };
    this.scrollToEnd();
  }

  /** @param {Target} target in the list, to scroll to and mark */
  reveal({ id, mark, focus }) {
    for (const marked of document.querySelectorAll(`#board .${mark}`)) marked.classList.remove(mark);
    const item = document.getElementById(`m${id}`);
    item?.classList.add(mark);
    if (item) this.#scrollTo(item);
    this.#range = scrollRange();
    this.#placed = scrollY;
    this.#kept = null;
    this.#measureEnd();
    if (item) this.#keep(item, mark);
    if (focus) item?.focus({ preventScroll: true });
  }

  /**
   * Scrolls to the middle of what the bars leave of the screen; of a tall message its beginning is what to see.
   *
   * @param {HTMLElement} item
   */
  #scrollTo(item) {
    const free = innerHeight - barHeight() - part(".dock", HTMLElement).offsetHeight;
    const { top, height } = item.getBoundingClientRect();
    const above = height > innerHeight / 2 ? MARGIN_PX : Math.max(MARGIN_PX, (free - height) / 2);
    scrollTo({ top: scrollY + top - barHeight() - above, behavior: "instant" });
  }

  /**
   * Whether the end of the list has a message like this one, posted since its payment was made. While that is unknown, an
   * earlier one counts as well: to show it a moment later is better than to show it twice.
   *
   * @param {Coming} coming
   */
  #shows({ text, author, created_at }) {
    const newest = [...this.#drawn.values()].sort((one, other) => other.id - one.id).slice(0, LOOKED_AT);
    const since = created_at ?? "";
    return newest.some((message) => message.text === text && message.author === author && message.posted_at >= since);
  }

  /**
   * Stays with a message until the reader scrolls; with one that was just paid for, at most for a while.
   *
   * @param {HTMLElement} item
   * @param {Target["mark"]} mark
   */
  #keep(item, mark) {
    this.#kept = item;
    if (mark === "target") return;
    setTimeout(() => {
      if (this.#kept !== item) return;
      this.#kept = null;
      this.#followEnd();
    }, STAY_MS);
  }

  /** Updates what time changes in the rows, and the marks on own messages. */
  refresh() {
    for (const [item, message] of this.#drawn) freshen(/** @type {HTMLElement} */ (item), message, this.#look);
    for (const [key, item] of this.#items) if (key.startsWith(DAY)) dayRow(key.slice(DAY.length), item);
  }

  /** @param {MouseEvent} event on a control of a row */
  #press(event) {
    const item = itemOf(event.target);
    const control = event.target instanceof Element ? event.target.closest("a, button") : null;
    const id = idOf(item);
    if (!item || !control) return;
    if (control.matches(".gap button")) this.#parts.onGap({ from: Number(item.dataset["from"]), to: Number(item.dataset["to"]) });
    if (control.matches(".copy") && id !== null) this.#parts.onShare(id);
    if (control.matches(".more")) toggleRest(item);
    const elsewhere = event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
    if (!control.matches(".when, .pin") || id === null || elsewhere) return;
    event.preventDefault();
    this.#parts.onOpen(id);
  }

  /** @param {Row[]} wanted */
  #reconcile(wanted) {
    const keep = new Map(wanted.map((row) => [rowKey(row), row]));
    if (this.#items.size === 0) this.#dropStrangers(wanted);
    for (const [key, item] of this.#items) {
      if (keep.has(key)) continue;
      item.remove();
      this.#drawn.delete(item);
      this.#items.delete(key);
    }
    let next = this.#list.firstElementChild;
    /** @type {HTMLElement[]} */
    const added = [];
    for (const [key, row] of keep) {
      const item = this.#items.get(key) ?? this.#create(row);
      if (!this.#items.has(key) && row.kind === "message") added.push(item);
      this.#items.set(key, item);
      if (item === next) next = next.nextElementSibling;
      else this.#list.insertBefore(item, next);
    }
    if (this.#pending && this.#shows(this.#pending.coming)) this.showPending(null);
    offerRest(added);
  }

  /**
   * Removes what the server has drawn and is not wanted; the rest is taken over.
   *
   * @param {Row[]} wanted
   */
  #dropStrangers(wanted) {
    const ids = new Set(wanted.map((row) => (row.kind === "message" ? row.message.id : 0)));
    for (const item of this.#list.querySelectorAll("[data-id], .day, .gap")) if (!ids.has(idOf(item) ?? -1)) item.remove();
  }

  /** @param {Row} row */
  #create(row) {
    if (row.kind === "gap") return gapRow(row.gap);
    if (row.kind === "day") return dayRow(row.day);
    const item = messageRow(row.message, this.#look);
    this.#drawn.set(item, row.message);
    return item;
  }

  /** Stops assistive technology from reading out the whole list while it is filled. */
  #hush() {
    this.#log.setAttribute("aria-live", "off");
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#log.setAttribute("aria-live", "polite"), QUIET_MS);
  }

  #scrolled() {
    this.#measureEnd();
    const { top, bottom } = this.#list.getBoundingClientRect();
    const { above, below } = this.#hidden;
    this.#parts.onScroll({
      atEnd: this.atEnd,
      nearEdge: !this.atEnd && ((above && top > -innerHeight) || (below && bottom < 2 * innerHeight)),
    });
  }

  #resized() {
    if (this.#width !== innerWidth) offerRest([...this.#drawn.keys()].map((item) => /** @type {HTMLElement} */ (item)));
    this.#width = innerWidth;
    this.#followEnd();
  }

  /** Stays at the end, if the reader was there, after something was added or resized (keyboard, growing text box). */
  #followEnd() {
    this.#stays = false;
    if (this.#atEnd && this.#list.firstElementChild) {
      const [end, top] = [scrollRange(), this.#keptTop()];
      this.#stays = top < end - END_PX;
      scrollTo({ top: Math.min(end, top), behavior: "instant" });
    }
    this.#range = scrollRange();
    this.#placed = scrollY;
  }

  /** How far the page can be scrolled before the message that was revealed leaves the screen. */
  #keptTop() {
    if (!this.#kept?.isConnected) return Infinity;
    return this.#kept.getBoundingClientRect().top + scrollY - barHeight();
  }

  /** Updates `#atEnd`. A scroll together with a new size comes from the browser, so it does not leave the end. */
  #measureEnd() {
    const resized = this.#range !== scrollRange();
    if (!resized && Math.abs(scrollY - this.#placed) > 1) this.#kept = null; // the reader scrolled
    if (this.#kept?.isConnected && this.#atEnd) return;
    this.#stays = false;
    if (!resized || !this.#atEnd) this.#atEnd = !this.#hidden.below && scrollRange() - scrollY <= END_PX;
    if (resized) this.#followEnd();
  }

  /**
   * The first message that is at least partly visible.
   *
   * @param {Board} [board] which must have it
   */
  #topItem(board) {
    const items = this.#list.children;
    let [low, high] = [0, items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((items[middle]?.getBoundingClientRect().bottom ?? 0) <= 0) low = middle + 1;
      else high = middle;
    }
    for (; low < items.length; low += 1) {
      const id = idOf(items[low] ?? null);
      if (id !== null && (!board || find(board, id))) return items[low] ?? null;
    }
    return null;
  }
}

/**
 * @param {Element | null} item
 * @returns {number | null} the id of the message that it shows
 */
function idOf(item) {
  const id = item instanceof HTMLElement ? item.dataset["id"] : undefined;
  return id === undefined ? null : Number(id);
}

/** How much of the screen the bar on top takes, in CSS pixels; page.js measures it. */
function barHeight() {
  return parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0;
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
  if (row.kind === "message") return `${row.message.id} ${row.message.posted_at}`;
  return row.kind === "day" ? DAY + row.day : `${row.gap.from}-${row.gap.to}`;
}
