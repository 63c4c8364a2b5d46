/** The flow with a client that @hey-api/openapi-ts generates. */

import { createPayment, getMessage, getPayment } from "./generated/hey-api";
import { client } from "./generated/hey-api/client.gen";
import { board, pay, until } from "./sandbox";

client.setConfig({ baseUrl: board });

async function main(): Promise<void> {
  const text = `By hey-api ${crypto.randomUUID()}`;
  const headers = { "Idempotency-Key": crypto.randomUUID() };
  const { data: payment } = await createPayment({ headers, body: { text }, throwOnError: true });
  await pay(payment.checkout_url);
  const path = { payment_id: payment.id };
  const message_id = await until(async () => (await getPayment({ path, throwOnError: true })).data.message_id);
  const { data: message } = await getMessage({ path: { message_id }, throwOnError: true });
  if (message.text !== text) throw new Error("the message is another one");
  const { error } = await getPayment({ path: { payment_id: "unknown" } });
  if (error?.code !== "not_found") throw new Error("an unknown payment is found");
  console.log(`message ${message.id}: ${message.text}`);
}

void main();
