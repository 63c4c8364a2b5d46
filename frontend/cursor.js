/** The cursor: how far into the board's log this page has read, within an epoch. */

/** @import { Frame } from "./types" */

/**
 * @typedef {object} Cursor
 * @property {string} epoch
 * @property {number} seq the last log entry read
 */

/**
 * The cursor after one more frame.
 *
 * The server promises n + 1, n + 2, … after a `snapshot` or `resumed` at n. Whatever breaks that promise means this
 * page has missed something, and the only cure is to connect plain and start from a snapshot.
 *
 * @param {Cursor | null} cursor null before the first snapshot
 * @param {Frame} frame
 * @returns {Cursor | null | "gap"} the cursor to go on with, or "gap" when entries are missing, doubled or out of order
 */
export function advance(cursor, frame) {
  switch (frame.type) {
    case "snapshot":
      return { epoch: frame.epoch, seq: frame.seq };
    case "resumed":
      return cursor?.epoch === frame.epoch && cursor.seq === frame.seq ? cursor : "gap";
    case "message.posted":
    case "message.removed":
    case "message.restored":
    case "message.withheld":
      return cursor && frame.seq === cursor.seq + 1 ? { epoch: cursor.epoch, seq: frame.seq } : "gap";
    case "heartbeat":
      return cursor && frame.seq > cursor.seq ? "gap" : cursor;
    default:
      return cursor; // frames without a place in the log, and kinds this page does not know yet
  }
}

/**
 * The feed's address on this host: plain, or resuming after the cursor.
 *
 * @param {{ protocol: string, host: string }} location the page's own
 * @param {Cursor | null} cursor
 */
export function feedUrl(location, cursor) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const query = cursor ? `?${new URLSearchParams({ after: String(cursor.seq), epoch: cursor.epoch })}` : "";
  return `${scheme}//${location.host}/api/feed${query}`;
}
