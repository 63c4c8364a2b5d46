/** The HTTP API: one method per call, and classes for the errors. */

const TIMEOUT_MS = 12_000; // the server responds within 9 s, even if Stripe does not

/** An error response: `application/problem+json`, or whatever a proxy sent instead. */
export class ProblemError extends Error {
  /**
   * @param {number} status
   * @param {Partial<Problem>} problem
   * @param {number | null} retryAfterMs
   */
  constructor(status, problem, retryAfterMs) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
    this.status = status;
    this.code = problem.code ?? "unknown";
    this.errors = problem.errors ?? [];
    this.reason = problem.reason ?? null;
    this.retryAfterMs = retryAfterMs;
  }
}

/** No response, or an unreadable one: the server may or may not have acted. */
export class NoAnswerError extends Error {}

/** A client of the API. Its calls reject with `ProblemError` or `NoAnswerError`. */
export class Api {
  #origin;

  /** @param {string} origin of the API; empty for the page's own */
  constructor(origin = "") {
    this.#origin = origin;
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
    const cursors = Object.entries(place).map(([name, id]) => [name, String(id)]);
    return this.#call(`/api/messages?${new URLSearchParams([["limit", String(limit)], ...cursors])}`);
  }

  /**
   * @param {number} id
   * @returns {Promise<Message>} rejects with status 410 if it was removed
   */
  message(id) {
    return this.#call(`/api/messages/${id}`);
  }

  /** @returns {Promise<PinnedPage>} what is pinned now */
  pinned() {
    return this.#call("/api/pinned");
  }

  /**
   * @param {string} id
   * @returns {Promise<Payment>}
   */
  payment(id) {
    return this.#call(`/api/payments/${encodeURIComponent(id)}`);
  }

  /**
   * @param {Content & { amount: number | null }} intended null for the lowest amount
   * @param {string} key the Idempotency-Key: the same key and content always name the same payment
   * @returns {Promise<Payment>}
   */
  createPayment({ text, author, amount }, key) {
    return this.#call("/api/payments", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      body: JSON.stringify({ text, author: author ?? undefined, amount: amount ?? undefined }), // undefined is left out
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
      response = await fetch(this.#origin + path, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
      body = await response.text();
    } catch (error) {
      throw new NoAnswerError("no answer", { cause: error });
    }
    const value = parse(body);
    if (!response.ok) throw new ProblemError(response.status, value ?? {}, retryAfterMs(response.headers));
    if (value === undefined) throw new NoAnswerError("the answer is no JSON");
    return value;
  }
}

/**
 * @param {string} body
 * @returns {any} undefined if it is not JSON
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
 */
function retryAfterMs(headers) {
  const value = headers.get("Retry-After") ?? "";
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}
