/** The way to checkout: from a draft to the address to send the buyer to, with one payment however often it is tried. */

import { isWebAddress } from "./address.js";
import { NoAnswerError, ProblemError } from "./api.js";
import { abandonIntent, intend } from "./draft.js";
import { isSpent } from "./payment.js";

/** @import { FieldError, Payment } from "./types" */
/** @import { Api } from "./api.js" */
/** @import { Draft, Intent } from "./draft.js" */

/**
 * What came of it.
 *
 * - `go`: send the buyer to `url`
 * - `known`: this very intent has been paid, or its money is under way; nobody may pay twice
 * - `invalid`: the server refused a field
 * - `limited`: too many payments from here; try again in `waitMs`
 * - `down`: Stripe can't be reached; the same intent can be tried again
 * - `unanswered`: the server can't be reached, or broke; the same intent can be tried again
 *
 * @typedef {{ kind: "go", url: string, payment: Payment }
 *   | { kind: "known", payment: Payment }
 *   | { kind: "invalid", errors: FieldError[], detail: string }
 *   | { kind: "limited", waitMs: number }
 *   | { kind: "down" }
 *   | { kind: "unanswered" }} Outcome
 */

const IN_PROGRESS_MS = 35_000; // the server lets go of an attempt that died after 30 s
const IN_PROGRESS_STEP_MS = 1_000;
const LIMITED_MS = 30_000; // when the server does not say for how long

/**
 * Asks for the checkout of a draft. An intent that has come to an end unpaid (expired, refused, refunded) is followed by
 * one new one.
 *
 * @param {object} options
 * @param {Pick<Api, "createPayment">} options.api
 * @param {Draft} options.draft
 * @param {(draft: Draft) => void} options.save called with the intent **before** it is sent, so that no reload loses its key
 * @param {() => string} [options.newKey]
 * @param {(ms: number) => Promise<void>} [options.sleep]
 * @returns {Promise<Outcome>}
 */
export async function checkOut({ api, draft, save, newKey = () => crypto.randomUUID(), sleep = wait }) {
  const first = intend(draft, newKey);
  save(first);
  const outcome = await tryIntent(api, first.intent, sleep);
  if (outcome !== "spent") return outcome;
  const second = intend(abandonIntent(first, first.intent), newKey);
  save(second);
  const last = await tryIntent(api, second.intent, sleep);
  return last === "spent" ? { kind: "unanswered" } : last;
}

/**
 * @param {Pick<Api, "createPayment">} api
 * @param {Intent} intent
 * @param {(ms: number) => Promise<void>} sleep
 * @returns {Promise<Outcome | "spent">}
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
  if (error.code === "idempotency_conflict") return "spent"; // the key went with other words: this is a new intent
  if (error.code === "payment_provider_unavailable") return { kind: "down" };
  if (error.status === 429) return { kind: "limited", waitMs: error.retryAfterMs ?? LIMITED_MS };
  if (error.status === 422 || error.status === 413) {
    return { kind: "invalid", errors: error.errors, detail: error.message };
  }
  return { kind: "unanswered" };
}

/** @param {number} ms */
function wait(ms) {
  return /** @type {Promise<void>} */ (new Promise((resolve) => setTimeout(resolve, ms)));
}
