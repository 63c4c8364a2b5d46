/** Payments as the page follows them: what each one means for the buyer, and which of them holds the button. Pure. */

import { backoff } from "../feed/feed.js";
import { say } from "../ui/format.js";
import { clean, clip, content, same } from "./text.js";

const LONG_WAIT_MS = 20_000;
const POLL_PENDING = { baseMs: 2_000, capMs: 30_000 };
const POLL_PROCESSING = { baseMs: 30_000, capMs: 300_000 }; // banks take days
const QUOTE = "{message}"; // in a card's words
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
    content: null,
    missing: false,
    removed: false,
    arrival: "none",
    takenOut: false,
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
  return overtaken ? followed : { ...followed, payment, content: payment, missing: false };
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
  const { payment, content, missing, removed, stage, since } = followed;
  const status = payment?.status ?? "pending";
  if (status === "pending" && stage !== "returned") return null;
  const isLate = status === "pending" && now - since >= LONG_WAIT_MS;
  const words = missing ? UNKNOWN : isLate ? STILL_PENDING : status === "fulfilled" && removed ? REMOVED : CARDS[status];
  const [tone, title, text, ...actions] = words;
  const subject = content ? quote(content.text) : say("Your message");
  return { status: missing ? "unknown" : status, tone, title, text: text.replace(QUOTE, () => subject), actions };
}

/**
 * The beginning of a message on one line.
 *
 * @param {string} text
 */
export function excerpt(text) {
  const line = text.replaceAll(/\s+/gu, " ");
  const start = clip(line, QUOTE_LENGTH);
  return start === line ? line : `${start}…`;
}

/** @param {string} text whose beginning is put in quotation marks, with its own direction */
function quote(text) {
  return say("“{text}”", { text: `\u2068${excerpt(text)}\u2069` });
}

/** @typedef {[Card["tone"], string, string, ...Action[]]} Words tone, title and text of a card, and its buttons */

/** @type {Record<PaymentStatus, Words>} */
const CARDS = {
  pending: [
    "waiting",
    say("Thank you!"),
    say("Your payment is being confirmed. {message} will then be on the board by itself. No need to pay again."),
  ],
  processing: [
    "waiting",
    say("Waiting for your bank"),
    say("{message} will be posted by itself once the payment arrives, which can take several working days. No need to pay again."),
    "dismiss",
  ],
  fulfilled: [
    "good",
    say("Your message is on the board"),
    say("Thank you! {message} is marked as yours on this device."),
    "show",
    "copy",
    "dismiss",
  ],
  failed: [
    "bad",
    say("Your bank refused the payment"),
    say("Nothing was charged, and {message} was not posted. You can change it and pay again."),
    "rewrite",
    "dismiss",
  ],
  expired: [
    "calm",
    say("The checkout has expired"),
    say("{message} was not posted, because no payment arrived in time. You can pay again; if the money still arrives, it will be posted by itself."),
    "rewrite",
    "dismiss",
  ],
  refunded: [
    "calm",
    say("Your payment was refunded"),
    say("{message} is not on the board, and the money is going back to the card or account you paid with."),
    "dismiss",
  ],
  disputed: [
    "calm",
    say("Your payment is disputed"),
    say("The payment was disputed with the bank, so {message} is off the board until that is decided."),
    "dismiss",
  ],
};

/** @type {Words} */
const STILL_PENDING = [
  "waiting",
  say("Still being confirmed"),
  say("This is taking longer than usual. {message} will be posted once the payment is confirmed, even if you close this page. No need to pay again."),
];

/** @type {Words} */
const UNKNOWN = [
  "bad",
  say("We can’t find that payment"),
  say("The link may be incomplete, or it may belong to another board. If you paid here, your message will still be posted."),
  "dismiss",
];

/** @type {Words} */
const REMOVED = [
  "calm",
  say("Your message was taken off the board"),
  say("{message} was posted, but has since been taken down by the people who run this board."),
  "dismiss",
];

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
  const known = find(state, followed.id);
  const { payment, content } = followed.payment || !known ? followed : known;
  /** @type {(other: Followed) => Followed} */
  const keep = (other) => (other.role === "own" ? { ...other, role: "kept" } : other);
  const others = state.followed.filter(({ id }) => id !== followed.id).map(keep);
  return { ...state, followed: [...others, { ...followed, role: "own", payment, content: content ?? followed.content }] };
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
    if (!card || (followed !== held && followed.dismissed === card.status)) continue;
    const isFree = clean(state.draft.text) === ""; // or another text would be lost
    const actions = card.actions.filter((action) => action !== "rewrite" || isFree);
    return { followed, card: { ...card, actions } };
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
  return followed.find((one) => mayBePaid(one) && (one.content ? same(content(draft), one.content) : !isUnclear(one)));
}

/**
 * The message that will be on the board in a moment, as far as the buyer knows; a bank debit takes days.
 *
 * @param {Purchase} state
 * @returns {Coming | null}
 */
export function publishing({ followed }) {
  const coming = followed.findLast(({ role, stage, missing, dismissed, takenOut, payment, arrival }) => {
    if (role === "other" || missing) return false;
    if (payment?.status === "fulfilled") return role === "own" && takenOut && dismissed === null && arrival !== "done";
    return stage === "returned" && (payment?.status ?? "pending") === "pending";
  });
  if (!coming?.content) return null;
  const { text, author } = coming.content;
  return { text, author, created_at: coming.payment?.created_at ?? null };
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
