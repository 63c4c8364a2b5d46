/** The board's reads on fastify, from memory: serialised by a schema, and on /bytes as ready bytes. */
import { DatabaseSync } from "node:sqlite";
import fastify from "fastify";

const database = new DatabaseSync(process.env.DATABASE);
const rows = database
  .prepare(
    `SELECT id, text, author, amount, currency, posted_at, pinned_until FROM message WHERE hidden = 0 ORDER BY id DESC LIMIT 50`,
  )
  .all()
  .reverse();
const page = { messages: rows, ...database.prepare(`SELECT epoch, seq FROM board`).get(), has_more: true };
const bytes = Buffer.from(JSON.stringify(page));
const board = {
  title: "paidchat",
  price: { amount: 100, currency: "usd", tiers: [{ amount: 100, pinned_seconds: 0 }] },
  tax_behavior: null,
  max_text_length: 500,
  max_author_length: 50,
  test_mode: true,
};

const integer = { type: "integer" };
const string = { type: "string" };
const optional = { type: "string", nullable: true };

const answer = (properties) => ({ schema: { response: { 200: { type: "object", properties } } } });
const message = {
  id: integer,
  text: string,
  author: optional,
  amount: integer,
  currency: string,
  posted_at: string,
  pinned_until: optional,
};
const messages = { type: "array", items: { type: "object", properties: message } };
const tier = { type: "object", properties: { amount: integer, pinned_seconds: integer } };
const tiers = { type: "array", items: tier };
const price = { type: "object", properties: { amount: integer, currency: string, tiers } };

const app = fastify();
app.get(
  "/api/messages",
  answer({ messages, seq: integer, epoch: string, has_more: { type: "boolean" } }),
  async () => page,
);
app.get(
  "/api/board",
  answer({
    title: string,
    price,
    tax_behavior: optional,
    max_text_length: integer,
    max_author_length: integer,
    test_mode: { type: "boolean" },
  }),
  async () => board,
);
app.get("/healthz", answer({ status: string }), async () => ({ status: "ok" }));
app.get("/bytes", (_request, reply) => reply.type("application/json").send(bytes));
await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
console.log("the peer is ready");
