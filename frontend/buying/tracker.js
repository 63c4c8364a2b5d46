/** The tracker: asks the server for payments, now or later. Polling also makes the server ask Stripe. */

import { ProblemError } from "../feed/api.js";

/** Polls payments by id; at most one poll of each is planned. */
export class Tracker {
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  #planned = new Map();
  #parts;

  /** @param {TrackerParts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /**
   * @param {string} id
   * @param {number} delayMs
   */
  poll(id, delayMs) {
    this.stop(id);
    if (delayMs === 0) void this.#ask(id);
    else this.#planned.set(id, this.#parts.later(() => void this.#ask(id), delayMs));
  }

  /** @param {string} id */
  stop(id) {
    clearTimeout(this.#planned.get(id));
    this.#planned.delete(id);
  }

  /** @param {string} id */
  async #ask(id) {
    let payment = null;
    let missing = false;
    try {
      payment = await this.#parts.api.payment(id);
    } catch (error) {
      missing = error instanceof ProblemError && error.status === 404;
    }
    this.#parts.onAnswer({ type: "polled", id, payment, missing });
  }
}
