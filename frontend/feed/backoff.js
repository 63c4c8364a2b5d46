/** Backoff: how long to wait before the next attempt, exponential with jitter so that clients don't retry in step. */

/**
 * @param {number} attempt 0 is the first retry
 * @param {{ baseMs: number, capMs: number, random?: () => number }} options
 * @returns {number} milliseconds, between half and one and a half of min(capMs, baseMs · 2^attempt)
 */
export function backoff(attempt, { baseMs, capMs, random = Math.random }) {
  return Math.round(Math.min(capMs, baseMs * 2 ** attempt) * (0.5 + random()));
}
