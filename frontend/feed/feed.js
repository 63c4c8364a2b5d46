/** The live feed: one WebSocket that reconnects by itself and never skips a log entry. */

import {
  advance,
  connecting,
  feedUrl,
  HANDSHAKE_MS,
  indicator,
  initialConnection,
  live,
  lost,
  SILENCE_MS,
} from "./connection.js";

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
