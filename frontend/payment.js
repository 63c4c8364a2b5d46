/** The payment this tab follows, and the card that tells its buyer how it stands. Pure; card.js draws it. */

import { backoff } from "./backoff.js";
import { clip } from "./text.js";

/** @import { Payment, PaymentStatus } from "./types" */

/**
 * How this tab came to know the payment: it sent the buyer to checkout, or the buyer came back from there.
 *
 * @typedef {"opened" | "returned" | "cancelled"} Stage
 */

/**
 * @typedef {object} Followed
 * @property {string} id
 * @property {Stage} stage
 * @property {number} since when the stage was entered, in epoch milliseconds
 * @property {Payment | null} payment null until the server has told
 * @property {boolean} missing the server does not know the id
 * @property {boolean} removed posted, and taken off the board since
 */

/** @typedef {"show" | "copy" | "retry" | "dismiss"} Action */

/**
 * @typedef {object} Card
 * @property {PaymentStatus | "unknown"} status
 * @property {"waiting" | "good" | "bad"} tone
 * @property {string} title
 * @property {string} text
 * @property {Action[]} actions
 */

const LONG_WAIT_MS = 20_000;
const POLL_PENDING = { baseMs: 2_000, capMs: 30_000 };
const POLL_PROCESSING = { baseMs: 30_000, capMs: 300_000 }; // a bank takes days

/**
 * @param {string} id
 * @param {Stage} stage
 * @param {number} now epoch milliseconds
 * @returns {Followed}
 */
export function follow(id, stage, now) {
  return { id, stage, since: now, payment: null, missing: false, removed: false };
}

/**
 * What this tab stored of the payment it follows.
 *
 * @param {any} stored
 * @returns {{ id: string, stage: Stage, since: number } | null}
 */
export function followedFrom(stored) {
  if (typeof stored?.id !== "string" || typeof stored.since !== "number") return null;
  const { id, stage, since } = stored;
  return stage === "opened" || stage === "returned" || stage === "cancelled" ? { id, stage, since } : null;
}

/**
 * What is known after the server told about the payment. An answer that was overtaken on its way by a later one says
 * nothing: no payment becomes pending again, and only a pending one goes to processing.
 *
 * @param {Followed} followed
 * @param {Payment} payment
 * @returns {Followed}
 */
export function told(followed, payment) {
  const before = followed.payment?.status ?? "pending";
  const overtaken =
    (payment.status === "pending" && before !== "pending") ||
    (payment.status === "processing" && before !== "pending" && before !== "processing");
  return overtaken ? followed : { ...followed, payment, missing: false };
}

/**
 * Whether money may be under way, so that paying for the same text again must be held back.
 *
 * @param {Followed} followed
 */
export function mayBePaid(followed) {
  if (followed.missing) return false;
  const status = followed.payment?.status ?? "pending";
  return status === "processing" || (status === "pending" && followed.stage === "returned");
}

/**
 * Whether the payment came to an end without a post, so that the next try is a new payment.
 *
 * @param {PaymentStatus} status
 */
export function isSpent(status) {
  return status === "failed" || status === "expired" || status === "refunded" || status === "disputed";
}

/**
 * Whether a checkout that was left came to nothing, which is nobody's news.
 *
 * @param {Followed} followed
 */
export function isForgettable(followed) {
  return followed.stage !== "returned" && (followed.missing || followed.payment?.status === "expired");
}

/**
 * When to ask for the payment again; each question also makes the server ask Stripe.
 *
 * @param {Followed} followed
 * @param {number} attempt questions asked so far
 * @param {() => number} [random]
 * @returns {number | null} milliseconds; null: there is nothing to wait for
 */
export function pollDelay(followed, attempt, random = Math.random) {
  if (!mayBePaid(followed)) return null;
  const pace = followed.payment?.status === "processing" ? POLL_PROCESSING : POLL_PENDING;
  return backoff(attempt, { ...pace, random });
}

