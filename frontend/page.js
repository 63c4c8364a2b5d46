/** The page around the board: title, connection, demo banner, pill, and what stands in for messages when there are none. */

import { onClick, part, setText } from "./elements.js";
import { formatPrice, windowTitle } from "./format.js";

/** @type {Record<Indicator, string>} */
const CONNECTION = {
  connecting: "Connecting…",
  live: "Live",
  reconnecting: "Reconnecting…",
  offline: "Offline",
  refused: "Refused by the server; next try in a few minutes",
};
const OLDER = { none: "", some: "Load older", loading: "Loading…", failed: "Couldn’t load older messages. Try again" };

/** Draws all that is neither board, card, notice nor composer. */
export class PageFrame {
  #connection = part("#connection", HTMLElement);
  #banner = part("#demo-banner", HTMLElement);
  #pill;
  #older;
  #nearOlder;
  #placeholder = part("#placeholder", HTMLElement);
  #tryNow;
  #title = document.title;
  #unread = 0;
  /** @type {Placeholder} */
  #waitingFor = "loading";
  /** @type {string | null} */
  #price = null; // until the server has told

  /** @param {PageParts} parts */
  constructor({ onPill, onOlder, onTryNow, onBannerClosed }) {
    this.#pill = onClick("#new-messages", onPill);
    this.#older = onClick("#load-older", onOlder);
    this.#tryNow = onClick("#try-now", onTryNow);
    onClick("#demo-close", () => {
      this.#banner.hidden = true;
      onBannerClosed();
    });
    // A little before the button comes into sight, the older messages are on their way.
    this.#nearOlder = new IntersectionObserver(
      (entries) => {
        if (entries.at(-1)?.isIntersecting && this.#older.dataset["state"] === "some") onOlder();
      },
      { rootMargin: "300px 0px 0px" },
    );
    this.#measure("--top", part(".top", HTMLElement));
    this.#measure("--dock", part(".dock", HTMLElement));
  }

  /**
   * @param {BoardInfo} info
   * @param {boolean} bannerClosed
   */
  configure(info, bannerClosed) {
    this.#title = info.title;
    this.#price = formatPrice(info.price.amount, info.price.currency);
    this.showUnread(this.#unread);
    this.showPlaceholder(this.#waitingFor);
    setText(part("#title", HTMLElement), info.title);
    setText(part("#tagline", HTMLElement), `Each message costs ${this.#price}`);
    this.#banner.hidden = !info.test_mode || bannerClosed;
  }

  /** @param {Indicator} indicator */
  showConnection(indicator) {
    this.#connection.dataset["state"] = indicator;
    setText(this.#connection, CONNECTION[indicator]);
  }

  /** @param {number} count of new messages below what is in sight */
  showPill(count) {
    this.#pill.hidden = count === 0;
    setText(this.#pill, count === 1 ? "1 new message" : `${count} new messages`);
  }

  /** @param {number} count of messages that came while nobody looked */
  showUnread(count) {
    this.#unread = count;
    document.title = windowTitle(this.#title, count);
  }

  /** @param {"none" | "some" | "loading" | "failed"} state of what is older than the list */
  showOlder(state) {
    this.#older.hidden = state === "none";
    this.#older.dataset["state"] = state;
    this.#older.setAttribute("aria-busy", String(state === "loading"));
    setText(this.#older, OLDER[state]);
    this.#nearOlder.unobserve(this.#older);
    this.#nearOlder.observe(this.#older); // afresh, since it may be in sight still
  }

  /** @param {Placeholder} kind */
  showPlaceholder(kind) {
    this.#waitingFor = kind;
    this.#placeholder.hidden = kind === "none";
    this.#placeholder.dataset["kind"] = kind;
    this.#tryNow.hidden = kind !== "failed";
    const words = {
      loading: "Opening the board…",
      empty: emptyBoard(this.#price),
      failed: "The board can’t be reached right now. This page keeps trying by itself.",
      none: "",
    };
    setText(part("p", HTMLElement, this.#placeholder), words[kind]);
  }

  /** @param {string} words read out by assistive technology, and seen by nobody */
  announce(words) {
    part("#announcer", HTMLElement).textContent = words;
  }

  /**
   * Tells the style sheet how much a sticky bar covers, so that nothing scrolled to hides behind it.
   *
   * @param {string} property
   * @param {HTMLElement} bar
   */
  #measure(property, bar) {
    const { style } = document.documentElement;
    new ResizeObserver(() => style.setProperty(property, `${bar.offsetHeight}px`)).observe(bar);
  }
}

/**
 * The invitation to write the first message. The snapshot may come before the price is known.
 *
 * @param {string | null} price
 */
function emptyBoard(price) {
  if (price === null) return "Nothing here yet.";
  return `Nothing here yet. Be the first: ${price} puts your words on the board.`;
}
