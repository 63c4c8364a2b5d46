/** The page around the board: title, connection, demo banner, pill, and what stands in for messages when there are none. */

import { element, part, setText } from "./elements.js";
import { formatPrice, windowTitle } from "./format.js";

/** @import { BoardInfo } from "./types" */
/** @import { Indicator } from "./connection.js" */

/** @type {Record<Indicator, string>} */
const CONNECTION = {
  connecting: "Connecting…",
  live: "Live",
  reconnecting: "Reconnecting…",
  offline: "Offline",
  refused: "Refused by the server; next try in a few minutes",
};

/** @typedef {"loading" | "empty" | "failed" | "none"} Placeholder */

/** Draws all that is neither board, card, notice nor composer. */
export class PageFrame {
  #heading = element("title", HTMLElement);
  #tagline = element("tagline", HTMLElement);
  #connection = element("connection", HTMLElement);
  #banner = element("demo-banner", HTMLElement);
  #pill = element("new-messages", HTMLButtonElement);
  #older = element("load-older", HTMLButtonElement);
  #placeholder = element("placeholder", HTMLElement);
  #placeholderText = /** @type {HTMLElement} */ (this.#placeholder.firstElementChild);
  #tryNow = element("try-now", HTMLButtonElement);
  #announcer = element("announcer", HTMLElement);
  #title = document.title;
  #price = "a little";
  #nearOlder;

  /**
   * @param {object} options
   * @param {() => void} options.onPill
   * @param {() => void} options.onOlder
   * @param {() => void} options.onTryNow
   * @param {() => void} options.onBannerClosed
   */
  constructor({ onPill, onOlder, onTryNow, onBannerClosed }) {
    this.#pill.addEventListener("click", onPill);
    this.#older.addEventListener("click", onOlder);
    this.#tryNow.addEventListener("click", onTryNow);
    element("demo-close", HTMLButtonElement).addEventListener("click", () => {
      this.#banner.hidden = true;
      onBannerClosed();
    });
    this.#measureBars();
    // A little before the button comes into sight, the older messages are on their way.
    this.#nearOlder = new IntersectionObserver(
      (entries) => {
        if (entries.at(-1)?.isIntersecting && this.#older.dataset["state"] === "some") onOlder();
      },
      { rootMargin: "300px 0px 0px" },
    );
  }

  /** Tells the style sheet how much the sticky bars cover, so that nothing scrolled to hides behind them. */
  #measureBars() {
    for (const [name, bar] of /** @type {const} */ ([["--top", ".top"], ["--dock", ".dock"]])) {
      const observed = part(document, bar, HTMLElement);
      new ResizeObserver(() => {
        document.documentElement.style.setProperty(name, `${observed.offsetHeight}px`);
      }).observe(observed);
    }
  }

  /**
   * @param {BoardInfo} info
   * @param {{ bannerClosed: boolean }} options
   */
  configure(info, { bannerClosed }) {
    this.#title = info.title;
    this.#price = formatPrice(info.price.amount, info.price.currency);
    setText(this.#heading, info.title);
    setText(this.#tagline, `Each message costs ${this.#price}`);
    this.#banner.hidden = !info.test_mode || bannerClosed;
  }

  /** @param {Indicator} indicator */
  showConnection(indicator) {
    this.#connection.dataset["state"] = indicator;
    setText(this.#connection, CONNECTION[indicator]);
  }

  /** @param {number} count of messages below what is in sight */
  showPill(count) {
    this.#pill.hidden = count === 0;
    setText(this.#pill, count === 1 ? "1 new message" : `${count} new messages`);
  }

  /** @param {number} count of messages that came while nobody looked */
  showUnread(count) {
    document.title = windowTitle(this.#title, count);
  }

  /** @param {"none" | "some" | "loading" | "failed"} state of what is older than the list */
  showOlder(state) {
    this.#older.hidden = state === "none";
    this.#older.dataset["state"] = state;
    this.#older.ariaBusy = String(state === "loading");
    setText(this.#older, OLDER[state]);
    this.#nearOlder.unobserve(this.#older);
    this.#nearOlder.observe(this.#older); // afresh, since it may be in sight still
  }

  /** @param {Placeholder} kind */
  showPlaceholder(kind) {
    this.#placeholder.hidden = kind === "none";
    this.#placeholder.dataset["kind"] = kind;
    this.#tryNow.hidden = kind !== "failed";
    const words = {
      loading: "Opening the board…",
      empty: `Nothing here yet. Be the first: ${this.#price} puts your words on the board.`,
      failed: "The board can’t be reached right now. This page keeps trying by itself.",
      none: "",
    };
    setText(this.#placeholderText, words[kind]);
  }

  /** @param {string} words read out by assistive technology, and seen by nobody */
  announce(words) {
    this.#announcer.textContent = words;
  }
}

const OLDER = { none: "", some: "Load older", loading: "Loading…", failed: "Couldn’t load older messages. Try again" };
