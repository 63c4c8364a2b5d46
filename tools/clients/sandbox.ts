/** Shared by the clients: paying in the sandbox, and waiting. */

import { setTimeout as sleep } from "node:timers/promises";

export const board = process.argv[2] ?? "http://localhost:8000";

/** Pays in the sandbox, as a person would at `checkout_url`. */
export async function pay(checkoutUrl: string | null): Promise<void> {
  const session = checkoutUrl?.split("/").at(-1);
  const answer = await fetch(`${board}/sandbox/test/sessions/${session}/pay`, { method: "POST" });
  if (!answer.ok) throw new Error(`the sandbox answered ${answer.status}`);
}

/** Calls `look` until it returns something. */
export async function until<Found>(look: () => Promise<Found | null | undefined>): Promise<Found> {
  for (let tries = 0; tries < 100; tries += 1) {
    const found = await look();
    if (found !== null && found !== undefined) return found;
    await sleep(100);
  }
  throw new Error("the payment was not fulfilled");
}
