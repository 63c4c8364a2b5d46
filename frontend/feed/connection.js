/** The connection to the feed: its cursor, whether it is live, and when to reconnect. Pure; see feed.js. */

import { backoff } from "./backoff.js";

export const SILENCE_MS = 45_000; // the server sends a heartbeat every 20 s
export const HANDSHAKE_MS = 15_000; // until the first frame
const STABLE_MS = 10_000; // a connection that lasts this long resets the backoff
const RETRY = { baseMs: 1_000, capMs: 30_000 };
const REFUSED = { baseMs: 120_000, capMs: 120_000 };
const MISUSE = 1008;

/**
 * The cursor after one more frame. The server promises n + 1, n + 2, … after a `snapshot` or `resumed` at n. Anything else
 * means that an entry was missed; the page must then reconnect without a cursor, to get a snapshot.
 *
 * @param {Cursor | null} cursor null before the first snapshot
 * @param {Frame} frame
 * @returns {Cursor | null | "gap"} "gap" if entries are missing, duplicated or out of order
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
      return cursor; // not a log entry, or a type that this page does not know
  }
}

/**
 * @param {{ protocol: string, host: string }} location the page's own
 * @param {Cursor | null} cursor to resume after
 */
export function feedUrl(location, cursor) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const query = cursor ? `?${new URLSearchParams({ after: String(cursor.seq), epoch: cursor.epoch })}` : "";
  return `${scheme}//${location.host}/api/feed${query}`;
}

/** @returns {Connection} */
export function initialConnection() {
  return { phase: "connecting", attempt: 0, liveSince: 0, refused: false };
}

/**
 * @param {Connection} connection
 * @returns {Connection}
 */
export function connecting(connection) {
  return { ...connection, phase: "connecting" };
}

/**
 * The first frame arrived.
 *
 * @param {Connection} connection
 * @param {number} now
 * @returns {Connection}
 */
export function live(connection, now) {
  return { ...connection, phase: "live", liveSince: now, refused: false };
}

/**
 * The connection ended, or could not be made.
 *
 * @param {Connection} connection
 * @param {{ code?: number | undefined, now: number, random?: () => number }} end `code` is the close code
 * @returns {{ connection: Connection, delayMs: number }} `delayMs`: until the next attempt
 */
export function lost(connection, { code, now, random = Math.random }) {
  const held = connection.phase === "live" && now - connection.liveSince >= STABLE_MS;
  const attempt = held ? 0 : connection.attempt;
  const refused = code === MISUSE;
  const delayMs = refused ? backoff(0, { ...REFUSED, random }) : backoff(attempt, { ...RETRY, random });
  return { connection: { ...connection, phase: "waiting", attempt: attempt + 1, refused }, delayMs };
}

/**
 * What the page shows about the connection.
 *
 * @param {Connection} connection
 * @param {boolean} online whether the browser reports a network; ignored while the connection is live
 * @returns {Indicator}
 */
export function indicator(connection, online) {
  if (connection.phase === "live") return "live";
  if (!online) return "offline";
  if (connection.refused) return "refused";
  return connection.attempt === 0 && connection.liveSince === 0 ? "connecting" : "reconnecting";
}
