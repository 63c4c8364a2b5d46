/**
 * The flow with a client that openapi-typescript generates: pay for a message and read it back.
 *
 *     node build/loop.js http://localhost:8000
 */

import createClient from "openapi-fetch";
import { setTimeout as sleep } from "node:timers/promises";
import type { components, paths } from "./generated/schema";

type Payment = components["schemas"]["Payment"];

const board = process.argv[2] ?? "http://localhost:8000";
const client = createClient<paths>({ baseUrl: board });

async function startPayment(text: string): Promise<Payment> {
  const params = { header: { "Idempotency-Key": crypto.randomUUID() } };
  const { data, error } = await client.POST("/api/payments", { params, body: { text } });
  if (!data) throw new Error(`no payment: ${error.code}`);
  return data;
}

/** Pays in the sandbox, as a person would at `checkout_url`. */
async function pay(payment: Payment): Promise<void> {
  const session = payment.checkout_url?.split("/").at(-1);
  const answer = await fetch(`${board}/sandbox/test/sessions/${session}/pay`, { method: "POST" });
  if (!answer.ok) throw new Error(`the sandbox answered ${answer.status}`);
}

async function messageOf(payment: Payment): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const { data } = await client.GET("/api/payments/{payment_id}", { params: { path: { payment_id: payment.id } } });
    if (data?.status === "fulfilled" && data.message_id !== null) return data.message_id;
    await sleep(100);
  }
  throw new Error("the payment was not fulfilled");
}

async function main(): Promise<void> {
  const text = `By openapi-typescript ${crypto.randomUUID()}`;
  const payment = await startPayment(text);
  await pay(payment);
  const path = { message_id: await messageOf(payment) };
  const { data: message } = await client.GET("/api/messages/{message_id}", { params: { path } });
  if (message?.text !== text) throw new Error("the message is another one");
  const { error } = await client.GET("/api/payments/{payment_id}", { params: { path: { payment_id: "unknown" } } });
  if (error?.code !== "not_found") throw new Error("an unknown payment is found");
  console.log(`message ${message.id}: ${message.text}`);
}

void main();
