import assert from "node:assert/strict";
import test from "node:test";

import { backoff } from "../../frontend/feed/backoff.js";

const OPTIONS = { baseMs: 1_000, capMs: 30_000 };

test("the delay doubles from one attempt to the next until the cap", () => {
  const delays = [0, 1, 2, 3, 4, 5, 6, 60].map((attempt) => backoff(attempt, { ...OPTIONS, random: () => 0.5 }));
  assert.deepEqual(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

test("the jitter spreads a delay between half and one and a half of its step", () => {
  assert.equal(backoff(3, { ...OPTIONS, random: () => 0 }), 4_000);
  assert.equal(backoff(3, { ...OPTIONS, random: () => 1 }), 12_000);
  const drawn = Array.from({ length: 1_000 }, () => backoff(3, OPTIONS));
  assert.ok(Math.min(...drawn) >= 4_000 && Math.max(...drawn) <= 12_000);
  assert.ok(new Set(drawn).size > 500, "a crowd must not march in step");
});
