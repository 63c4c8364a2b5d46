/** Buying a message: passes events to purchase.js, and performs the effects that come back. */

import { ProblemError } from "../feed/api.js";
import { randomUuid, requestPayment } from "./checkout.js";
import { draftFrom } from "./draft.js";
import { storedFrom } from "./payment.js";
import { noPurchase, reduce } from "./purchase.js";
import { Tracker } from "./tracker.js";

const LEAVING_MS = 15_000; // if the browser has not reached checkout by then, the button works again

/** Connects the purchase with the form, the card, the stores, the feed and the API. */
export class Buyer {
  #purchase = noPurchase();
  #tracker;
  #parts;

  /** @param {BuyerParts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#tracker = new Tracker({ api: parts.api, later: parts.later, onAnswer: (answer) => this.tell(answer) });
  }

  /** @param {Pick<Stored, "id" | "stage"> | null} back what the URL says if the buyer came back from checkout */
  open(back) {
    const { tab, claims } = this.#parts;
    const [draft, own] = [draftFrom(tab.read("draft")), storedFrom(tab.read("payment"))];
    this.tell({ type: "opened", draft, own, kept: claims.payments(), back });
  }

  /** The pay button was pressed. */
  submit() {
    try {
      this.tell({ type: "submitted", key: randomUuid() });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {Frame} frame from the feed */
  hear(frame) {
    switch (frame.type) {
      case "payment.updated":
        this.tell({ type: "heard", payment: frame.payment });
        break;
      case "message.removed": // a refund or dispute changes the payment as well
        if (frame.reason === "moderated") this.tell({ type: "moderated", messageId: frame.message_id });
        break;
      case "message.restored":
        this.tell({ type: "restored", messageId: frame.message.id });
        break;
      case "error":
        if (frame.code !== "not_found" || frame.payment_id === undefined) return;
        this.tell({ type: "polled", id: frame.payment_id, payment: null, missing: true });
    }
  }

  /** Another tab changed what the device remembers. */
  share() {
    this.tell({ type: "shared", kept: this.#parts.claims.payments() });
  }

  /** @param {PurchaseEvent} event */
  tell(event) {
    const [purchase, effects] = reduce(this.#purchase, event, { now: Date.now(), chance: Math.random() });
    this.#purchase = purchase;
    for (const effect of effects) this.#perform(effect);
  }

  /** @param {PurchaseEffect} effect */
  #perform(effect) {
    const { tab, claims, feed, composer, card, notice, later } = this.#parts;
    switch (effect.type) {
      case "save":
        return tab.write("draft", effect.draft);
      case "fill":
        return composer.fill(effect.draft);
      case "keep":
        return tab.write("payment", effect.stored);
      case "remember":
        return claims.remember(effect.stored);
      case "forget":
        return claims.forget(effect.id);
      case "watch":
        return feed.watch(effect.id);
      case "unwatch":
        this.#tracker.stop(effect.id);
        return feed.unwatch(effect.id);
      case "poll":
        return this.#tracker.poll(effect.id, effect.delayMs);
      case "hold":
        return composer.hold(effect.reason, effect.on);
      case "card":
        return card.render(effect.card);
      case "notice":
        return effect.notice ? this.#say(effect.notice) : notice.hide();
      case "correct":
        if (!composer.showErrors(effect.errors)) notice.show(effect.detail, { tone: "error" });
        return undefined;
      case "start":
        return void this.#start(effect.intent);
      case "leave":
        later(() => this.tell({ type: "stayed" }), LEAVING_MS);
        return this.#parts.onLeave(effect.url);
      case "wait":
        return void later(() => this.tell({ type: "waited" }), effect.waitMs);
      case "highlight":
        return void this.#find(effect.id, this.#parts.goTo(effect.messageId, !composer.focused));
      case "read":
        return void this.#find(effect.id, this.#read(effect.messageId));
      case "mark":
        return claims.add(effect.message);
      case "show":
        return void this.#parts.goTo(effect.messageId, true);
      case "copy":
        return this.#parts.onCopy(effect.messageId);
      case "focus":
        return composer.focus();
    }
  }

  /** @param {NoticeWords} words */
  #say({ text, tone, retry, waitMs }) {
    const action = retry && { action: { label: "Try again", act: () => this.submit() } };
    this.#parts.notice.show(text, { tone, ...action, ...(waitMs !== undefined && { waitMs }) });
  }

  /** @param {Intent} intent */
  async #start(intent) {
    try {
      this.tell(await requestPayment({ api: this.#parts.api, intent }));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {unknown} error of the page itself, between the button and checkout */
  #fail(error) {
    console.error(error);
    this.tell({ type: "refused", refusal: { kind: "broken" } });
  }

  /**
   * @param {string} id of the payment
   * @param {Promise<Found>} finding
   */
  async #find(id, finding) {
    this.tell({ type: "found", id, found: await finding });
  }

  /**
   * @param {number} messageId
   * @returns {Promise<Found>}
   */
  async #read(messageId) {
    try {
      return { kind: "shown", message: await this.#parts.api.message(messageId) };
    } catch (error) {
      const status = error instanceof ProblemError ? error.status : 0;
      return { kind: status === 410 ? "removed" : status === 404 ? "unknown" : "failed" };
    }
  }
}
