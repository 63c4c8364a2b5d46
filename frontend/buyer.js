/** Buying a message: from the draft to checkout, and from there to the message on the board. */

import { PaymentCard } from "./card.js";
import { checkOut } from "./checkout.js";
import { Composer } from "./composer.js";
import { abandonIntent, clearPosted, content, draftFrom, refill, same } from "./draft.js";
import { cardFor, followedFrom, isForgettable, isSpent, mayBePaid } from "./payment.js";
import { Tracker } from "./tracker.js";

const LEAVING_MS = 15_000; // if the browser has not reached checkout by then, the button works again

/** Keeps the draft and the payment of this tab. */
export class Buyer {
  /** @type {Draft} */
  #draft;
  #composer;
  #card;
  #tracker;
  /** @type {string | null} */
  #arriving = null; // the payment whose message is being or has been scrolled to
  /** @type {string | null} */
  #refilled = null; // the payment whose text was put back into the form
  #parts;

  /** @param {BuyerParts} parts */
  constructor(parts) {
    const { api, feed, announce } = parts;
    this.#parts = parts;
    this.#draft = draftFrom(parts.tab.read("draft"));
    this.#composer = new Composer({ onInput: (typed) => this.#type(typed), onSubmit: () => void this.#pay() });
    this.#card = new PaymentCard({ onAction: (action) => this.#act(action), announce });
    this.#tracker = new Tracker({ api, feed, onChange: (followed) => this.#show(followed) });
    this.#composer.fill(this.#draft);
  }

  /** @param {BoardInfo} info */
  configure(info) {
    this.#composer.configure(info);
  }

  /**
   * The page was opened, or restored from the back-forward cache.
   *
   * @param {{ id: string, stage: Stage } | null} back what the URL says if the buyer came back from checkout
   */
  arrive(back) {
    this.#composer.hold("sending", false);
    const followed = back ? { ...back, since: Date.now() } : followedFrom(this.#parts.tab.read("payment"));
    if (!followed) return;
    if (back?.stage === "cancelled") {
      this.#parts.notice.show("Payment cancelled, nothing was charged. Your text is kept.");
    }
    this.#tracker.follow(followed.id, followed.stage, followed.since);
  }

  /** @param {Payment} payment from the feed */
  hear(payment) {
    this.#tracker.hear(payment);
  }

  /** The page became visible again. */
  wake() {
    this.#tracker.wake();
  }

  /** Called every now and then, because the card changes with time. */
  refresh() {
    this.#card.render(cardFor(this.#tracker.followed, Date.now()));
  }

  /** @param {{ text: string, author: string }} typed */
  #type(typed) {
    this.#keep({ ...this.#draft, ...typed });
    const { followed } = this.#tracker;
    if (followed?.payment?.status === "fulfilled" && typed.text !== "") this.#forget();
    else this.#holdBack(followed);
  }

