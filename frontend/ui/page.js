/** The page around the board: what it shows, and what it keeps in the browser. */

import { formatPrice, say, windowTitle } from "./format.js";

/** @type {Record<Indicator, string>} */
const CONNECTION = {
  connecting: say("Connecting…"),
  live: say("Live"),
  reconnecting: say("Reconnecting…"),
  offline: say("Offline"),
  refused: say("Refused by the server; trying again in a few minutes"),
};
const PASSING_MS = 3_000; // how long a notice that only tells is shown
const OLDER = {
  none: "",
  some: say("Load older"),
  loading: say("Loading…"),
  failed: say("Couldn’t load older messages. Try again"),
};

/** Draws everything except the board, the card, the notice and the composer. */
export class PageFrame {
  #connection = part("#connection", HTMLElement);
  #viewers = part("#viewers", HTMLElement);
  #raised = part("#raised", HTMLElement);
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
    // Older messages start to load a little before the button becomes visible, unless the Tab key brought it into view.
    let passed = false;
    this.#older.addEventListener("focus", () => (passed = true));
    this.#nearOlder = new IntersectionObserver(
      (entries) => {
        const isNear = entries.at(-1)?.isIntersecting ?? false;
        if (isNear && this.#older.dataset["state"] === "some" && !passed) onOlder();
        if (!isNear) passed = false;
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
    this.#price = formatPrice(info.price.amount, info.price.currency);
    this.showUnread(this.#unread);
    this.showPlaceholder(this.#waitingFor);
    setText(part("#title", HTMLElement), info.title);
    const values = { price: this.#price };
    const onePrice = info.price.tiers.length === 1;
    const tagline = onePrice ? say("Each message costs {price}", values) : say("Messages from {price}", values);
    setText(part("#tagline", HTMLElement), tagline);
    this.#banner.hidden = !info.test_mode || bannerClosed;
  }

  /** @param {Indicator} indicator */
  showConnection(indicator) {
    this.#connection.dataset["state"] = indicator;
    setText(this.#connection, CONNECTION[indicator]);
  }

  /** @param {{ atEnd: boolean, below: number }} place of the reader, and how many new messages are below it */
  showPill({ atEnd, below }) {
    this.#pill.hidden = atEnd;
    setText(this.#pill, below === 0 ? say("Latest") : say("{count} new", { count: below }));
  }

  /** @param {Frame & { type: "viewers" }} frame how many watch, this page among them, and what was raised if that is shown */
  showAudience({ count, raised, currency }) {
    this.#viewers.hidden = count < 2;
    const number = new Intl.NumberFormat(document.documentElement.lang).format(count);
    setText(this.#viewers, say("{number} watching", { number }));
    this.#raised.hidden = !raised || !currency;
    if (raised && currency) setText(this.#raised, say("{amount} raised", { amount: formatPrice(raised, currency) }));
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
      loading: say("Opening the board…"),
      empty:
        this.#price === null
          ? say("Nothing here yet.")
          : say("Nothing here yet. Be the first: {price} puts your words on the board.", { price: this.#price }),
      failed: say("The board can’t be reached right now. This page will keep trying."),
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
   * element: with 3,000 messages, each line that the text box grew by took 200 ms.) Not while somebody writes in that bar:
   * browsers keep the caret clear of it, too, so each key would scroll the page by half its height.
   *
   * @param {string} property
   * @param {HTMLElement} bar
   */
  #measure(property, bar) {
    const { style } = document.documentElement;
    let writes = false;
    const keepClear = () => style.setProperty(property, writes ? "0px" : `${bar.offsetHeight}px`);
    /** @param {EventTarget | null} focused */
    const follow = (focused) => {
      writes = focused instanceof Element && bar.contains(focused) && focused.matches("textarea, input");
      keepClear();
    };
    new ResizeObserver(keepClear).observe(bar);
    bar.addEventListener("focusin", ({ target }) => follow(target));
    bar.addEventListener("focusout", ({ relatedTarget }) => follow(relatedTarget));
  }
}

/** Shows notices; a new one replaces the last. One that only tells goes away by itself, unless it is being read. */
export class Notice {
  #box = part("#notice", HTMLElement);
  #text = part("#notice-text", HTMLElement);
  #countdown = part("#notice-countdown", HTMLElement);
  #button;
  /** @type {(() => void) | undefined} */
  #act;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #leaving;
  #passing = false; // it goes away by itself
  #announce;

  /** @param {(words: string) => void} announce */
  constructor(announce) {
    this.#announce = announce;
    onClick("#notice-close", () => this.hide());
    this.#button = onClick("#notice-action", () => {
      this.hide();
      this.#act?.();
    });
    for (const kind of ["pointerenter", "focusin"]) this.#box.addEventListener(kind, () => clearTimeout(this.#leaving));
    for (const kind of ["pointerleave", "focusout"]) this.#box.addEventListener(kind, () => this.#leaveSoon());
  }

  /**
   * @param {string} text
   * @param {NoticeOptions} [options]
   */
  show(text, { tone = "info", action, waitMs } = {}) {
    this.hide();
    this.#box.hidden = false;
    this.#box.dataset["tone"] = tone;
    setText(this.#text, text);
    this.#button.hidden = !action;
    setText(this.#button, action?.label ?? "");
    this.#act = action?.act;
    if (waitMs !== undefined) this.#countDown(Date.now() + waitMs);
    this.#passing = tone === "info" && !action && waitMs === undefined;
    this.#leaveSoon();
    this.#announce(text);
  }

  hide() {
    clearInterval(this.#ticking);
    clearTimeout(this.#leaving);
    this.#passing = false;
    setText(this.#countdown, "");
    setText(this.#text, "");
    this.#box.hidden = true;
  }

  #leaveSoon() {
    clearTimeout(this.#leaving);
    if (this.#passing) this.#leaving = setTimeout(() => this.hide(), PASSING_MS);
  }

  /** @param {number} until */
  #countDown(until) {
    const tick = () => {
      const seconds = Math.ceil((until - Date.now()) / 1000);
      if (seconds <= 0) this.hide();
      else setText(this.#countdown, seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`);
    };
    this.#ticking = setInterval(tick, 1000);
    tick();
  }
}

/**
 * JSON values by name. If the browser refuses to store them (private windows, full disks), they are kept until the page
 * closes.
 */
export class Memory {
  /** @type {Map<string, string>} */
  #fallback = new Map();
  #storage;

  /** @param {() => Storage} storage a getter, because even reading `window.localStorage` may throw */
  constructor(storage) {
    this.#storage = storage;
  }

  /**
   * @param {string} name
   * @returns {unknown} the last value written; null if there is none, or it is not JSON
   */
  read(name) {
    const kept = this.#fallback.get(name) ?? "null";
    try {
      return JSON.parse(this.#storage().getItem(key(name)) ?? kept);
    } catch {
      return JSON.parse(kept);
    }
  }

  /**
   * @param {string} name
   * @param {unknown} value null removes it
   */
  write(name, value) {
    const text = JSON.stringify(value);
    this.#fallback.set(name, text);
    try {
      if (value === null) this.#storage().removeItem(key(name));
      else this.#storage().setItem(key(name), text);
    } catch {
      // kept in the fallback
    }
  }
}

/** @param {string} name */
export function key(name) {
  return `paidchat.${name}`;
}

// --- elements of the document ----------------------------------------------------------------------------

/**
 * @template {Element} T
 * @param {string} selector
 * @param {new () => T} kind the class that it must have
 * @param {ParentNode} [parent]
 * @returns {T}
 */
export function part(selector, kind, parent = document) {
  const found = parent.querySelector(selector);
  if (!(found instanceof kind)) throw new TypeError(`the page has no ${kind.name} ${selector}`);
  return found;
}

/**
 * @param {string} selector
 * @param {() => void} act
 * @param {ParentNode} [parent]
 */
export function onClick(selector, act, parent) {
  const button = part(selector, HTMLButtonElement, parent);
  button.addEventListener("click", act);
  return button;
}

/**
 * A fresh copy of the one element in a `<template>`.
 *
 * @param {string} selector
 */
export function copyOf(selector) {
  return part("li", HTMLLIElement, document.importNode(part(selector, HTMLTemplateElement).content, true));
}

/**
 * Sets the text only if it differs, so that nothing is repainted or announced twice.
 *
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}
