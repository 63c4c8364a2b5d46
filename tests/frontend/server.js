/** A board's server for tests: real HTTP and real WebSockets on the loopback interface, with responses set by the test. */

import { createHash } from "node:crypto";
import { createServer } from "node:http";

/** @import { IncomingMessage, ServerResponse } from "node:http" */
/** @import { AddressInfo } from "node:net" */
/** @import { Duplex } from "node:stream" */

const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, 1.3
const OPCODE = { text: 0x1, close: 0x8 };

/**
 * @typedef {object} Request
 * @property {string} method
 * @property {string} url path and query
 * @property {Record<string, string | string[] | undefined>} headers
 * @property {any} body
 */

/**
 * A response; null closes the connection without one.
 *
 * @typedef {{ status?: number, headers?: Record<string, string>, body?: unknown } | null} Answer
 */

/** One WebSocket, seen from the server. */
export class Peer {
  /** @type {unknown[]} what the page sent */
  received = [];
  #socket;

  /**
   * @param {Duplex} socket
   * @param {string} url
   */
  constructor(socket, url) {
    this.#socket = socket;
    this.url = url;
    socket.on("error", () => {});
    socket.on("data", (data) => this.#read(data));
  }

  /** @param {unknown} frame sent as JSON */
  send(frame) {
    this.#write(OPCODE.text, Buffer.from(JSON.stringify(frame)));
  }

  /** @param {number} code */
  close(code) {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.#write(OPCODE.close, payload);
    this.#socket.end();
  }

  /** Cuts the connection without a word. */
  cut() {
    this.#socket.destroy();
  }

  /**
   * @param {number} opcode
   * @param {Buffer} payload
   */
  #write(opcode, payload) {
    const short = payload.length < 126;
    const head = Buffer.alloc(short ? 2 : 4);
    head[0] = 0x80 | opcode;
    head[1] = short ? payload.length : 126;
    if (!short) head.writeUInt16BE(payload.length, 2);
    this.#socket.write(Buffer.concat([head, payload]));
  }

  /** @param {Buffer} data one or more small masked frames, as a page on the same machine sends them */
  #read(data) {
    while (data.length >= 6) {
      const length = (data[1] ?? 0) & 0x7f;
      const mask = data.subarray(2, 6);
      const payload = data.subarray(6, 6 + length).map((byte, index) => byte ^ (mask[index % 4] ?? 0));
      if (((data[0] ?? 0) & 0x0f) === OPCODE.text) this.received.push(JSON.parse(Buffer.from(payload).toString()));
      data = data.subarray(6 + length);
    }
  }
}

/** The server. */
export class BoardServer {
  /** @type {Request[]} */
  requests = [];
  /** @type {Peer[]} */
  peers = [];
  /** @type {(request: Request) => Answer | Promise<Answer>} */
  answer = () => ({ status: 404, body: { code: "not_found" } });
  /** @type {(peer: Peer) => void} */
  greet = () => {};
  #server = createServer((request, response) => void this.#serve(request, response));

  /** @returns {Promise<BoardServer>} listening on a free port */
  static async start() {
    const server = new BoardServer();
    server.#server.on("upgrade", (request, socket) => server.#accept(request, socket));
    await new Promise((resolve) => server.#server.listen(0, "127.0.0.1", () => resolve(undefined)));
    return server;
  }

  get host() {
    return `127.0.0.1:${/** @type {AddressInfo} */ (this.#server.address()).port}`;
  }

  async stop() {
    for (const peer of this.peers) peer.cut();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(() => resolve(undefined)));
  }

  /**
   * @param {IncomingMessage} message
   * @param {ServerResponse} response
   */
  async #serve(message, response) {
    const chunks = [];
    for await (const chunk of message) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const request = {
      method: message.method ?? "",
      url: message.url ?? "",
      headers: message.headers,
      body: text && JSON.parse(text),
    };
    this.requests.push(request);
    const answer = await this.answer(request);
    if (!answer) {
      message.socket.destroy();
      return;
    }
    response.writeHead(answer.status ?? 200, { "Content-Type": "application/json", ...answer.headers });
    response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body));
  }

  /**
   * @param {IncomingMessage} request
   * @param {Duplex} socket
   */
  #accept(request, socket) {
    const key = `${request.headers["sec-websocket-key"]}${WEBSOCKET_GUID}`;
    const accept = createHash("sha1").update(key).digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    const peer = new Peer(socket, request.url ?? "");
    this.peers.push(peer);
    this.greet(peer);
  }
}

/**
 * Waits until something is true.
 *
 * @template T
 * @param {() => T} check
 * @param {number} [ms] at most
 * @returns {Promise<NonNullable<T>>} the first value that is not falsy
 */
export async function until(check, ms = 10_000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${check}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
