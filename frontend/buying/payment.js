/** Payments as the page follows them: what each one means for the buyer, and which of them holds the button. Pure. */

import { backoff } from "../feed/backoff.js";
import { clip, content, same } from "./text.js";

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

/**
 * The payment that this tab sent the buyer to, or was returned to.
 *
 * @param {Purchase} state
 */
export function own(state) {
  return state.followed.find(({ role }) => role === "own");
}

/** @param {Followed} followed */
export function isAwaited(followed) {
  return mayBePaid(followed) || (followed.payment?.status === "fulfilled" && followed.arrival === "none");
}

/**
 * @param {Purchase} state
 * @param {string} id
 */
export function find(state, id) {
  return state.followed.find((followed) => followed.id === id);
}

/**
 * @param {Purchase} state
 * @param {string} id
 * @param {Partial<Followed>} change
 * @returns {Purchase}
 */
export function update(state, id, change) {
  return { ...state, followed: state.followed.map((one) => (one.id === id ? { ...one, ...change } : one)) };
}

/**
 * @param {Purchase} state
 * @param {string} id
 * @returns {Purchase}
 */
export function drop(state, id) {
  return { ...state, followed: state.followed.filter((followed) => followed.id !== id) };
}

/** @param {Stored} stored */
export function followStored({ id, stage, since, dismissed }) {
  return { ...follow(id, stage, since), dismissed };
}

/**
 * Makes a payment this tab's own; the one that was stays followed.
 *
 * @param {Purchase} state
 * @param {Followed} followed
 * @returns {Purchase}
 */
export function makeOwn(state, followed) {
  const payment = followed.payment ?? find(state, followed.id)?.payment ?? null;
  /** @type {(other: Followed) => Followed} */
  const keep = (other) => (other.role === "own" ? { ...other, role: "kept" } : other);
  const others = state.followed.filter(({ id }) => id !== followed.id).map(keep);
  return { ...state, followed: [...others, { ...followed, role: "own", payment }] };
}

/**
 * What is stored about a payment; null once its message is marked, or if the server does not know it.
 *
 * @param {Followed | undefined} followed
 * @returns {Stored | null}
 */
export function stored(followed) {
  if (!followed || followed.missing || followed.arrival === "done") return null;
  const { id, stage, since, dismissed } = followed;
  return { id, stage, since, dismissed };
}

/**
 * What the device must remember or may forget. Another tab's payments are stored by that tab.
 *
 * @param {Purchase} before
 * @param {Purchase} after
 * @returns {PurchaseEffect[]}
 */
export function memories(before, after) {
  /** @type {PurchaseEffect[]} */
  const effects = [];
  for (const { id } of before.followed) {
    if (stored(find(before, id)) && !stored(find(after, id))) effects.push({ type: "forget", id });
  }
  for (const one of after.followed) {
    const record = stored(one);
    if (record && one.role !== "other" && differ(stored(find(before, one.id)), record)) {
      effects.push({ type: "remember", stored: record });
    }
  }
  return effects;
}

/**
 * @param {unknown} a
 * @param {unknown} b both made of JSON
 */
export function differ(a, b) {
  return JSON.stringify(a) !== JSON.stringify(b);
}

/**
 * The card, and the payment that it is about: the tab's own, else the one that holds the button, else the newest kept.
 *
 * @param {Purchase} state
 * @returns {{ followed: Followed, card: Card } | null}
 */
export function onCard(state) {
  const held = holding(state);
  const newestFirst = [...state.followed].reverse();
  const candidates = newestFirst.filter(({ role }) => role === "own");
  candidates.push(...newestFirst.filter((followed) => followed === held));
  candidates.push(...newestFirst.filter(({ role }) => role === "kept"));
  for (const followed of candidates) {
    const card = isUnclear(followed) ? null : cardFor(followed, state.now);
    if (card && (followed === held || followed.dismissed !== card.status)) return { followed, card };
  }
  return null;
}

/**
 * The payment that may be in progress for the text in the form, so that nobody pays twice. That may be any text until the
 * server has sent the payment that the buyer comes back from.
 *
 * @param {Purchase} state
 */
export function holding({ followed, draft }) {
  return followed.find((one) => mayBePaid(one) && (one.payment ? same(content(draft), one.payment) : !isUnclear(one)));
}

/**
 * Whether there is nothing to say about a payment before the server has sent it: only a buyer who comes back is waiting.
 *
 * @param {Followed} followed
 */
function isUnclear({ role, dismissed, payment, missing }) {
  return !payment && !missing && (role !== "own" || dismissed !== null);
}

/**
 * Why the button can't be pressed.
 *
 * @param {Purchase} state
 * @returns {Hold[]}
 */
export function holds(state) {
  /** @type {[Hold, boolean][]} */
  const reasons = [
    ["sending", state.sending !== null],
    ["held", holding(state) !== undefined],
    ["limited", state.limited],
  ];
  return reasons.flatMap(([reason, on]) => (on ? reason : []));
}
