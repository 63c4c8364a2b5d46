/** The claims: which messages were paid for on this device, and which payments may still become one. */

import { storedFrom } from "./payment.js";

const MOST_MINE = 500;
const MOST_PAYMENTS = 15; // the feed watches 16, one of which may be new

/** Stores both on the device. Tabs share them, so every change starts from what is stored. */
export class Claims {
  /** @type {Own[]} */
  #mine = [];
  #parts;

  /** @param {ClaimsParts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#read();
  }

  /** @param {Message} message */
  isMine(message) {
    return this.#mine.some(({ id, posted_at }) => id === message.id && posted_at === message.posted_at);
  }

  /** @param {Message} message paid for on this device */
  add(message) {
    this.#read();
    if (!this.isMine(message)) this.#mine.push({ id: message.id, posted_at: message.posted_at });
    this.#parts.device.write("mine", this.#mine.slice(-MOST_MINE));
    this.reread();
  }

  /** This tab or another added a message. */
  reread() {
    this.#read();
    this.#parts.onChange();
  }

  /** @returns {Stored[]} payments whose message has not been marked yet, oldest first */
  payments() {
    return listIn(this.#parts.device.read("payments")).flatMap((value) => storedFrom(value) ?? []);
  }

  /** @param {Stored} payment to remember; replaces what was remembered about it */
  remember(payment) {
    const others = this.payments().filter(({ id }) => id !== payment.id);
    this.#parts.device.write("payments", [...others, payment].slice(-MOST_PAYMENTS));
  }

  /** @param {string} paymentId */
  forget(paymentId) {
    const others = this.payments().filter(({ id }) => id !== paymentId);
    this.#parts.device.write("payments", others);
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
