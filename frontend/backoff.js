/** Backoff: how long to wait before trying again, growing and jittered so that a crowd spreads out. */

/**
 * @param {number} attempt 0 is the first retry
 * @param {{ baseMs: number, capMs: number, random?: () => number }} options
 * @returns {number} milliseconds, between half and one and a half of min(capMs, baseMs · 2^attempt)
 */
export function backoff(attempt, { baseMs, capMs, random = Math.random }) {
  return Math.round(Math.min(capMs, baseMs * 2 ** attempt) * (0.5 + random()));
}
