/** The connection's state: connecting, live or waiting to try again, and for how long. */

import { backoff } from "./backoff.js";

/**
 * @typedef {object} Connection
 * @property {"connecting" | "live" | "waiting"} phase
 * @property {number} attempt failures since the last connection that held
 * @property {number} liveSince when it last went live, in epoch milliseconds; 0: never
 * @property {boolean} refused the server closed it for misuse, so only a long wait is polite
 */

/** @typedef {"connecting" | "live" | "reconnecting" | "offline" | "refused"} Indicator */

export const SILENCE_MS = 45_000; // the server sends a heartbeat every 20 s
export const HANDSHAKE_MS = 15_000; // until the first frame
const STABLE_MS = 10_000; // a connection that held this long clears the record of failures
const RETRY = { baseMs: 1_000, capMs: 30_000 };
const REFUSED_MS = 120_000;
const MISUSE = 1008;

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
 * The first frame came.
 *
 * @param {Connection} connection
 * @param {number} now epoch milliseconds
 * @returns {Connection}
 */
export function live(connection, now) {
  return { ...connection, phase: "live", liveSince: now, refused: false };
}

/**
 * The connection ended, or never came about.
 *
 * @param {Connection} connection
 * @param {{ code?: number, now: number, random?: () => number }} end `code` is the close code
 * @returns {{ connection: Connection, delayMs: number }} the state, and how long to wait before connecting again
 */
export function lost(connection, { code, now, random = Math.random }) {
  const held = connection.phase === "live" && now - connection.liveSince >= STABLE_MS;
  const attempt = held ? 0 : connection.attempt;
  const refused = code === MISUSE;
  const delayMs = refused
    ? backoff(0, { baseMs: REFUSED_MS, capMs: REFUSED_MS, random })
    : backoff(attempt, { ...RETRY, random });
  return { connection: { ...connection, phase: "waiting", attempt: attempt + 1, refused }, delayMs };
}

/**
 * What the reader is told.
 *
 * @param {Connection} connection
 * @param {boolean} online what the browser says about the network; believed only while nothing proves otherwise
 * @returns {Indicator}
 */
export function indicator(connection, online) {
  if (connection.phase === "live") return "live";
  if (!online) return "offline";
  if (connection.refused) return "refused";
  return connection.attempt === 0 && connection.liveSince === 0 ? "connecting" : "reconnecting";
}
