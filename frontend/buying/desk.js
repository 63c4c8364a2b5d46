/** The desk: what buying takes, put together. Loaded for whoever is about to buy or has bought before, else a little later. */

import { Buyer, Claims } from "./buyer.js";
import { Composer, PaymentCard, PurchaseList } from "./composer.js";

/** Passes what happens to the page on to the parts of buying. */
export class Desk {
  #claims;
  #composer;
  #buyer;
  #onOwn;

  /** @param {DeskParts} parts */
  constructor(parts) {
    const { api, announce } = parts;
    this.#onOwn = parts.onOwn;
    this.#claims = new Claims({ api, device: parts.device, onChange: () => this.#showOwn() });
    this.#composer = new Composer({
      onInput: (typed) => this.#buyer.tell({ type: "typed", ...typed }),
      onSubmit: () => this.#buyer.submit(),
      readPins: () => api.pinned(),
    });
    const list = new PurchaseList({
      onOpen: () => {
        this.#buyer.list(); // what is written meanwhile changes it
        void this.#claims.review();
      },
      onRewrite: (id) => this.#buyer.tell({ type: "acted", action: "rewrite", id }),
    });
    const card = new PaymentCard({ onAction: (action) => this.#buyer.tell({ type: "acted", action }), announce });
    this.#buyer = new Buyer({ ...parts, claims: this.#claims, composer: this.#composer, card, list });
  }

  /** @param {DeskOpening} opening */
  open({ info, back, isLate }) {
    const { written } = this.#composer;
    if (info) this.configure(info);
    this.#buyer.open(back, isLate ? [] : this.#claims.payments());
    if (isLate) this.#buyer.share();
    this.#composer.write(written); // while this was loading
    this.#showOwn();
  }

  /** @param {BoardInfo} info price and limits */
  configure(info) {
    this.#composer.configure(info);
    this.#buyer.tell({ type: "configured", amounts: info.price.tiers.map(({ amount }) => amount) });
  }

  /** @param {Message} message */
  isMine(message) {
    return this.#claims.isMine(message);
  }

  /** @param {Frame} frame from the feed */
  hear(frame) {
    this.#buyer.hear(frame);
  }

  /** Another tab changed what the device remembers. */
  reread() {
    this.#claims.reread();
    this.#buyer.share();
  }

  /** @param {"woke" | "ticked" | "came back"} type of what happened to the page */
  tell(type) {
    if (type === "came back") this.reread(); // nothing reported what other tabs did meanwhile
    this.#buyer.tell({ type });
  }

  #showOwn() {
    this.#onOwn();
    this.#buyer.list();
  }
}
