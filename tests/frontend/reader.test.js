import assert from "node:assert/strict";
import test from "node:test";

import { Api, NoAnswerError } from "../../frontend/feed/api.js";
import { emptyBoard, rows } from "../../frontend/reading/board.js";
import { History } from "../../frontend/reading/reader.js";
import { message, page } from "./samples.js";
import { BoardServer } from "./server.js";


const NEWEST = 200;
const server = await BoardServer.start();
test.after(() => server.stop());

/** A board of 200 messages, read over HTTP. */
function opened() {
  server.requests = [];
  server.answer = ({ url }) => ({ body: read(new URL(url, "http://board").searchParams) });
  /** @type {Board} */
  let board = emptyBoard();
  const history = new History(new Api(`http://${server.host}`), {
    read: () => board,
    write: (next) => (board = next),
  });
  const ids = () => board.messages.map(({ id }) => id);
  const gaps = () => rows(board).flatMap((row) => (row.kind === "gap" ? [row.gap] : []));
  return { history, ids, gaps };
}

/** @param {URLSearchParams} query */
function read(query) {
  const limit = Number(query.get("limit"));
  const before = Number(query.get("before") ?? NEWEST + 1);
  const after = query.get("after");
  const all = Array.from({ length: NEWEST }, (_, index) => index + 1);
  const inReach = all.filter((id) => id < before && id > Number(after ?? 0));
  const ids = after === null ? inReach.slice(-limit) : inReach.slice(0, limit);
  return page(ids, { seq: NEWEST, has_more: inReach.length > ids.length });
}

/**
 * @param {number} from
 * @param {number} to
 */
const span = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

test("it reads back page by page to the first message", async () => {
  const { history, ids } = opened();
  await history.newest();
  assert.deepEqual(ids(), span(151, 200));
  for (let reads = 0; reads < 3; reads += 1) await history.older();
  assert.deepEqual(ids(), span(1, 200));
});

test("around an old message it reads both sides, and then closes the gap to the newest", async () => {
  const { history, ids, gaps } = opened();
  await history.newest();
  await history.around(60);
  assert.deepEqual(ids(), [...span(36, 85), ...span(151, 200)]);
  for (let gap = gaps()[0]; gap; gap = gaps()[0]) await history.within(gap);
  assert.deepEqual(ids(), span(36, 200));
});

test("concurrent requests for the same page are shared", async () => {
  const { history, ids } = opened();
  await history.newest();
  const reads = [history.older(), history.older(), history.older()];
  assert.ok(history.busy);
  await Promise.all(reads);
  assert.ok(!history.busy);
  assert.equal(server.requests.length, 2);
  assert.deepEqual(ids(), span(101, 200));
});

test("a failed page leaves the board unchanged, and can be read again", async () => {
  const { history, ids } = opened();
  await history.newest();
  const working = server.answer;
  server.answer = () => null;
  await assert.rejects(history.older(), NoAnswerError);
  assert.ok(!history.busy);
  assert.deepEqual(ids(), span(151, 200));
  server.answer = working;
  await history.older();
  assert.deepEqual(ids()[0], message(101).id);
});
