/** The HTTP side of the contract: one function per call, errors as classes. */

/** @import { BoardInfo, FieldError, Message, Page, Payment, Problem } from "./types" */
/** @import { Place } from "./board.js" */

const TIMEOUT_MS = 12_000; // the server answers within 9 s, even when Stripe does not

/** An answer that says no: `application/problem+json`, or whatever stood in for it. */
export class ProblemError extends Error {
  /**
   * @param {number} status
   * @param {Partial<Problem>} problem
   * @param {number | null} retryAfterMs
   */
  constructor(status, problem, retryAfterMs) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
    this.name = "ProblemError";
    this.status = status;
    this.code = problem.code ?? "unknown";
    /** @type {FieldError[]} */
    this.errors = problem.errors ?? [];
    this.retryAfterMs = retryAfterMs;
  }
}

/** No answer, or none that can be read: the server may or may not have acted. */
export class NoAnswerError extends Error {
  /** @param {unknown} cause */
  constructor(cause) {
    super("no answer from the server", { cause });
    this.name = "NoAnswerError";
  }
}

/** The board's API. Every call rejects with `ProblemError` or `NoAnswerError`. */
export class Api {
  #base;

  /** @param {string} base the origin the API is served from, without a slash at its end; empty: the page's own */
  constructor(base = "") {
    this.#base = base;
  }

  /** @returns {Promise<BoardInfo>} */
  board() {
    return this.#call("/api/board");
  }

  /**
   * @param {Place} place
   * @param {number} limit
   * @returns {Promise<Page>}
   */
  messages(place, limit) {
    const query = new URLSearchParams({ limit: String(limit) });
    for (const [name, id] of Object.entries(place)) query.set(name, String(id));
    return this.#call(`/api/messages?${query}`);
  }

  /**
   * @param {number} id
   * @returns {Promise<Message>} rejects with status 410 once removed
   */
  message(id) {
    return this.#call(`/api/messages/${id}`);
  }

  /**
   * @param {string} id
   * @returns {Promise<Payment>}
   */
  payment(id) {
    return this.#call(`/api/payments/${encodeURIComponent(id)}`);
  }

  /**
   * @param {{ text: string, author: string | null }} content
   * @param {string} key the Idempotency-Key: the same key and content always name the same payment
   * @returns {Promise<Payment>}
   */
  createPayment({ text, author }, key) {
    return this.#call("/api/payments", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      body: JSON.stringify(author === null ? { text } : { text, author }),
    });
  }

  /**
   * @param {string} path
   * @param {RequestInit} [options]
   */
  async #call(path, options) {
    let response;
    let body;
    try {
      response = await fetch(this.#base + path, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
      body = await response.text();
    } catch (error) {
      throw new NoAnswerError(error);
    }
    const value = parse(body);
    if (!response.ok) throw new ProblemError(response.status, value ?? {}, retryAfterMs(response.headers));
    if (value === undefined) throw new NoAnswerError(new SyntaxError("the answer is no JSON"));
    return value;
  }
}

/**
 * @param {string} body
 * @returns {any} undefined when it is no JSON
 */
function parse(body) {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/**
 * RFC 9110, 10.2.3: seconds or a date.
 *
 * @param {Headers} headers
 * @returns {number | null}
 */
function retryAfterMs(headers) {
  const value = headers.get("Retry-After");
  if (!value) return null;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}
