/** The board on Express, ws and better-sqlite3, as their users would write it; its database is the file in DATABASE. */
import Database from "better-sqlite3";
import { serve } from "./web.mjs";

const database = new Database(process.env.DATABASE);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");
database.pragma("foreign_keys = ON");

const newestRows = database.prepare(
  `SELECT id, text, author, amount, currency, posted_at, pinned_until FROM message WHERE hidden = 0 ORDER BY id DESC LIMIT 51`,
);
const head = database.prepare(`SELECT epoch, seq FROM board`);
const insertEvent = database.prepare(
  `INSERT INTO stripe_event (id, type, payment_id, session_id, verdict, received_at)
   VALUES (?, ?, ?, ?, 'applied', ?) ON CONFLICT DO NOTHING`,
);
const movePayment = database.prepare(
  `UPDATE payment SET status = 'fulfilled', paid = 1, payment_intent = ?
   WHERE id = ? AND status = 'pending' RETURNING text, author, amount, currency`,
);
const nextSeq = database.prepare(`UPDATE board SET seq = seq + 1 RETURNING seq`).pluck();
const insertMessage = database.prepare(
  `INSERT INTO message (id, payment_id, text, author, amount, currency, posted_at, moderated, hidden)
   VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0)`,
);
const insertEntry = database.prepare(`INSERT INTO log_entry (seq, kind, message_id, at) VALUES (?, 'posted', ?, ?)`);

/** Post a paid message in one transaction; returns its entry, or null if there is nothing to post. */
const post = database.transaction((event) => {
  const session = event.data.object;
  const payment = session.metadata.paidchat_payment;
  const at = new Date().toISOString();
  if (insertEvent.run(event.id, event.type, payment, session.id, at).changes === 0) return null;
  const paid = movePayment.get(session.payment_intent, payment);
  if (!paid) return null;
  const seq = nextSeq.get();
  insertMessage.run(seq, payment, paid.text, paid.author, paid.amount, paid.currency, at);
  insertEntry.run(seq, seq, at);
  return { type: "message.posted", seq, message: { id: seq, ...paid, posted_at: at, pinned_until: null } };
});

let broadcast;

serve({
  newest() {
    const rows = newestRows.all();
    return { messages: rows.slice(0, 50).reverse(), ...head.get(), has_more: rows.length > 50 };
  },
  fulfil(event) {
    const entry = post.immediate(event);
    if (entry) broadcast(entry);
  },
  watch(send) {
    broadcast = send;
  },
});
