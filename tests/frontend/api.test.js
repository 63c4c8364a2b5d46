import assert from "node:assert/strict";
import test from "node:test";

import { Api, NoAnswerError, ProblemError } from "../../frontend/feed/api.js";
import { page, payment } from "./samples.js";
import { BoardServer } from "./server.js";

const server = await BoardServer.start();
const api = new Api(`http://${server.host}`);
test.after(() => server.stop());

const lastRequest = () => server.requests.at(-1);

test("a payment is created with its key, and with name and amount only if there are any", async () => {
  server.answer = () => ({ status: 201, body: payment() });
  assert.deepEqual(await api.createPayment({ text: "hi", author: null, amount: null }, "key-0123456789abcdef"), payment());
  assert.equal(lastRequest()?.method, "POST");
  assert.equal(lastRequest()?.url, "/api/payments");
  assert.equal(lastRequest()?.headers["idempotency-key"], "key-0123456789abcdef");
  assert.deepEqual(lastRequest()?.body, { text: "hi" });
  await api.createPayment({ text: "hi", author: "Ada", amount: 500 }, "key-0123456789abcdef");
  assert.deepEqual(lastRequest()?.body, { text: "hi", author: "Ada", amount: 500 });
});

test("pages are requested by cursor and limit, payments by an id that can't change the path", async () => {
  server.answer = () => ({ body: page([1]) });
  assert.deepEqual(await api.messages({ before: 9 }, 50), page([1]));
  assert.equal(lastRequest()?.url, "/api/messages?limit=50&before=9");
  await api.messages({ after: 3 }, 25);
  assert.equal(lastRequest()?.url, "/api/messages?limit=25&after=3");
  await api.payment("../admin?x#y");
  assert.equal(lastRequest()?.url, "/api/payments/..%2Fadmin%3Fx%23y");
});

test("a problem keeps its code, its field errors and Retry-After", async () => {
  const errors = [{ field: "text", message: "too long" }];
  server.answer = () => ({
    status: 422,
    headers: { "Retry-After": "7" },
    body: { code: "invalid_request", title: "No", detail: "Not like this.", errors },
  });
  await assert.rejects(api.board(), (error) => {
    assert.ok(error instanceof ProblemError);
    assert.equal(error.status, 422);
    assert.equal(error.code, "invalid_request");
    assert.equal(error.message, "Not like this.");
    assert.deepEqual(error.errors, errors);
    assert.equal(error.retryAfterMs, 7_000);
    return true;
  });
});

test("Retry-After may be a date, and may be missing", async () => {
  const date = new Date(Date.now() + 60_000).toUTCString();
  for (const [value, least, most] of /** @type {const} */ ([[date, 50_000, 60_000], ["soon", null, null]])) {
    server.answer = () => ({ status: 429, headers: { "Retry-After": value }, body: { code: "rate_limited" } });
    await assert.rejects(api.board(), (error) => {
      assert.ok(error instanceof ProblemError);
      if (least === null) assert.equal(error.retryAfterMs, null);
      else assert.ok(error.retryAfterMs !== null && error.retryAfterMs > least && error.retryAfterMs <= most);
      return true;
    });
  }
});

test("an error page that is not a problem document is still an error with its status", async () => {
  server.answer = () => ({ status: 502, headers: { "Content-Type": "text/html" }, body: "<h1>Bad gateway</h1>" });
  await assert.rejects(api.board(), (error) => {
    assert.ok(error instanceof ProblemError);
    assert.equal(error.status, 502);
    assert.equal(error.code, "unknown");
    return true;
  });
});

test("no response, and an unreadable one, are different from a refusal", async () => {
  server.answer = () => null;
  await assert.rejects(api.board(), NoAnswerError);
  server.answer = () => ({ body: "<h1>Welcome to the hotel's network</h1>" });
  await assert.rejects(api.board(), NoAnswerError);
});
