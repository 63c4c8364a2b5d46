/** The claims: which messages are this device's own, and which earlier payments of this tab may yet become one. */

import { isMine, mineFrom, remember } from "./mine.js";
import { isSpent } from "./payment.js";

/** @import { Message, Payment } from "./types" */
/** @import { Api } from "./api.js" */
/** @import { Feed } from "./feed.js" */
/** @import { Memory } from "./memory.js" */

/** Remembers own messages on the device, and payments to wait for in the tab. */
export class Claims {
  #mine;
  /** @type {Set<string>} */
  #awaited;
  #api;
  #feed;
  #tab;
  #device;
  #onChange;

  /**
   * @param {object} options
   * @param {Pick<Api, "message">} options.api
   * @param {Pick<Feed, "watch" | "unwatch">} options.feed
   * @param {Memory} options.tab
   * @param {Memory} options.device
   * @param {() => void} options.onChange other messages than before are this device's own
   */
  constructor({ api, feed, tab, device, onChange }) {
    this.#api = api;
    this.#feed = feed;
    this.#tab = tab;
    this.#device = device;
    this.#onChange = onChange;
    this.#mine = mineFrom(device.read("mine"));
    this.#awaited = new Set(stringsIn(tab.read("awaited")));
    for (const id of this.#awaited) feed.watch(id);
  }

  /** @param {Message} message */
  isMine(message) {
    return isMine(this.#mine, message);
  }

  /** @param {Message} message paid for on this device */
  add(message) {
    this.#mine = remember(mineFrom(this.#device.read("mine")), message); // another tab may have added its own
    this.#device.write("mine", this.#mine);
    this.#onChange();
  }

  /** Another tab added a message. */
  reread() {
    this.#mine = mineFrom(this.#device.read("mine"));
    this.#onChange();
  }

  /**
   * The buyer goes on to another payment before this one's message is there.
   *
   * @param {string} paymentId
   */
  await(paymentId) {
    this.#setAwaited([...this.#awaited, paymentId]);
    this.#feed.watch(paymentId);
  }

  /** @param {Payment} payment as the feed told */
  async hear(payment) {
    if (!this.#awaited.has(payment.id)) return;
    if (isSpent(payment.status)) this.#settle(payment.id);
    if (payment.status !== "fulfilled" || payment.message_id === null) return;
    try {
      this.add(await this.#api.message(payment.message_id));
      this.#settle(payment.id);
    } catch {
      // taken down already, or no network: the feed tells again after the next connect
    }
  }

  /** @param {string} paymentId */
  #settle(paymentId) {
    this.#setAwaited([...this.#awaited].filter((id) => id !== paymentId));
    this.#feed.unwatch(paymentId);
  }

  /** @param {string[]} ids */
  #setAwaited(ids) {
    this.#awaited = new Set(ids);
    this.#tab.write("awaited", [...this.#awaited]);
  }
}

/**
 * @param {unknown} stored
 * @returns {string[]}
 */
function stringsIn(stored) {
  return Array.isArray(stored) ? stored.filter((value) => typeof value === "string") : [];
}
