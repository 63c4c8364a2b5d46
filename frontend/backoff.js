/** Backoff: how long to wait before trying again, growing and jittered so that a crowd spreads out. */

/**
 * The delay before attempt number `attempt` (0 is the first retry).
 *
 * Half of the doubling delay is fixed and half to one and a half of it is drawn, so no two pages march in step.
 *
 * @param {number} attempt how many attempts have failed before this one
 * @param {{ baseMs: number, capMs: number, random?: () => number }} options `random` draws from [0, 1)
 * @returns {number} milliseconds in [½·d, 1½·d] with d = min(capMs, baseMs · 2^attempt)
 */
export function backoff(attempt, { baseMs, capMs, random = Math.random }) {
  const step = Math.min(capMs, baseMs * 2 ** attempt);
  return Math.round(step * (0.5 + random()));
}
