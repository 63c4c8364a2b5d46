/** The claims: which messages were paid for on this device, and which payments of this tab may still become one. */

import { isSpent } from "./payment.js";

const MOST = 500;

/** Stores own messages on the device, and pending payments in the tab. */
export class Claims {
  /** @type {Own[]} */
  #mine = [];
  /** @type {Set<string>} */
  #awaited;
  #parts;

  /** @param {ClaimsParts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#read();
    this.#awaited = new Set(listIn(parts.tab.read("awaited")).filter((id) => typeof id === "string"));
    for (const id of this.#awaited) parts.feed.watch(id);
  }

  /** @param {Message} message */
  isMine(message) {
    return this.#mine.some(({ id, posted_at }) => id === message.id && posted_at === message.posted_at);
  }

  /** @param {Message} message paid for on this device */
  add(message) {
    this.#read(); // another tab may have added its own
    if (!this.isMine(message)) this.#mine.push({ id: message.id, posted_at: message.posted_at });
    this.#parts.device.write("mine", this.#mine.slice(-MOST));
    this.reread();
  }

  /** This tab or another added a message. */
  reread() {
    this.#read();
    this.#parts.onChange();
  }

  /**
   * The buyer starts another payment before this one's message has arrived.
   *
   * @param {string} paymentId
   */
  await(paymentId) {
    this.#awaited.add(paymentId);
    this.#parts.feed.watch(paymentId);
    this.#keepAwaited();
  }

  /** @param {Payment} payment from the feed */
  async hear(payment) {
    if (!this.#awaited.has(payment.id)) return;
    if (isSpent(payment.status)) this.#settle(payment.id);
    if (payment.status !== "fulfilled" || payment.message_id === null) return;
    try {
      this.add(await this.#parts.api.message(payment.message_id));
      this.#settle(payment.id);
    } catch {
      // already removed, or no network: the feed reports the payment again after the next connect
    }
  }

  /** @param {string} paymentId */
  #settle(paymentId) {
    this.#awaited.delete(paymentId);
    this.#parts.feed.unwatch(paymentId);
    this.#keepAwaited();
  }

  #keepAwaited() {
    this.#parts.tab.write("awaited", [...this.#awaited]);
  }

  #read() {
    const stored = listIn(this.#parts.device.read("mine"));
    this.#mine = stored.filter((own) => Number.isInteger(own?.id) && typeof own.posted_at === "string");
  }
}

/**
 * @param {unknown} stored
 * @returns {any[]} empty if it is not a list
 */
function listIn(stored) {
  return Array.isArray(stored) ? stored : [];
}
