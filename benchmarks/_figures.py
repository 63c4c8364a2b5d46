"""The names of what is measured, and of whom."""

# Subjects
PAIDCHAT, OTHER = "paidchat", "the other checkout"
EXPRESS, EXPRESS_PG, FASTIFY, PLAIN, FLOOR = "Express", "Express + pg", "fastify", "plain FastAPI", "C floor"
READY_BYTES = "fastify, ready bytes"
CREATE_ALONE = "create_async alone"
IMPORTS_ALONE = "imports alone"
SMALL, LARGE = "a small board", "a large board"

# Figures
WEBHOOK_ON_SQLITE, WEBHOOK_ON_POSTGRESQL = "webhook, SQLite", "webhook, PostgreSQL"
POSTGRESQL_ITSELF = "webhook, PostgreSQL's own CPU"
NEWEST_PAGE, BOARD, HEALTH, LOOK_UP = "newest page", "board", "healthz", "payment lookup"
FEW, MANY = 1_000, 5_000  # viewers
TO_FEW, TO_MANY = f"delivery, {FEW:,} viewers", f"delivery, {MANY:,} viewers"
IN_BURST = f"delivery in a burst of 60, {FEW:,} viewers"
TO_LAST, TO_LAST_P99 = f"webhook to the last of {FEW:,}, median", f"webhook to the last of {FEW:,}, p99"
CROWD = 10_000  # viewers
PHASES = (
    "connecting",
    "posting",
    "burst",
    "pinging",
    "garbage collection",
    "new epoch",
    "shutdown",
    "all leaving at once",
)
HOLD_UPS = {phase: f"hold-up of the event loop, {CROWD:,} viewers: {phase}" for phase in PHASES}
IDLE_VIEWER = "idle viewer"
PAYMENT = "payment"
PAYMENT_WHEN_BUSY = "payment, 20 a second beside another load"
START, IDLE = "start", "idle, per second"
GROWN_PAGE, GROWN_MIDDLE = "growth: newest page", "growth: page in the middle"
GROWN_CATCH_UP, GROWN_WEBHOOK = "growth: catch-up of 100 entries", "growth: webhook"
OVER_PROCESSES = "webhook, PostgreSQL, shared out"
ACROSS_PROCESSES = f"webhook to the last of {FEW:,} of another process"
OVERLOADED, RECOVERED = "webhook under ten times the load", "10 s after the overload: slowest, and failed"
PAY_TO_SEEN = "from Pay to seen in another window"
COLD, WARM = "cold", "warm"  # the first visit, and the next one
VISITS = (COLD, WARM)
ROUND_TRIP_MS = 562
LOADED = {visit: f"page: requests, {visit}" for visit in VISITS}  # count, and kib of all their responses
FIRST_MESSAGE = {visit: f"page: first message on {ROUND_TRIP_MS} ms round trips, {visit}" for visit in VISITS}
POSTED_WHILE_READING = "page: 50 posts a second while reading"
FRAMES, ELEMENTS, JUMP = (f"{POSTED_WHILE_READING}, {what}" for what in ("frames a second", "DOM nodes", "jump in px"))
READ = 3_000  # messages
KEY_PRESS = f"page: key press with {READ:,} messages read"
MOBILE, DESKTOP = "mobile", "desktop"
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
LIGHTHOUSE = {
    (form, category): f"page: Lighthouse, {form}, {category}" for form in (MOBILE, DESKTOP) for category in CATEGORIES
}
