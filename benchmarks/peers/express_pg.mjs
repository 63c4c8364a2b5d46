/** The board on Express, ws and pg, as their users would write it; its database is the one in DATABASE. */
import pg from "pg";
import { serve } from "./web.mjs";

const pool = new pg.Pool({ connectionString: process.env.DATABASE, max: 10 });

/** Post a paid message; returns its entry, or null if there is nothing to post. */
async function post(client, event) {
  const session = event.data.object;
  const payment = session.metadata.paidchat_payment;
  const seen = await client.query(
    `INSERT INTO stripe_event (id, type, payment_id, session_id, verdict, received_at)
     VALUES ($1, $2, $3, $4, 'applied', now()) ON CONFLICT DO NOTHING`,
    [event.id, event.type, payment, session.id],
  );
  if (seen.rowCount === 0) return null;
  const moved = await client.query(
    `UPDATE payment SET status = 'fulfilled', paid = true, payment_intent = $1
     WHERE id = $2 AND status = 'pending' RETURNING text, author, amount, currency`,
    [session.payment_intent, payment],
  );
  if (moved.rowCount === 0) return null;
  const paid = moved.rows[0];
  const counted = await client.query(`UPDATE board SET seq = seq + 1 RETURNING seq`);
  const { seq } = counted.rows[0];
  const inserted = await client.query(
    `INSERT INTO message (id, payment_id, text, author, amount, currency, posted_at, moderated, hidden)
     VALUES ($1, $2, $3, $4, $5, $6, now(), false, false) RETURNING posted_at, pinned_until`,
    [seq, payment, paid.text, paid.author, paid.amount, paid.currency],
  );
  await client.query(`INSERT INTO log_entry (seq, kind, message_id, at) VALUES ($1, 'posted', $1, now())`, [seq]);
  return { type: "message.posted", seq, message: { id: seq, ...paid, ...inserted.rows[0] } };
}

serve({
  async newest() {
    const page = await pool.query(
      `SELECT id, text, author, amount, currency, posted_at, pinned_until FROM message WHERE NOT hidden ORDER BY id DESC LIMIT 51`,
    );
    const board = await pool.query(`SELECT epoch, seq FROM board`);
    return { messages: page.rows.slice(0, 50).reverse(), ...board.rows[0], has_more: page.rows.length > 50 };
  },
  async fulfil(event) {
    const client = await pool.connect();
    try {
      await client.query("BEGIN");
      const entry = await post(client, event);
      if (entry) await client.query(`SELECT pg_notify('entries', $1)`, [JSON.stringify(entry)]);
      await client.query("COMMIT");
    } catch (error) {
      await client.query("ROLLBACK");
      throw error;
    } finally {
      client.release();
    }
  },
  async watch(broadcast) {
    const listener = new pg.Client({ connectionString: process.env.DATABASE });
    await listener.connect();
    listener.on("notification", ({ payload }) => broadcast(JSON.parse(payload)));
    await listener.query("LISTEN entries");
  },
});
