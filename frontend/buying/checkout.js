/** Requesting a payment: sends an intent, and says what became of it. Retries use the same payment. */

import { NoAnswerError, ProblemError } from "../feed/api.js";

const IN_PROGRESS_MS = 35_000; // the server gives up an attempt that died after 30 s
const IN_PROGRESS_STEP_MS = 1_000;
const LIMITED_MS = 30_000; // if the server does not say how long

/**
 * Requests the payment of an intent; waits while an earlier request for it is in progress.
 *
 * @param {object} options
 * @param {Pick<import("../feed/api.js").Api, "createPayment">} options.api
 * @param {Intent} options.intent
 * @param {() => string} [options.newKey]
 * @param {(ms: number) => Promise<void>} [options.sleep]
 * @returns {Promise<StartEvent>}
 */
export async function requestPayment({ api, intent, newKey = randomUuid, sleep = wait }) {
  for (let waited = 0; ; ) {
    try {
      return { type: "started", payment: await api.createPayment(intent, intent.key), key: newKey() };
    } catch (error) {
      const inProgress = error instanceof ProblemError && error.code === "idempotency_in_progress";
      if (!inProgress || waited >= IN_PROGRESS_MS) return { type: "refused", refusal: readError(error, newKey) };
      const pause = Math.max(error.retryAfterMs ?? 0, IN_PROGRESS_STEP_MS);
      await sleep(pause);
      waited += pause;
    }
  }
}

/**
 * @param {unknown} error
 * @param {() => string} newKey
 * @returns {Refusal}
 */
function readError(error, newKey) {
  if (error instanceof NoAnswerError) return { kind: "unanswered" };
  if (!(error instanceof ProblemError)) throw error;
  if (error.code === "idempotency_conflict") return { kind: "conflict", key: newKey() };
  if (error.code === "payment_provider_unavailable") return { kind: "down" };
  if (error.status === 429) return { kind: "limited", waitMs: error.retryAfterMs ?? LIMITED_MS };
  if (error.status !== 422 && error.status !== 413) return { kind: "unanswered" };
  return { kind: "invalid", errors: error.errors, detail: error.message };
}

/**
 * A random UUID (RFC 9562, version 4). Over plain HTTP, browsers offer `crypto.randomUUID` only on localhost.
 */
export function randomUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const view = new DataView(bytes.buffer);
  view.setUint8(6, (view.getUint8(6) & 0x0f) | 0x40); // the version
  view.setUint8(8, (view.getUint8(8) & 0x3f) | 0x80); // the variant
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/**
 * @param {number} ms
 * @returns {Promise<void>}
 */
function wait(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
