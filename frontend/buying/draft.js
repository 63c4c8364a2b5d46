/** The draft: what is being written, and the intent to pay for it. Pure. */

import { clean } from "./text.js";

/**
 * The draft that this tab stored; an empty one if there is none, or something else is stored.
 *
 * @param {any} stored
 * @returns {Draft}
 */
export function draftFrom(stored) {
  if (typeof stored?.text !== "string" || typeof stored.author !== "string") {
    return { text: "", author: "", intent: null };
  }
  const { text, author, intent } = stored;
  return { text, author, intent: typeof intent?.key === "string" ? intent : null };
}

/**
 * What is sent for a draft.
 *
 * @param {Draft} draft
 * @returns {Content}
 */
export function content(draft) {
  return { text: clean(draft.text), author: clean(draft.author) || null };
}

/**
 * The draft with an intent to pay for exactly its content: the one it has, or a new one.
 *
 * @param {Draft} draft
 * @param {() => string} newKey
 * @returns {Draft & { intent: Intent }}
 */
export function intend(draft, newKey) {
  const wanted = content(draft);
  const intent = draft.intent && same(draft.intent, wanted) ? draft.intent : { key: newKey(), ...wanted };
  return { ...draft, intent };
}

/**
 * The draft after an intent ended without a post: paying for the same content again needs a new intent. An intent that is
 * known to belong to another payment for the same content stays.
 *
 * @param {Draft} draft
 * @param {Payment} ended
 * @returns {Draft}
 */
export function abandonIntent(draft, ended) {
  const { intent } = draft;
  if (!intent || !same(intent, ended)) return draft;
  return intent.payment === undefined || intent.payment === ended.id ? { ...draft, intent: null } : draft;
}

/**
 * The draft after a payment's message was posted: the text is cleared if it is still that message, the name is kept for
 * the next one, and the intent is dropped.
 *
 * @param {Draft} draft
 * @param {Payment} payment
 * @returns {Draft}
 */
export function clearPosted(draft, payment) {
  const text = clean(draft.text) === payment.text ? "" : draft.text;
  return { ...abandonIntent(draft, payment), text };
}

/**
 * The draft, filled from a payment that ended without a post if this tab has no text of its own (for example because the
 * buyer came back in another tab).
 *
 * @param {Draft} draft
 * @param {Payment} payment
 * @returns {Draft}
 */
export function refill(draft, payment) {
  if (clean(draft.text) !== "") return draft;
  return { ...draft, text: payment.text, author: payment.author ?? draft.author };
}

/**
 * @param {Content} a
 * @param {Content} b
 */
export function same(a, b) {
  return a.text === b.text && a.author === b.author;
}
