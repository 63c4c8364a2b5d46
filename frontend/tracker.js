/** The tracker: follows one payment over the feed and by polling the server. */

import { ProblemError } from "./api.js";
import { follow, pollDelay, told } from "./payment.js";

/** Follows the payment of this tab. Polling is not just a fallback: it makes the server ask Stripe. */
export class Tracker {
  /** @type {Followed | null} */
  #followed = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #asked = 0;
  #parts;

  /** @param {TrackerParts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  get followed() {
    return this.#followed;
  }

  /**
   * Follows this payment instead of any other.
   *
   * @param {string} id
   * @param {Stage} stage
   * @param {number} [since] when the stage was entered
   */
  follow(id, stage, since = Date.now()) {
    const known = this.#followed?.id === id ? this.#followed.payment : null;
    this.forget();
    this.#asked = 0;
    this.#parts.feed.watch(id);
    this.#change({ ...follow(id, stage, since), payment: known });
    void this.#ask();
  }

  forget() {
    clearTimeout(this.#timer);
    if (!this.#followed) return;
    this.#parts.feed.unwatch(this.#followed.id);
    this.#change(null);
  }

  /** @param {Payment} payment from the feed or the API; ignored unless it is the followed one */
  hear(payment) {
    if (this.#followed?.id === payment.id) this.#change(told(this.#followed, payment));
  }

  /** The payment's message turned out to be off the board. */
  markRemoved() {
    if (this.#followed) this.#change({ ...this.#followed, removed: true });
  }

  /** The page became visible again: asks now if there is anything to wait for. */
  wake() {
    if (this.#followed && pollDelay(this.#followed, 0) !== null) void this.#ask();
  }

  async #ask() {
    clearTimeout(this.#timer);
    const id = this.#followed?.id;
    if (!id) return;
    let payment;
    try {
      payment = await this.#parts.api.payment(id);
    } catch (error) {
      const missing = error instanceof ProblemError && error.status === 404;
      if (this.#followed?.id === id) this.#change({ ...this.#followed, missing });
    }
    if (payment) this.hear(payment);
    if (this.#followed?.id === id) this.#askAgain(this.#followed);
  }

  /** @param {Followed} followed */
  #askAgain(followed) {
    const delay = pollDelay(followed, this.#asked++);
    clearTimeout(this.#timer);
    if (delay !== null) this.#timer = setTimeout(() => void this.#ask(), delay);
  }

  /** @param {Followed | null} followed */
  #change(followed) {
    this.#followed = followed;
    this.#parts.onChange(followed);
  }
}
