import assert from "node:assert/strict";
import test from "node:test";

import { message, payment } from "./samples.js";
import { BoardServer, until } from "./server.js";
import { Device } from "./tab.js";

/** @import { Answer, Request } from "./server.js" */

const BACK = /** @type {const} */ ({ id: "pay-1", stage: "returned" });
const POSTED = payment({ status: "fulfilled", message_id: 7, checkout_url: null });

/**
 * A device, and a server that answers questions about payments like this; it has message 7.
 *
 * @param {import("node:test").TestContext} context
 * @param {(count: number, request: Request) => Answer} answer to the question with this number
 */
async function started(context, answer) {
  const server = await BoardServer.start();
  let asked = 0;
  server.answer = (request) => {
    if (request.url === "/api/messages/7") return { body: message(7) };
    return answer((asked += 1), request);
  };
  context.after(() => server.stop());
  return { server, device: new Device(), host: server.host, asked: () => asked };
}

const pending = () => ({ body: payment() });
const thenPosted = (/** @type {number} */ _, /** @type {Request} */ { method }) => ({
  body: method === "POST" ? payment() : POSTED,
});

test("a payment that the buyer comes back from is watched and requested at once", async (context) => {
  const { server, device, host } = await started(context, () => ({ body: POSTED }));
  const tab = device.open(host, { back: BACK });
  assert.deepEqual(tab.feed.ids, ["pay-1"]);
  assert.equal(server.requests.length, 0);
  await until(() => tab.status === "fulfilled");
  assert.equal(server.requests[0]?.url, "/api/payments/pay-1");
});

test("it is polled until its end is known, through errors too", async (context) => {
  const answers = [null, { status: 500, body: {} }, { body: POSTED }];
  const { device, host, asked } = await started(context, (count) => answers[count - 1] ?? null);
  const tab = device.open(host, { back: BACK });
  await until(() => tab.status === "fulfilled", 20_000);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  assert.equal(asked(), 3);
});

test("updates from the feed are applied, for this payment only", async (context) => {
  const { device, host, asked } = await started(context, pending);
  const tab = device.open(host, { back: BACK });
  await until(() => asked() === 1);
  tab.hear(payment({ id: "pay-2", status: "failed" }));
  assert.equal(tab.status, "pending");
  tab.hear(payment({ status: "failed" }));
  assert.equal(tab.status, "failed");
});

test("a payment that the server does not know is missing, until it does", async (context) => {
  const { device, host } = await started(context, () => ({ status: 404, body: { code: "not_found" } }));
  const tab = device.open(host, { back: BACK });
  await until(() => tab.status === "unknown");
  assert.deepEqual(tab.claims.payments(), []);
  tab.hear(payment());
  assert.equal(tab.status, "pending");
});

test("a remembered payment that the feed does not know (unpaid ones are deleted) is forgotten", async (context) => {
  const { device, host } = await started(context, thenPosted);
  const closed = device.open(host);
  closed.type("hello");
  closed.buyer.submit();
  await until(() => closed.left);
  const tab = device.open(host);
  assert.equal(tab.claims.payments().length, 1);
  tab.buyer.hear({ type: "error", code: "not_found", detail: "", payment_id: "pay-1" });
  assert.deepEqual([tab.claims.payments(), tab.feed.ids, tab.card], [[], [], null]);
});

test("waking polls at once while there is something to wait for, and not after that", async (context) => {
  const { device, host, asked } = await started(context, pending);
  device.open(host).buyer.tell({ type: "woke" });
  const tab = device.open(host, { back: BACK });
  await until(() => asked() === 1);
  tab.buyer.tell({ type: "woke" });
  await until(() => asked() === 2, 1_000);
  tab.hear(payment({ status: "failed" }));
  tab.buyer.tell({ type: "woke" });
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(asked(), 2);
});

test("a posted message is highlighted, marked as one's own on the device, and its text leaves the form", async (context) => {
  const { device, host } = await started(context, thenPosted);
  const before = device.open(host);
  before.type("hello");
  before.buyer.submit();
  await until(() => before.left);
  assert.deepEqual([before.left, ...before.holds], ["https://checkout.example/c/1", "sending"]);
  const tab = device.open(host, { back: BACK, store: before.store });
  assert.deepEqual([tab.form.text, tab.pending], ["", "hello"], "it is on its way, and does not look unsent");
  await until(() => tab.claims.isMine(message(7)));
  assert.deepEqual(tab.highlighted, [7]);
  assert.deepEqual([tab.form.text, tab.pending], ["", null]);
  assert.deepEqual(tab.claims.payments(), []);
  assert.equal(device.open(host, { store: tab.store }).status, null);
});

