/** Which messages were paid for on this device. */

/** @import { Message } from "./types" */

/**
 * A message is known again by its id and its time: after a backup was restored, an id alone may be somebody else's.
 *
 * @typedef {{ id: number, posted_at: string }} Own
 */

const MOST = 500;

/**
 * The list as this device stored it; empty when it stored none, or something else.
 *
 * @param {any} stored
 * @returns {readonly Own[]}
 */
export function mineFrom(stored) {
  if (!Array.isArray(stored)) return [];
  return stored.filter((own) => Number.isInteger(own?.id) && typeof own.posted_at === "string");
}

/**
 * @param {readonly Own[]} mine
 * @param {Message} message
 * @returns {readonly Own[]} with the message, and without the oldest when there are too many
 */
export function remember(mine, message) {
  if (isMine(mine, message)) return mine;
  return [...mine, { id: message.id, posted_at: message.posted_at }].slice(-MOST);
}

/**
 * @param {readonly Own[]} mine
 * @param {Message} message
 */
export function isMine(mine, message) {
  return mine.some((own) => own.id === message.id && own.posted_at === message.posted_at);
}
