/** The page around the board: title, connection, demo banner, pill, and the placeholder for an empty board. */

import { onClick, part, setText } from "./elements.js";
import { formatPrice, windowTitle } from "./format.js";

/** @type {Record<Indicator, string>} */
const CONNECTION = {
  connecting: "Connecting…",
  live: "Live",
  reconnecting: "Reconnecting…",
  offline: "Offline",
  refused: "Refused by the server; trying again in a few minutes",
};
const OLDER = { none: "", some: "Load older", loading: "Loading…", failed: "Couldn’t load older messages. Try again" };

/** Draws everything except the board, the card, the notice and the composer. */
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
  #price = null; // until the server has sent it

  /** @param {PageParts} parts */
  constructor({ onPill, onOlder, onTryNow, onBannerClosed }) {
    this.#pill = onClick("#new-messages", onPill);
    this.#older = onClick("#load-older", onOlder);
    this.#tryNow = onClick("#try-now", onTryNow);
    onClick("#demo-close", () => {
      this.#banner.hidden = true;
      onBannerClosed();
    });
    // Older messages start to load a little before the button becomes visible.
    this.#nearOlder = new IntersectionObserver(
      (entries) => {
        if (entries.at(-1)?.isIntersecting && this.#older.dataset["state"] === "some") onOlder();
      },
      { rootMargin: "300px 0px 0px" },
    );
    this.#measure("scroll-padding-top", part(".top", HTMLElement));
    this.#measure("scroll-padding-bottom", part(".dock", HTMLElement));
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

  /** @param {number} count of new messages below the visible part */
  showPill(count) {
    this.#pill.hidden = count === 0;
    setText(this.#pill, count === 1 ? "1 new message" : `${count} new messages`);
  }

  /** @param {number} count of messages that arrived while the page was hidden */
  showUnread(count) {
    this.#unread = count;
    document.title = windowTitle(this.#title, count);
  }

  /** @param {"none" | "some" | "loading" | "failed"} state of the history older than the list */
  showOlder(state) {
    this.#older.hidden = state === "none";
    this.#older.dataset["state"] = state;
    this.#older.setAttribute("aria-busy", String(state === "loading"));
    setText(this.#older, OLDER[state]);
    this.#nearOlder.unobserve(this.#older);
    this.#nearOlder.observe(this.#older); // again, because it may still be visible
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
      failed: "The board can’t be reached right now. This page will keep trying.",
      none: "",
    };
    setText(part("p", HTMLElement, this.#placeholder), words[kind]);
  }

  /** @param {string} words for assistive technology only */
  announce(words) {
    part("#announcer", HTMLElement).textContent = words;
  }

  /**
   * Keeps what is scrolled to clear of a sticky bar, whatever its height. (A custom property would be inherited by every
   * element: with 3,000 messages, each line that the text box grew by took 200 ms.)
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
 * The invitation to write the first message. The snapshot may arrive before the price is known.
 *
 * @param {string | null} price
 */
function emptyBoard(price) {
  if (price === null) return "Nothing here yet.";
  return `Nothing here yet. Be the first: ${price} puts your words on the board.`;
}
