/** A payment as the page follows it, and the text of its card. Pure; card.js draws it. */

import { backoff } from "../feed/feed.js";
import { clip } from "./text.js";

const LONG_WAIT_MS = 20_000;
const POLL_PENDING = { baseMs: 2_000, capMs: 30_000 };
const POLL_PROCESSING = { baseMs: 30_000, capMs: 300_000 }; // banks take days
const QUOTE = "{message}";
const QUOTE_LENGTH = 60;

/**
 * @param {string} id
 * @param {Stage} stage
 * @param {number} since
 * @returns {Followed}
 */
export function follow(id, stage, since) {
  return {
    id,
    stage,
    since,
    dismissed: null,
    role: "own",
    payment: null,
    missing: false,
    removed: false,
    arrival: "none",
    refilled: false,
    asked: 0,
  };
}

/**
 * What the tab or the device stored about a payment; null if there is none, or something else is stored.
 *
 * @param {any} value
 * @returns {Stored | null}
 */
export function storedFrom(value) {
  if (typeof value?.id !== "string" || typeof value.since !== "number") return null;
  const { id, stage, since, dismissed } = value;
  if (stage !== "opened" && stage !== "returned" && stage !== "cancelled") return null;
  return { id, stage, since, dismissed: Object.hasOwn(CARDS, dismissed) ? dismissed : null };
}

/**
 * The state after a response or frame from the server. One that arrives late is ignored: no payment becomes pending again,
 * and only a pending one becomes processing.
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
 * Whether the payment may be in progress, so that the buyer must not pay for the same text again.
 *
 * @param {Followed} followed
 */
export function mayBePaid({ payment, missing, stage }) {
  const status = payment?.status ?? "pending";
  return !missing && (status === "processing" || (status === "pending" && stage === "returned"));
}

/**
 * Whether the payment ended without a post, so that the next attempt is a new payment.
 *
 * @param {PaymentStatus} status
 */
export function isSpent(status) {
  return ["failed", "expired", "refunded", "disputed"].includes(status);
}

/**
 * Whether the buyer left the checkout without paying and it is over, so that there is nothing to show.
 *
 * @param {Followed} followed
 */
export function isForgettable({ payment, missing, stage }) {
  return stage !== "returned" && (missing || payment?.status === "expired");
}

/**
 * When to ask for the payment again; each request also makes the server ask Stripe.
 *
 * @param {Followed} followed
 * @param {number} attempt requests made so far
 * @param {() => number} [random]
 * @returns {number | null} milliseconds; null if there is nothing to wait for
 */
export function pollDelay(followed, attempt, random = Math.random) {
  if (!mayBePaid(followed)) return null;
  return backoff(attempt, { ...(followed.payment?.status === "processing" ? POLL_PROCESSING : POLL_PENDING), random });
}

/**
 * The card for a payment. It only says what is known: a buyer who comes back from checkout may not have paid, and for a
 * checkout that is still open there is no card.
 *
 * @param {Followed | null} followed
 * @param {number} now
 * @returns {Card | null} null if there is nothing to say
 */
export function cardFor(followed, now) {
  if (!followed || isForgettable(followed)) return null;
  const { payment, missing, removed, stage, since } = followed;
  const status = payment?.status ?? "pending";
  if (missing) return UNKNOWN;
  if (status === "pending" && stage !== "returned") return null;
  if (status === "pending" && now - since >= LONG_WAIT_MS) return STILL_PENDING;
  if (status === "fulfilled" && removed) return REMOVED;
  const [tone, title, text, ...actions] = CARDS[status];
  return { status, tone, title, text: text.replace(QUOTE, () => quote(payment?.text ?? "")), actions };
}

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

/** @type {Record<PaymentStatus, [Card["tone"], string, string, ...Action[]]>} */
const CARDS = {
  pending: [
    "waiting",
    "Thank you!",
    "Your payment is being confirmed, and your message will appear here automatically. No need to pay again.",
  ],
  processing: [
    "waiting",
    "Waiting for your bank",
    `This payment method can take several working days. ${QUOTE} will be posted automatically once the payment arrives. No need to pay again.`,
    "dismiss",
  ],
  fulfilled: [
    "good",
    "Your message is on the board",
    "Thank you! It is marked as yours on this device.",
    "show",
    "copy",
    "dismiss",
  ],
  failed: [
    "bad",
    "Your bank refused the payment",
    "Nothing was charged and nothing was posted. Your text is kept, so you can try again.",
    "retry",
    "dismiss",
  ],
  expired: [
    "bad",
    "The checkout has expired",
    "No payment arrived in time, so nothing was posted. Your text is kept, so you can try again. If the payment still arrives, the message will be posted automatically.",
    "retry",
    "dismiss",
  ],
  refunded: [
    "bad",
    "Your payment was refunded",
    "The money is going back to the card or account you paid with, and the message is not on the board.",
    "dismiss",
  ],
  disputed: [
    "bad",
    "Your payment is disputed",
    "The payment was disputed with the bank, so the message is off the board.",
    "dismiss",
  ],
};

/** @type {Card} */
const STILL_PENDING = {
  status: "pending",
  tone: "waiting",
  title: "Still being confirmed",
  text: "This is taking longer than usual. Your message will be posted once the payment is confirmed, even if you close this page. No need to pay again.",
  actions: [],
};

/** @type {Card} */
const UNKNOWN = {
  status: "unknown",
  tone: "bad",
  title: "We can’t find that payment",
  text: "The link may be incomplete, or it may belong to another board. If you paid here, your message will still be posted.",
  actions: ["dismiss"],
};

/** @type {Card} */
const REMOVED = {
  status: "fulfilled",
  tone: "bad",
  title: "Your message is off the board",
  text: "It was posted, but has since been taken down.",
  actions: ["dismiss"],
};
