/** The payments that a tab follows: which one holds the button, which one is on the card, and what is stored. Pure. */

import { content, same } from "./draft.js";
import { cardFor, follow, mayBePaid } from "./payment.js";

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
