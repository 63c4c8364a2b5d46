/** The buyer's side: from the draft to checkout, and from there to the message on the board. */

import { PaymentCard } from "./card.js";
import { checkOut } from "./checkout.js";
import { Composer } from "./composer.js";
import { abandonIntent, clearPosted, draftFrom, isFor, refill } from "./draft.js";
import { cardFor, followedFrom, isForgettable, isSpent, mayBePaid } from "./payment.js";
import { Tracker } from "./tracker.js";

/** @import { BoardInfo, Payment } from "./types" */
/** @import { Api } from "./api.js" */
/** @import { Claims } from "./claims.js" */
/** @import { Outcome } from "./checkout.js" */
/** @import { Draft } from "./draft.js" */
/** @import { Feed } from "./feed.js" */
/** @import { Memory } from "./memory.js" */
/** @import { Notice } from "./notice.js" */
/** @import { Action, Followed, Stage } from "./payment.js" */
/** @import { Found } from "./reader.js" */

const LEAVING_MS = 15_000; // should the browser not get to checkout by then, the button is given back
const CANCELLED = "Payment cancelled, nothing was charged. Your text is kept.";

/** Holds the draft and the payment of this tab. */
export class Buyer {
  /** @type {Draft} */
  #draft;
  #composer;
  #card;
  #tracker;
  /** @type {string | null} */
  #arriving = null; // the payment whose message the buyer is being or has been taken to
  /** @type {string | null} */
  #refilled = null; // the payment whose text was given back
  #api;
  #tab;
  #claims;
  #notice;
  #goTo;
  #onCopy;
  #leave;

  /**
   * @param {object} options
   * @param {Api} options.api
   * @param {Feed} options.feed
   * @param {Memory} options.tab what this tab remembers: its draft and its payment
   * @param {Claims} options.claims
   * @param {Notice} options.notice
   * @param {(words: string) => void} options.announce
   * @param {(id: number, options: { focus: boolean }) => Promise<Found>} options.goTo takes the buyer to the message
   * @param {(id: number) => void} options.onCopy
   * @param {(url: string) => void} options.leave sends the browser to checkout
   */
  constructor({ api, feed, tab, claims, notice, announce, goTo, onCopy, leave }) {
    this.#api = api;
    this.#tab = tab;
    this.#claims = claims;
    this.#notice = notice;
    this.#goTo = goTo;
    this.#onCopy = onCopy;
    this.#leave = leave;
    this.#draft = draftFrom(tab.read("draft"));
    this.#composer = new Composer({ onInput: (typed) => this.#type(typed), onSubmit: () => void this.#pay() });
    this.#card = new PaymentCard({ onAction: (action) => this.#act(action), onShown: announce });
    this.#tracker = new Tracker({ api, feed, onChange: (followed) => this.#show(followed) });
    this.#composer.fill(this.#draft);
  }

  /** @param {BoardInfo} info */
  configure(info) {
    this.#composer.configure(info);
  }