test("a tab closed at checkout is not missed: the next one marks the message, without going there", async (context) => {
  const { device, host } = await started(context, thenPosted);
  const closed = device.open(host);
  closed.type("hello");
  closed.buyer.submit();
  await until(() => closed.left);
  const tab = device.open(host);
  assert.deepEqual(tab.feed.ids, ["pay-1"]);
  tab.hear(POSTED);
  await until(() => tab.claims.isMine(message(7)));
  assert.equal(tab.status, "fulfilled");
  assert.deepEqual(tab.highlighted, []);
  assert.deepEqual(device.open(host).feed.ids, []);
});

test("a bank debit whose card was dismissed does not look unsent, and its message is still marked", async (context) => {
  const debit = payment({ status: "processing", checkout_url: null });
  const { device, host } = await started(context, () => ({ body: debit }));
  const first = device.open(host, { back: BACK });
  first.type("hello");
  await until(() => first.status === "processing");
  assert.deepEqual([first.form.text, first.holds.size], ["", 0]);
  first.type("hello");
  assert.ok(first.holds.has("held"), "nobody pays twice for the same text");
  first.buyer.tell({ type: "acted", action: "dismiss" });
  assert.deepEqual([first.status, first.form.text, first.holds.size], [null, "", 0]);

  const days = device.open(host); // later, in another tab
  await until(() => days.holds.size === 0);
  days.hear(debit);
  assert.equal(days.status, null);
  days.hear(POSTED);
  await until(() => days.claims.isMine(message(7)));
  assert.equal(days.status, "fulfilled");
});

test("if the message can't be read at that moment, its payment stays remembered until it can", async (context) => {
  const { server, device, host } = await started(context, thenPosted);
  const closed = device.open(host);
  closed.type("hello");
  closed.buyer.submit();
  await until(() => closed.left);
  const answer = server.answer;
  server.answer = () => null;
  server.requests = [];
  const tab = device.open(host);
  tab.hear(POSTED);
  await until(() => server.requests.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(tab.claims.payments().length, 1);
  server.answer = answer;
  tab.hear(POSTED);
  await until(() => tab.claims.isMine(message(7)));
  assert.deepEqual(tab.claims.payments(), []);
});

test("a payment begun in another tab is marked by this one too, and its card stays there", async (context) => {
  const { device, host } = await started(context, thenPosted);
  const [left, right] = [device.open(host), device.open(host)];
  right.type("something else");
  left.type("hello");
  left.buyer.submit();
  await until(() => left.left);
  right.buyer.share();
  assert.deepEqual(right.feed.ids, ["pay-1"]);
  right.hear(POSTED);
  await until(() => right.claims.isMine(message(7)));
  assert.deepEqual([right.status, right.form.text, right.highlighted], [null, "something else", []]);
});

test("the card says when a moderator takes the message down, and when it is back", async (context) => {
  const { device, host } = await started(context, () => ({ body: POSTED }));
  const tab = device.open(host, { back: BACK });
  await until(() => tab.claims.isMine(message(7)));
  const titles = [tab.card?.title];
  for (const reason of ["refunded", "moderated"]) {
    tab.buyer.hear({ type: "message.removed", seq: 8, message_id: 7, reason });
    titles.push(tab.card?.title);
  }
  tab.buyer.hear({ type: "message.restored", seq: 9, message: message(7) });
  titles.push(tab.card?.title);
  const posted = "Your message is on the board";
  assert.deepEqual(titles, [posted, posted, "Your message was taken off the board", posted]);
});

test("if the browser refuses to store anything, a payment is followed all the same", async (context) => {
  const { host } = await started(context, thenPosted);
  const device = new Device(null);
  const before = device.open(host);
  before.type("hello");
  before.buyer.submit();
  await until(() => before.left);
  const tab = device.open(host, { back: BACK });
  await until(() => tab.claims.isMine(message(7)));
  assert.deepEqual([tab.status, tab.highlighted, tab.holds.size], ["fulfilled", [7], 0]);
});

test("if the page itself fails, it says so, and gives the button back", async (context) => {
  const { device, host } = await started(context, pending);
  const tab = device.open(host);
  tab.type("hello");
  context.mock.method(console, "error", () => {});
  context.mock.method(crypto, "getRandomValues", () => {
    throw new Error("no randomness today");
  });
  tab.buyer.submit();
  assert.match(tab.notice, /ran into an error/);
  assert.equal(tab.holds.size, 0);
});
