"""The ledger: the sandbox's own record of sessions and deliveries, to check an application against."""

import json

from paidchat.sandbox.shapes import Json
from paidchat.sandbox.store import Store

_HELD = ("needs_response", "under_review", "lost")

_SESSIONS = """
SELECT
    session.id AS id,
    json_extract(session.body, '$.client_reference_id') AS client_reference_id,
    json_extract(session.body, '$.metadata') AS metadata,
    json_extract(session.body, '$.payment_intent') AS payment_intent,
    json_extract(session.body, '$.status') AS status,
    json_extract(session.body, '$.payment_status') AS payment_status,
    json_extract(session.body, '$.amount_total') AS amount_total,
    json_extract(session.body, '$.currency') AS currency,
    coalesce((
        SELECT max(json_extract(charge.body, '$.amount_refunded')) FROM objects AS charge
        WHERE charge.session = session.id AND charge.kind = 'charge'
    ), 0) AS amount_refunded,
    (
        SELECT json_extract(dispute.body, '$.status') FROM objects AS dispute
        WHERE dispute.session = session.id AND dispute.kind = 'dispute' ORDER BY dispute.seq DESC LIMIT 1
    ) AS dispute_status
FROM objects AS session
WHERE session.kind = 'checkout.session' AND json_extract(session.private, '$.foreign') IS NOT 1
ORDER BY session.seq
"""

_DELIVERIES = "SELECT event, type, session, attempt, status, note, at FROM attempts ORDER BY seq"


def ledger(store: Store) -> Json:
    """Return every session of the application and every attempt to deliver an event, oldest first.

    It reads everything that is stored, so call it in a thread of its own.

    `disputed` is whether a dispute, open or lost, holds the money; inquiries and won disputes do not.
    Sessions of other applications on the account are left out, but deliveries about them are included.
    """
    with store.reading() as db:
        db.execute("BEGIN")  # so that both queries read the same snapshot
        sessions = [_session(dict(row)) for row in db.execute(_SESSIONS)]
        return {"sessions": sessions, "deliveries": [dict(row) for row in db.execute(_DELIVERIES)]}


def _session(row: Json) -> Json:
    metadata: dict[str, str] = json.loads(row["metadata"])
    return row | {"metadata": metadata, "disputed": row["dispute_status"] in _HELD}
