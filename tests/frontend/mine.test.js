import assert from "node:assert/strict";
import test from "node:test";

import { isMine, mineFrom, remember } from "../../frontend/mine.js";
import { message } from "./samples.js";

test("a remembered message is mine, and others are not", () => {
  const mine = remember([], message(5));
  assert.ok(isMine(mine, message(5)));
  assert.ok(!isMine(mine, message(6)));
});

test("after a backup was restored, another's message with the same id is not mine", () => {
  const mine = remember([], message(5));
  assert.ok(!isMine(mine, message(5, { posted_at: "2027-01-01T00:00:00Z" })));
});

test("a message is remembered once, and the oldest are forgotten beyond 500", () => {
  let mine = remember(remember([], message(1)), message(1));
  assert.equal(mine.length, 1);
  for (let id = 2; id <= 501; id += 1) mine = remember(mine, message(id));
  assert.equal(mine.length, 500);
  assert.ok(!isMine(mine, message(1)) && isMine(mine, message(501)));
});

test("rubbish in the store is left out", () => {
  const own = { id: 1, posted_at: "2026-01-01T00:00:00Z" };
  assert.deepEqual(mineFrom([own, null, 5, {}, { id: "1", posted_at: "x" }]), [own]);
  assert.deepEqual(mineFrom({ 0: own }), []);
});
