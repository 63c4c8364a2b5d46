// The whole loop with Node's own fetch and WebSocket: node loop.mjs BOARD TEXT prints the id of the message posted.
const [board, text] = process.argv.slice(2);

function expect(condition, what) {
  if (!condition) throw new Error(what);
}

async function call(path, status, options = {}) {
  const answer = await fetch(board + path, options);
  expect(answer.status === status, `${path}: ${answer.status}`);
  return answer;
}

const socket = new WebSocket(`${board.replace("http", "ws")}/api/feed`);
const frames = [];
let wake = () => {};
socket.addEventListener("message", (event) => {
  frames.push(JSON.parse(event.data));
  wake();
});
socket.addEventListener("error", () => process.exit(1));

async function frame(type, suits = () => true) {
  for (;;) {
    const found = frames.find((one) => one.type === type && suits(one));
    if (found) return found;
    await new Promise((resolve) => (wake = resolve));
  }
}

await frame("snapshot");
const headers = { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() };
const body = JSON.stringify({ text });
const payment = await (await call("/api/payments", 201, { method: "POST", headers, body })).json();
socket.send(JSON.stringify({ type: "watch", payment_id: payment.id }));
await frame("payment.updated", (one) => one.payment.status === "pending");
await call(`/sandbox/test/sessions/${payment.checkout_url.split("/").at(-1)}/pay`, 200, { method: "POST" });
const posted = await frame("message.posted", (one) => one.message.text === text);
await frame("payment.updated", (one) => one.payment.status === "fulfilled" && one.payment.message_id === posted.seq);
socket.close();

const paid = await (await call(`/api/payments/${payment.id}`, 200)).json();
expect(paid.message_id === posted.message.id, "another message");
const head = await call(`/api/messages/${paid.message_id}`, 200, { method: "HEAD" });
expect((await head.text()) === "", "a body");
const page = await call("/api/messages", 200);
expect((await page.json()).messages.some((message) => message.id === paid.message_id), "not on the board");
await call("/api/messages", 304, { headers: { "If-None-Match": page.headers.get("ETag") } });
console.log(paid.message_id);
