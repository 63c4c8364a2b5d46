/** The tracker: follows one payment over the feed, and by asking when the feed is silent about it. */

import { ProblemError } from "./api.js";
import { follow, pollDelay, told } from "./payment.js";

/** @import { Payment } from "./types" */
/** @import { Api } from "./api.js" */
/** @import { Feed } from "./feed.js" */
/** @import { Followed, Stage } from "./payment.js" */

/** Follows the payment of this tab. Asking is more than a fallback: it makes the server ask Stripe. */
export class Tracker {
  /** @type {Followed | null} */
  #followed = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #asked = 0;
  #api;
  #feed;
  #onChange;

  /**
   * @param {object} options
   * @param {Pick<Api, "payment">} options.api
   * @param {Pick<Feed, "watch" | "unwatch">} options.feed
   * @param {(followed: Followed | null) => void} options.onChange called after every word on the payment, changed or not
   */
  constructor({ api, feed, onChange }) {
    this.#api = api;
    this.#feed = feed;
    this.#onChange = onChange;
  }

  get followed() {
    return this.#followed;
  }

  /**
   * Follows this payment instead of any other.
   *
   * @param {string} id
   * @param {Stage} stage
   * @param {number} [since] when the stage was entered, in epoch milliseconds
   */
  follow(id, stage, since = Date.now()) {
    const known = this.#followed?.id === id ? this.#followed.payment : null;
    this.forget();
    this.#asked = 0;
    this.#feed.watch(id);
    this.#change({ ...follow(id, stage, since), payment: known });
    void this.#ask();
  }

  /** Ends it. */
  forget() {
    clearTimeout(this.#timer);
    if (!this.#followed) return;
    this.#feed.unwatch(this.#followed.id);
    this.#change(null);
  }

  /**
   * The feed, or the answer to a new payment, told about a payment; about another than ours is no news.
   *
   * @param {Payment} payment
   */
  hear(payment) {
    if (this.#followed?.id !== payment.id) return;
    this.#change(told(this.#followed, payment));
  }

  /** The payment's message turned out to be off the board. */
  markRemoved() {
    if (this.#followed) this.#change({ ...this.#followed, removed: true });
  }

  /** Asks now if there is anything to wait for: the page is looked at again. */
  wake() {
    if (this.#followed && pollDelay(this.#followed, 0) !== null) void this.#ask();
  }

  async #ask() {
    clearTimeout(this.#timer);
    const id = this.#followed?.id;
    if (!id) return;
    try {
      this.hear(await this.#api.payment(id));
    } catch (error) {
      if (this.#followed?.id === id) this.#change({ ...this.#followed, missing: isUnknown(error) });
    }
    if (this.#followed?.id === id) this.#askAgain();
  }

  #askAgain() {
    const delay = this.#followed && pollDelay(this.#followed, this.#asked++);
    clearTimeout(this.#timer);
    if (delay !== null) this.#timer = setTimeout(() => void this.#ask(), delay);
  }

  /** @param {Followed | null} followed */
  #change(followed) {
    this.#followed = followed;
    this.#onChange(followed);
  }
}

/** @param {unknown} error */
function isUnknown(error) {
  return error instanceof ProblemError && error.status === 404;
}
