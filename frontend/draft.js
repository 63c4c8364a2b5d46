/** The draft: what is being written, and the one intent to pay for it. */

import { clean } from "./text.js";

/** @import { Payment } from "./types" */

/**
 * One wish to post one text, however often it is clicked, retried or reloaded: its key makes the server answer with the
 * same payment each time.
 *
 * @typedef {object} Intent
 * @property {string} key the Idempotency-Key
 * @property {string} text as the server stores it
 * @property {string | null} author as the server stores it
 */

/**
 * @typedef {object} Draft
 * @property {string} text as typed
 * @property {string} author as typed
 * @property {Intent | null} intent the last one acted on; it stays while something else is typed, so that typing back to
 *   the same text goes on with the same payment
 */

/** @returns {Draft} */
export function emptyDraft() {
  return { text: "", author: "", intent: null };
}

/**
 * A draft as this tab stored it; an empty one when it stored none, or something else.
 *
 * @param {any} stored
 * @returns {Draft}
 */
export function draftFrom(stored) {
  if (typeof stored?.text !== "string" || typeof stored.author !== "string") return emptyDraft();
  const { text, author, intent } = stored;
  return { text, author, intent: typeof intent?.key === "string" ? intent : null };
}

/**
 * What is sent for a draft.
 *
 * @param {Draft} draft
 * @returns {{ text: string, author: string | null }}
 */
export function content(draft) {
  return { text: clean(draft.text), author: clean(draft.author) || null };
}

/**
 * The draft with an intent to pay for exactly what it says: the one it has, or a new one.
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
 * The draft once an intent has come to an end without a post (expired, refused, refunded): paying for the same again is a
 * new one.
 *
 * @param {Draft} draft
 * @param {{ text: string, author: string | null }} ended what the intent was for
 * @returns {Draft}
 */
export function abandonIntent(draft, ended) {
  return draft.intent && same(draft.intent, ended) ? { ...draft, intent: null } : draft;
}

/**
 * The draft after a payment's message was posted: the text is cleared if it is still that message, the name is kept for
 * the next one, and the intent is spent.
 *
 * @param {Draft} draft
 * @param {Payment} payment
 * @returns {Draft}
 */
export function clearPosted(draft, payment) {
  return {
    ...draft,
    text: clean(draft.text) === payment.text ? "" : draft.text,
    intent: draft.intent && same(draft.intent, payment) ? null : draft.intent,
  };
}

/**
 * The draft filled from a payment that came to nothing, for when this tab has no text of its own (the buyer came back in
 * another tab, say).
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
 * Whether the draft says what the payment was for.
 *
 * @param {Draft} draft
 * @param {Payment} payment
 */
export function isFor(draft, payment) {
  return same(content(draft), payment);
}

/**
 * @param {{ text: string, author: string | null }} a
 * @param {{ text: string, author: string | null }} b
 */
function same(a, b) {
  return a.text === b.text && a.author === b.author;
}
