/** The board's routes and feed on Express and ws, over a store: `newest()`, `fulfil(event)` and `watch(broadcast)`. */
import { createServer } from "node:http";
import express from "express";
import Stripe from "stripe";
import { WebSocket, WebSocketServer } from "ws";

const PING_MS = 30_000;
const BOARD = {
  title: "paidchat",
  price: { amount: 100, currency: "usd", tiers: [{ amount: 100, pinned_seconds: 0 }] },
  tax_behavior: null,
  max_text_length: 500,
  max_author_length: 50,
  test_mode: true,
};

/** Serve a store on the port in PORT. */
export function serve(store) {
  const server = createServer(routes(store));
  store.watch(feed(server, store));
  server.listen(Number(process.env.PORT), "127.0.0.1", () => console.log("the peer is ready"));
}

function routes(store) {
  const secret = process.env.STRIPE_WEBHOOK_SECRET;
  const stripe = new Stripe("sk_test_of_the_benchmark");
  const app = express();
  app.post("/stripe/webhook", express.raw({ type: "application/json" }), async (request, response) => {
    let event;
    try {
      event = stripe.webhooks.constructEvent(request.body, request.headers["stripe-signature"], secret);
    } catch (error) {
      response.status(400).json({ error: error.message });
      return;
    }
    if (event.type === "checkout.session.completed") await store.fulfil(event);
    response.json({ received: true });
  });
  app.get("/api/messages", async (_request, response) => response.json(await store.newest()));
  app.get("/api/board", (_request, response) => response.json(BOARD));
  app.get("/healthz", (_request, response) => response.json({ status: "ok" }));
  return app;
}

/** Serve the feed; returns the function that sends an entry to every viewer. */
function feed(server, store) {
  const viewers = new WebSocketServer({ server, path: "/api/feed" });
  viewers.on("connection", async (viewer) => {
    viewer.alive = true;
    viewer.on("pong", () => (viewer.alive = true));
    viewer.on("error", console.error);
    viewer.send(JSON.stringify({ type: "snapshot", ...(await store.newest()) }));
  });
  setInterval(() => pingAll(viewers), PING_MS);
  return (entry) => {
    const frame = JSON.stringify(entry);
    for (const viewer of viewers.clients) {
      if (viewer.readyState === WebSocket.OPEN) viewer.send(frame);
    }
  };
}

function pingAll(viewers) {
  for (const viewer of viewers.clients) {
    if (!viewer.alive) {
      viewer.terminate();
    } else {
      viewer.alive = false;
      viewer.ping();
    }
  }
}
