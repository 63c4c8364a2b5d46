/** The live feed: one WebSocket that reconnects by itself and never skips a log entry. */

export const SILENCE_MS = 45_000; // the server sends a heartbeat every 20 s
export const HANDSHAKE_MS = 15_000; // until the first frame
const STABLE_MS = 10_000; // a connection that lasts this long resets the backoff
const RETRY = { baseMs: 1_000, capMs: 30_000 };
const REFUSED = { baseMs: 120_000, capMs: 120_000 };
const MISUSE = 1008;

/**
 * Delivers every frame in order. After losing the connection it resumes with its cursor. If the server can't resume, or an
 * entry is missing, the next frame is a `snapshot`, which replaces everything before it.
 */
export class Feed {
  #connection = initialConnection();
  /** @type {Cursor | null} */
  #cursor = null;
  /** @type {WebSocket | null} */
  #socket = null;
  #listeners = new AbortController();
  /** @type {Set<string>} */
  #watched = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer; // until the next attempt, or until a silent connection is given up
  #lastHeard = 0;
  #options;

  /** @param {FeedParts} options */
  constructor(options) {
    this.#options = options;
  }

  /** @param {Cursor} cursor of a snapshot that the page already has: the feed resumes after it */
  begin({ epoch, seq }) {
    this.#cursor = { epoch, seq };
  }

  /** Connects, and keeps reconnecting from then on. */
  start() {
    this.#connect();
  }

  /**
   * The network is back, or the page became visible again: connects now if it was waiting (unless the server refused us),
   * and replaces a connection that has been silent for too long.
   */
  wake() {
    const { phase, refused } = this.#connection;
    const silent = Date.now() - this.#lastHeard > SILENCE_MS;
    if (phase === "waiting" ? !refused : silent) this.#connect();
    else this.#tell();
  }

  /** The browser reports that the network is gone. It may be wrong (a board on localhost), so this reconnects to find out. */
  doubt() {
    if (this.#connection.phase === "waiting") this.#tell();
    else this.#connect();
  }

  /** Disconnects, so that the page may enter the back-forward cache; `wake` reconnects. */
  suspend() {
    this.#drop();
    this.#connection = { ...this.#connection, phase: "waiting", refused: false };
    this.#tell();
  }

  /**
   * Asks for `payment.updated` frames, now and after every reconnect.
   *
   * @param {string} paymentId
   */
  watch(paymentId) {
    this.#watched.add(paymentId);
    if (this.#connection.phase === "live") this.#sendWatch(paymentId);
  }

  /** @param {string} paymentId */
  unwatch(paymentId) {
    this.#watched.delete(paymentId); // the server drops the watch with the connection
  }

  #connect() {
    this.#drop();
    this.#connection = connecting(this.#connection);
    this.#tell();
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    const socket = new WebSocket(feedUrl(this.#options.location, this.#cursor));
    socket.addEventListener("message", (event) => this.#hear(String(event.data)), { signal });
    socket.addEventListener("close", (event) => this.#lose(event.code), { signal });
    this.#socket = socket;
    this.#lastHeard = Date.now();
    this.#expectFrameWithin(HANDSHAKE_MS);
  }

  /** @param {string} data */
  #hear(data) {
    this.#lastHeard = Date.now();
    this.#expectFrameWithin(SILENCE_MS);
    /** @type {Frame} */
    const frame = JSON.parse(data);
    const cursor = advance(this.#cursor, frame);
    if (cursor === "gap") {
      this.#cursor = null;
      this.#lose();
      return;
    }
    this.#cursor = cursor;
    this.#options.onFrame(frame);
    if (this.#connection.phase === "connecting") this.#goLive();
  }

  #goLive() {
    this.#connection = live(this.#connection, Date.now());
    this.#tell();
    for (const paymentId of this.#watched) this.#sendWatch(paymentId);
  }

  /** @param {number} [code] */
  #lose(code) {
    this.#drop();
    const { connection, delayMs } = lost(this.#connection, { code, now: Date.now() });
    this.#connection = connection;
    this.#timer = setTimeout(() => this.#connect(), delayMs);
    this.#tell();
  }

  /** Stops listening before closing: on a dead network the close event may take minutes. */
  #drop() {
    clearTimeout(this.#timer);
    this.#listeners.abort();
    this.#socket?.close();
    this.#socket = null;
  }

  /** @param {number} ms */
  #expectFrameWithin(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lose(), ms);
  }

  /** @param {string} paymentId */
  #sendWatch(paymentId) {
    this.#socket?.send(JSON.stringify({ type: "watch", payment_id: paymentId }));
  }

  #tell() {
    this.#options.onIndicator(indicator(this.#connection, this.#options.isOnline()));
  }
}

// --- the connection: its cursor, whether it is live, and when to reconnect; pure ------------------------

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

/**
 * How long to wait before the next attempt: exponential, with jitter so that clients don't retry in step.
 *
 * @param {number} attempt 0 is the first retry
 * @param {{ baseMs: number, capMs: number, random?: () => number }} options
 * @returns {number} milliseconds, between half and one and a half of min(capMs, baseMs · 2^attempt)
 */
export function backoff(attempt, { baseMs, capMs, random = Math.random }) {
  return Math.round(Math.min(capMs, baseMs * 2 ** attempt) * (0.5 + random()));
}
