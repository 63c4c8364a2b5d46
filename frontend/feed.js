/** The live feed: one WebSocket that is always on its way back, and never skips a log entry. */

import { connecting, HANDSHAKE_MS, indicator, initialConnection, live, lost, SILENCE_MS } from "./connection.js";
import { advance, feedUrl } from "./cursor.js";

/** @import { Frame } from "./types" */
/** @import { Connection, Indicator } from "./connection.js" */
/** @import { Cursor } from "./cursor.js" */

/**
 * Delivers every frame in order. After a loss it resumes with its cursor; when the server can't resume, or a frame is
 * missing, the next frame is a `snapshot`, which replaces all that came before it.
 */
export class Feed {
  /** @type {Connection} */
  #connection = initialConnection();
  /** @type {Cursor | null} */
  #cursor = null;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {AbortController} */
  #listeners = new AbortController();
  /** @type {Set<string>} */
  #watched = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer; // the wait before the next connection, or the patience with a silent one
  #lastHeard = 0;
  #location;
  #onFrame;
  #onIndicator;
  #isOnline;

  /**
   * @param {object} options
   * @param {{ protocol: string, host: string }} options.location the page's own
   * @param {(frame: Frame) => void} options.onFrame
   * @param {(indicator: Indicator) => void} options.onIndicator
   * @param {() => boolean} options.isOnline what the browser believes about the network
   */
  constructor({ location, onFrame, onIndicator, isOnline }) {
    this.#location = location;
    this.#isOnline = isOnline;
    this.#onFrame = onFrame;
    this.#onIndicator = onIndicator;
  }

  /** Connects, and from then on stays connected. */
  start() {
    this.#connect();
  }

  /**
   * Something hints that it is worth trying now: the network is back, the page is looked at again. Ends a wait at once
   * (unless the server refused us), and replaces a connection that has been silent for too long.
   */
  wake() {
    const { phase, refused } = this.#connection;
    const silent = Date.now() - this.#lastHeard > SILENCE_MS;
    if (phase === "waiting" ? !refused : silent) this.#connect();
    else this.#tell();
  }

  /** The browser says the network is gone. It may be wrong (a board on this very machine), so that is tried out. */
  doubt() {
    if (this.#connection.phase === "waiting") this.#tell();
    else this.#connect();
  }

  /** Lets go of the connection, so that the page can be put into the back-forward cache; `wake` brings it back. */
  suspend() {
    this.#drop();
    this.#connection = { ...this.#connection, phase: "waiting", refused: false };
    this.#tell();
  }

  /**
   * Asks for `payment.updated` frames about a payment, now and after every reconnect.
   *
   * @param {string} paymentId
   */
  watch(paymentId) {
    this.#watched.add(paymentId);
    if (this.#connection.phase === "live") this.#sendWatch(paymentId);
  }

  /** @param {string} paymentId */
  unwatch(paymentId) {
    this.#watched.delete(paymentId); // the server forgets it with the connection
  }

  #connect() {
    this.#drop();
    this.#connection = connecting(this.#connection);
    this.#tell();
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    const socket = new WebSocket(feedUrl(this.#location, this.#cursor));
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
    this.#onFrame(frame);
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
    const end = lost(this.#connection, { now: Date.now(), ...(code === undefined ? {} : { code }) });
    this.#connection = end.connection;
    this.#timer = setTimeout(() => this.#connect(), end.delayMs);
    this.#tell();
  }

  /** Stops listening before closing: a dead network may take minutes to say that it closed. */
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
    this.#onIndicator(indicator(this.#connection, this.#isOnline()));
  }
}
