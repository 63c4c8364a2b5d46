/** The flow with a client that orval generates. */

import { createPayment, getMessage, getPayment } from "./generated/orval/client";
import { pay, until } from "./sandbox";

async function main(): Promise<void> {
  const text = `By orval ${crypto.randomUUID()}`;
  const started = await createPayment({ text }, { headers: { "Idempotency-Key": crypto.randomUUID() } });
  if (started.status !== 201) throw new Error(`no payment: ${started.data.code}`);
  await pay(started.data.checkout_url);
  const messageId = await until(async () => {
    const found = await getPayment(started.data.id);
    return found.status === 200 ? found.data.message_id : null;
  });
  const message = await getMessage(messageId);
  if (message.status !== 200 || message.data.text !== text) throw new Error("the message is another one");
  const unknown = await getPayment("unknown");
  if (unknown.status !== 404 || unknown.data.code !== "not_found") throw new Error("an unknown payment is found");
  console.log(`message ${messageId}: ${message.data.text}`);
}

void main();
