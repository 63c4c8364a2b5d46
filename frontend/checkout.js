/** Starting a checkout: turns a draft into the URL to send the buyer to. Retries use the same payment. */

import { isWebAddress } from "./address.js";
import { NoAnswerError, ProblemError } from "./api.js";
import { abandonIntent, intend } from "./draft.js";
import { isSpent } from "./payment.js";

const IN_PROGRESS_MS = 35_000; // the server gives up an attempt that died after 30 s
const IN_PROGRESS_STEP_MS = 1_000;
const LIMITED_MS = 30_000; // if the server does not say how long

/**
 * Starts the checkout of a draft. If its intent has already ended without a post (expired, failed, refunded), it is
 * replaced by a new one, once.
 *
 * @param {object} options
 * @param {Pick<import("./api.js").Api, "createPayment">} options.api
 * @param {Draft} options.draft
 * @param {(draft: Draft) => void} options.save called **before** an intent is sent, so that a reload keeps its key
 * @param {() => string} [options.newKey]
 * @param {(ms: number) => Promise<void>} [options.sleep]
 * @returns {Promise<Outcome>}
 */
export async function checkOut({ api, draft, save, newKey = randomUuid, sleep = wait }) {
  for (let left = 2; left > 0; left -= 1) {
    const intended = intend(draft, newKey);
    save(intended);
    const outcome = await tryIntent(api, intended.intent, sleep);
    if (outcome !== "spent") return outcome;
    draft = abandonIntent(intended, intended.intent);
  }
  return { kind: "unanswered" };
}

/**
 * @param {Pick<import("./api.js").Api, "createPayment">} api
 * @param {Intent} intent
 * @param {(ms: number) => Promise<void>} sleep
 */
async function tryIntent(api, intent, sleep) {
  for (let waited = 0; ; ) {
    try {
      return readPayment(await api.createPayment(intent, intent.key));
    } catch (error) {
      const inProgress = error instanceof ProblemError && error.code === "idempotency_in_progress";
      if (!inProgress || waited >= IN_PROGRESS_MS) return readError(error);
      const pause = Math.max(error.retryAfterMs ?? 0, IN_PROGRESS_STEP_MS);
      await sleep(pause);
      waited += pause;
    }
  }
}

/**
 * @param {Payment} payment
 * @returns {Outcome | "spent"}
 */
function readPayment(payment) {
  if (isSpent(payment.status)) return "spent";
  if (payment.status !== "pending") return { kind: "known", payment };
  const url = payment.checkout_url;
  return url && isWebAddress(url) ? { kind: "go", url, payment } : { kind: "down" };
}

/**
 * @param {unknown} error
 * @returns {Outcome | "spent"}
 */
function readError(error) {
  if (error instanceof NoAnswerError) return { kind: "unanswered" };
  if (!(error instanceof ProblemError)) throw error;
  if (error.code === "idempotency_conflict") return "spent"; // the key was used with other content
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