  /**
   * The page opens, or comes back out of the back-forward cache.
   *
   * @param {{ id: string, stage: Stage } | null} back what checkout sent the buyer back with
   */
  arrive(back) {
    this.#composer.hold("sending", false);
    const followed = back ? { ...back, since: Date.now() } : followedFrom(this.#tab.read("payment"));
    if (!followed) return;
    this.#tracker.follow(followed.id, followed.stage, followed.since);
    if (back?.stage === "cancelled") this.#notice.show(CANCELLED);
  }

  /** @param {Payment} payment as the feed told */
  hear(payment) {
    this.#tracker.hear(payment);
  }

  /** The page is looked at again. */
  wake() {
    this.#tracker.wake();
  }

  /** Time has passed. */
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
    this.#notice.hide();
    this.#composer.hold("sending", true);
    const outcome = await checkOut({ api: this.#api, draft: this.#draft, save: (draft) => this.#keep(draft) });
    if (outcome.kind === "go") this.#goToCheckout(outcome.payment, outcome.url);
    else this.#composer.hold("sending", false);
    this.#explain(outcome);
  }

  /**
   * @param {Payment} payment
   * @param {string} url
   */
  #goToCheckout(payment, url) {
    const { followed } = this.#tracker;
    if (followed && followed.id !== payment.id && mayBePaid(followed)) this.#claims.await(followed.id);
    this.#tab.write("payment", { id: payment.id, stage: "opened", since: Date.now() });
    setTimeout(() => this.#composer.hold("sending", false), LEAVING_MS);
    this.#leave(url);
  }

  /** @param {Outcome} outcome */
  #explain(outcome) {
    const again = { label: "Try again", act: () => void this.#pay() };
    switch (outcome.kind) {
      case "go":
        return;
      case "known":
        this.#tracker.follow(outcome.payment.id, "returned");
        this.#tracker.hear(outcome.payment);
        return;
      case "invalid":
        if (!this.#composer.showServerErrors(outcome.errors)) this.#notice.show(outcome.detail, { tone: "error" });
        return;
      case "limited":
        this.#composer.hold("limited", true);
        setTimeout(() => this.#composer.hold("limited", false), outcome.waitMs);
        this.#notice.show("Too many payments were started from here. You can go on in", {
          tone: "error",
          waitMs: outcome.waitMs,
        });
        return;
      case "down":
        this.#notice.show("The payment service can’t be reached right now. Nothing was charged; your text is kept.", {
          tone: "error",
          action: again,
        });
        return;
      case "unanswered":
        this.#notice.show("The board did not answer. Nothing was charged, and trying again is safe.", {
          tone: "error",
          action: again,
        });
    }
  }

  /** @param {Followed | null} followed */
  #show(followed) {
    this.#card.render(cardFor(followed, Date.now()));
    this.#holdBack(followed);
    if (!followed) return;
    const { id, stage, since, payment, missing } = followed;
    if (this.#arriving !== id) this.#tab.write("payment", missing ? null : { id, stage, since });
    if (isForgettable(followed)) {
      if (payment) this.#keep(abandonIntent(this.#draft, payment));
      this.#forget();
      return;
    }
    if (!payment) return;
    if (stage === "cancelled" && payment.status !== "pending") this.#notice.hide();
    if (payment.status === "fulfilled") void this.#arriveAt(payment);
    else if (isSpent(payment.status)) this.#giveBack(payment);
    else if (stage === "cancelled") this.#refill(payment);
  }

  /**
   * Takes the button away while money for this very text may be under way, so that nobody pays twice.
   *
   * @param {Followed | null} followed
   */
  #holdBack(followed) {
    const same = !followed?.payment || isFor(this.#draft, followed.payment);
    this.#composer.hold("held", followed !== null && mayBePaid(followed) && same);
  }

  /** @param {Payment} payment fulfilled */
  async #arriveAt(payment) {
    if (this.#arriving === payment.id || payment.message_id === null) return;
    this.#arriving = payment.id;
    this.#keepAndFill(clearPosted(this.#draft, payment));
    const found = await this.#goTo(payment.message_id, { focus: !this.#composer.focused });
    if (found.kind === "failed") {
      this.#arriving = null; // the feed tells again when it is back
      return;
    }
    this.#tab.write("payment", null);
    if (found.kind === "shown") this.#claims.add(found.message);
    else if (this.#tracker.followed?.id === payment.id) this.#tracker.markRemoved();
  }

  /** @param {Payment} payment that came to an end without a post, or whose post was taken back */
  #giveBack(payment) {
    this.#keep(abandonIntent(this.#draft, payment));
    if (payment.message_id === null) this.#refill(payment);
  }

  /**
   * Once per payment: who then empties the text box wants it empty.
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
    if (action === "show" && messageId !== null) void this.#goTo(messageId, { focus: true });
    else if (action === "copy" && messageId !== null) this.#onCopy(messageId);
    else if (action === "dismiss") this.#forget();
    else if (action === "retry") {
      this.#forget();
      if (payment) this.#keepAndFill(refill(this.#draft, payment));
      this.#composer.focus();
    }
  }

  #forget() {
    this.#tracker.forget();
    this.#tab.write("payment", null);
  }

  /** @param {Draft} draft */
  #keep(draft) {
    this.#draft = draft;
    this.#tab.write("draft", draft);
  }

  /** @param {Draft} draft */
  #keepAndFill(draft) {
    this.#keep(draft);
    this.#composer.fill(draft);
  }
}
