/** A tab without a browser: the real Buyer on stores of its own, with a form, a card and a notice that only remember. */

import { Api } from "../../frontend/feed/api.js";
import { Buyer, Claims } from "../../frontend/buying/buyer.js";
import { listed } from "../../frontend/buying/composer.js";
import { Memory } from "../../frontend/ui/page.js";
import { storageOn, Watches } from "./samples.js";

/** One device, with what it stores for all its tabs. */
export class Device {
  #store;

  /** @param {Map<string, string> | null} store null if the browser refuses to store anything, in the tabs too */
  constructor(store = new Map()) {
    this.#store = store;
  }

  /**
   * Opens a tab, or reloads one when given its store.
   *
   * @param {string} host of the board's server
   * @param {{ back?: Pick<Stored, "id" | "stage">, store?: Map<string, string> }} [options]
   */
  open(host, { back, store = new Map() } = {}) {
    const tab = new Tab(host, this.#store, store);
    tab.buyer.open(back ?? null, tab.claims.payments());
    return tab;
  }
}

/** What a person would see in a tab. */
export class Tab {
  /** @type {Typed} */
  form = { text: "", author: "", amount: null };
  /** @type {Set<Hold>} */
  holds = new Set();
  /** @type {Card | null} */
  card = null;
  notice = "";
  /** @type {string | null} the message shown as about to be posted */
  pending = null;
  /** @type {Purchased[]} what was paid for on the device */
  bought = [];
  /** @type {string | null} */
  left = null;
  /** @type {number[]} the ids of highlighted messages */
  highlighted = [];
  feed = new Watches();

  /**
   * @param {string} host
   * @param {Map<string, string> | null} deviceStore
   * @param {Map<string, string>} store the tab's own
   */
  constructor(host, deviceStore, store) {
    this.store = store;
    const api = new Api(`http://${host}`);
    /** @param {Map<string, string>} values */
    const memory = (values) =>
      new Memory(() => {
        if (!deviceStore) throw new DOMException("denied", "SecurityError");
        return storageOn(values);
      });
    this.claims = new Claims({ api, device: memory(deviceStore ?? new Map()), onChange: () => this.buyer.list() });
    this.buyer = new Buyer({
      api,
      feed: this.feed,
      tab: memory(store),
      claims: this.claims,
      composer: {
        fill: ({ text, author, amount }) => (this.form = { text, author, amount }),
        hold: (reason, on) => void (on ? this.holds.add(reason) : this.holds.delete(reason)),
        showErrors: () => false,
        focus: () => {},
        focused: false,
      },
      card: { render: (card) => (this.card = card) },
      list: { render: (purchase, own) => void (this.bought = listed(purchase, own)) },
      showPending: (pending) => void (this.pending = pending?.text ?? null),
      onConfigure: () => {},
      notice: { show: (text) => (this.notice = text), hide: () => (this.notice = "") },
      goTo: async (id) => {
        this.highlighted.push(id);
        return api.message(id).then(
          (message) => ({ kind: "shown", message }),
          () => ({ kind: "failed" }),
        );
      },
      onCopy: () => {},
      onLeave: (url) => (this.left = url),
      later: (act, ms) => setTimeout(act, ms).unref(), // or polls would keep the test alive
    });
  }

  /** What the card is about; null if there is none. */
  get status() {
    return this.card?.status ?? null;
  }

  /** @param {string} text */
  type(text) {
    this.form = { ...this.form, text };
    this.buyer.tell({ type: "typed", ...this.form });
  }

  /** @param {Payment} payment */
  hear(payment) {
    this.buyer.hear({ type: "payment.updated", payment });
  }
}