/**
 * The card for a followed payment. It claims no more than is known: coming back from checkout is not yet a payment, and
 * a checkout left open is nobody's news.
 *
 * @param {Followed | null} followed
 * @param {number} now epoch milliseconds
 * @returns {Card | null} null: nothing to say
 */
export function cardFor(followed, now) {
  if (!followed) return null;
  if (isForgettable(followed)) return null;
  if (followed.missing) return UNKNOWN;
  const status = followed.payment?.status ?? "pending";
  if (status === "pending") {
    if (followed.stage !== "returned") return null;
    return now - followed.since < LONG_WAIT_MS ? PENDING : STILL_PENDING;
  }
  if (status === "fulfilled" && followed.removed) return REMOVED;
  const text = CARDS[status].text.replace(QUOTE, () => quote(followed.payment?.text ?? ""));
  return { ...CARDS[status], text };
}

const QUOTE = "{message}";
const QUOTE_LENGTH = 60;

/**
 * The beginning of a message, in quotation marks and with its own direction.
 *
 * @param {string} text
 */
function quote(text) {
  const line = text.replaceAll(/\s+/gu, " ");
  const start = clip(line, QUOTE_LENGTH);
  return `“\u2068${start === line ? line : `${start}…`}\u2069”`;
}

/** @type {Card} */
const PENDING = {
  status: "pending",
  tone: "waiting",
  title: "Thank you!",
  text: "Your payment is being confirmed, and your message appears here by itself. No need to pay again.",
  actions: [],
};

/** @type {Card} */
const STILL_PENDING = {
  status: "pending",
  tone: "waiting",
  title: "Still being confirmed",
  text:
    "This takes longer than usual. Once the payment is confirmed your message is posted, " +
    "even if you close this page. No need to pay again.",
  actions: [],
};

/** @type {Card} */
const UNKNOWN = {
  status: "unknown",
  tone: "bad",
  title: "We can’t find that payment",
  text:
    "The link may have been cut short, or it belongs to another board. " +
    "If you paid here, your message is posted all the same.",
  actions: ["dismiss"],
};

/** @type {Card} */
const REMOVED = {
  status: "fulfilled",
  tone: "bad",
  title: "Your message is off the board",
  text: "It was posted, and has been taken down since.",
  actions: ["dismiss"],
};

/** @type {Record<Exclude<PaymentStatus, "pending">, Card>} */
const CARDS = {
  processing: {
    status: "processing",
    tone: "waiting",
    title: "Waiting for your bank",
    text:
      `This way of paying can take several working days. ${QUOTE} is posted by itself ` +
      "once the payment arrives. No need to pay again.",
    actions: ["dismiss"],
  },
  fulfilled: {
    status: "fulfilled",
    tone: "good",
    title: "Your message is on the board",
    text: `Thank you! ${QUOTE} is marked as yours on this device.`,
    actions: ["show", "copy", "dismiss"],
  },
  failed: {
    status: "failed",
    tone: "bad",
    title: "Your bank refused the payment",
    text: "Nothing was charged and nothing was posted. Your text is kept, so you can try again.",
    actions: ["retry", "dismiss"],
  },
  expired: {
    status: "expired",
    tone: "bad",
    title: "The checkout has expired",
    text:
      "No payment arrived in time, so nothing was posted. Your text is kept, so you can try again. " +
      "Should the money arrive after all, the message is posted by itself.",
    actions: ["retry", "dismiss"],
  },
  refunded: {
    status: "refunded",
    tone: "bad",
    title: "Your payment was refunded",
    text: "The money goes back the way it came, and the message is not on the board.",
    actions: ["dismiss"],
  },
  disputed: {
    status: "disputed",
    tone: "bad",
    title: "Your payment is disputed",
    text: "It was contested with the bank, so the message is off the board.",
    actions: ["dismiss"],
  },
};