  async #pay() {
    this.#parts.notice.hide();
    this.#composer.hold("sending", true);
    const save = (/** @type {Draft} */ draft) => this.#keep(draft);
    try {
      const outcome = await checkOut({ api: this.#parts.api, draft: this.#draft, save });
      if (outcome.kind !== "go") this.#composer.hold("sending", false);
      this.#goOn(outcome);
    } catch (error) {
      this.#composer.hold("sending", false);
      this.#goOn({ kind: "broken" });
      console.error(error);
    }
  }

  /** @param {Outcome} outcome */
  #goOn(outcome) {
    const again = { label: "Try again", act: () => void this.#pay() };
    const { notice } = this.#parts;
    switch (outcome.kind) {
      case "go":
        this.#leave(outcome.payment, outcome.url);
        break;
      case "known":
        this.#tracker.follow(outcome.payment.id, "returned");
        this.#tracker.hear(outcome.payment);
        break;
      case "invalid":
        if (!this.#composer.showErrors(outcome.errors)) notice.show(outcome.detail, { tone: "error" });
        break;
      case "limited":
        this.#composer.hold("limited", true);
        setTimeout(() => this.#composer.hold("limited", false), outcome.waitMs);
        notice.show("Too many payments were started from here. You can try again in", { tone: "error", ...outcome });
        break;
      case "down":
        notice.show("The payment service can’t be reached right now. Nothing was charged; your text is kept.", {
          tone: "error",
          action: again,
        });
        break;
      case "unanswered":
        notice.show("The board did not respond. Nothing was charged, and it is safe to try again.", {
          tone: "error",
          action: again,
        });
        break;
      case "broken":
        notice.show("This page ran into an error and couldn’t open checkout. Your text is kept, and trying again won’t charge you twice.", {
          tone: "error",
          action: again,
        });
    }
  }

  /**
   * @param {Payment} payment
   * @param {string} url
   */
  #leave(payment, url) {
    const { followed } = this.#tracker;
    if (followed && followed.id !== payment.id && mayBePaid(followed)) this.#parts.claims.await(followed.id);
    this.#parts.tab.write("payment", { id: payment.id, stage: "opened", since: Date.now() });
    setTimeout(() => this.#composer.hold("sending", false), LEAVING_MS);
    location.assign(url);
  }

  /** @param {Followed | null} followed */
  #show(followed) {
    this.refresh();
    this.#holdBack(followed);
    if (!followed) return;
    const { id, stage, since, payment, missing } = followed;
    if (this.#arriving !== id) this.#parts.tab.write("payment", missing ? null : { id, stage, since });
    if (isForgettable(followed)) this.#forget();
    if (!payment) return;
    if (stage === "cancelled" && payment.status !== "pending") this.#parts.notice.hide();
    if (isSpent(payment.status)) this.#keep(abandonIntent(this.#draft, payment));
    if (payment.status === "fulfilled") void this.#arriveAt(payment);
    else if (stage === "cancelled" || (isSpent(payment.status) && payment.message_id === null)) this.#refill(payment);
  }

  /**
   * Disables the button while a payment for the same text may be in progress, so that nobody pays twice.
   *
   * @param {Followed | null} followed
   */
  #holdBack(followed) {
    const match = !followed?.payment || same(content(this.#draft), followed.payment);
    this.#composer.hold("held", followed !== null && mayBePaid(followed) && match);
  }

  /** @param {Payment} payment fulfilled */
  async #arriveAt(payment) {
    if (this.#arriving === payment.id || payment.message_id === null) return;
    this.#arriving = payment.id;
    this.#keepAndFill(clearPosted(this.#draft, payment));
    const found = await this.#parts.goTo(payment.message_id, !this.#composer.focused);
    if (found.kind === "failed") {
      this.#arriving = null; // the feed reports the payment again after reconnecting
      return;
    }
    this.#parts.tab.write("payment", null);
    if (found.kind === "shown") this.#parts.claims.add(found.message);
    else if (this.#tracker.followed?.id === payment.id) this.#tracker.markRemoved();
  }

  /**
   * Only once per payment, so that a buyer can then clear the text box.
   *
   * @param {Payment} payment
   */
  #refill(payment) {
    if (this.#refilled === payment.id) return;
    this.#refilled = payment.id;
    this.#keepAndFill(refill(this.#draft, payment));
  }

  /** @param {Action} action on the payment card */
  #act(action) {
    const payment = this.#tracker.followed?.payment;
    const messageId = payment?.message_id ?? null;
    if (action === "show" && messageId !== null) void this.#parts.goTo(messageId, true);
    if (action === "copy" && messageId !== null) this.#parts.onCopy(messageId);
    if (action === "dismiss" || action === "retry") this.#forget();
    if (action !== "retry") return;
    if (payment) this.#keepAndFill(refill(this.#draft, payment));
    this.#composer.focus();
  }

  #forget() {
    this.#tracker.forget();
    this.#parts.tab.write("payment", null);
  }

  /** @param {Draft} draft */
  #keep(draft) {
    this.#draft = draft;
    this.#parts.tab.write("draft", draft);
  }

  /** @param {Draft} draft */
  #keepAndFill(draft) {
    this.#keep(draft);
    this.#composer.fill(draft);
  }
}
