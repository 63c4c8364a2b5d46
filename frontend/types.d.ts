/**
 * The shapes the page works with, known in every module without an import (this file is for tsc alone, and not served).
 * First those of the public contract: money in Stripe's minor units, times RFC 3339 UTC.
 */

interface Message {
  id: number;
  text: string;
  author: string | null;
  amount: number;
  currency: string;
  posted_at: string;
}

type PaymentStatus = "pending" | "processing" | "fulfilled" | "failed" | "expired" | "refunded" | "disputed";

interface Payment {
  id: string;
  status: PaymentStatus;
  text: string;
  author: string | null;
  amount: number;
  currency: string;
  checkout_url: string | null;
  message_id: number | null;
  created_at: string;
  expires_at: string | null;
}

/** The answer of `GET /api/board`. */
interface BoardInfo {
  title: string;
  price: { amount: number; currency: string };
  tax_behavior: "exclusive" | "inclusive" | null;
  max_text_length: number;
  max_author_length: number;
  test_mode: boolean;
}

/** One page of history, oldest first, read when the log stood at `seq`. */
interface Page {
  messages: Message[];
  seq: number;
  epoch: string;
  has_more: boolean;
}

/** Where a page is read: before an id, after one, or with neither the newest. */
interface Place {
  before?: number;
  after?: number;
}

interface FieldError {
  field: string;
  message: string;
}

/** `application/problem+json`. */
interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  request_id: string;
  errors?: FieldError[];
}

type SnapshotFrame = Page & { type: "snapshot" };

/** An entry of the log: the frames that carry the cursor on by one. */
type EntryFrame =
  | { type: "message.posted" | "message.restored"; seq: number; message: Message }
  | { type: "message.removed"; seq: number; message_id: number; reason: string }
  | { type: "message.withheld"; seq: number; message_id: number };

type BoardFrame = SnapshotFrame | EntryFrame;

type Frame =
  | BoardFrame
  | { type: "resumed"; epoch: string; seq: number }
  | { type: "payment.updated"; payment: Payment }
  | { type: "heartbeat"; seq: number }
  | { type: "error"; code: string; detail: string; payment_id?: string };

// --- the board (board.js) ---------------------------------------------------------------------------

/** A stretch of ids, both ends included; `to` is `Infinity` where it reaches up to whatever is newest. */
interface Span {
  from: number;
  to: number;
}

/** What the socket last said about a message removed (null) or put back; a page read earlier must not undo it. */
interface Word {
  seq: number;
  message: Message | null;
}

interface Board {
  /** null before anything was read */
  epoch: string | null;
  /** the snapshot's seq: what the socket said before it is unknown */
  since: number;
  /** ascending by id */
  messages: readonly Message[];
  /** unread stretches of history, ascending */
  gaps: readonly Span[];
  /** by message id */
  words: ReadonlyMap<number, Word>;
}

type Row = { kind: "message"; message: Message } | { kind: "gap"; gap: Span };

/** A message to take the reader to, how to mark it, and whether to focus it. */
interface Target {
  id: number;
  mark: "highlight" | "target";
  focus: boolean;
}

/** What became of going to a message. */
type Found = { kind: "shown"; message: Message } | { kind: "removed" | "unknown" | "failed" };

// --- the connection (connection.js) -----------------------------------------------------------------

/** How far the log has been read. */
interface Cursor {
  epoch: string;
  seq: number;
}

interface Connection {
  phase: "connecting" | "live" | "waiting";
  /** failures since the last connection that held */
  attempt: number;
  /** when it last went live, in epoch milliseconds; 0: never */
  liveSince: number;
  /** the server closed it for misuse, so only a long wait is polite */
  refused: boolean;
}

type Indicator = "connecting" | "live" | "reconnecting" | "offline" | "refused";

// --- buying (draft.js, checkout.js, payment.js) -----------------------------------------------------

/** A message's words: as typed in a draft, as the server stores them elsewhere. */
interface Content {
  text: string;
  author: string | null;
}

/**
 * One wish to post one text, however often it is clicked, retried or reloaded: its key (the Idempotency-Key) makes the
 * server answer with the same payment each time.
 */
interface Intent extends Content {
  key: string;
}

interface Draft {
  text: string;
  author: string;
  /** the last one acted on; it stays while other words are typed, so that typing back goes on with the same payment */
  intent: Intent | null;
}

/** What came of asking for a checkout. */
type Outcome =
  /** send the buyer to `url` */
  | { kind: "go"; url: string; payment: Payment }
  /** this very intent has been paid, or its money is under way: nobody may pay twice */
  | { kind: "known"; payment: Payment }
  /** the server refused a field */
  | { kind: "invalid"; errors: FieldError[]; detail: string }
  /** too many payments from here; try again in `waitMs` */
  | { kind: "limited"; waitMs: number }
  /** Stripe, or else the server, can't be reached; the same intent can be tried again */
  | { kind: "down" | "unanswered" }
  /** the page itself failed; the same intent can be tried again */
  | { kind: "broken" };

/** How this tab came to know a payment: it sent the buyer to checkout, or the buyer came back from there. */
type Stage = "opened" | "returned" | "cancelled";

/** The payment a tab follows. */
interface Followed {
  id: string;
  stage: Stage;
  /** when the stage was entered, in epoch milliseconds */
  since: number;
  /** null until the server has told */
  payment: Payment | null;
  /** the server does not know the id */
  missing: boolean;
  /** posted, and taken off the board since */
  removed: boolean;
}

type Action = "show" | "copy" | "retry" | "dismiss";

/** What the payment card says. */
interface Card {
  status: PaymentStatus | "unknown";
  tone: "waiting" | "good" | "bad";
  title: string;
  text: string;
  actions: Action[];
}

/** A message paid for on this device. After a backup was restored an id alone may be somebody else's, so: with its time. */
interface Own {
  id: number;
  posted_at: string;
}

// --- what is drawn ----------------------------------------------------------------------------------

interface NoticeOptions {
  tone?: "info" | "error";
  /** a button; the notice goes when it is pressed */
  action?: { label: string; act: () => void };
  /** counts down, and then the notice goes by itself */
  waitMs?: number;
}

/** What stands in for the messages when there are none. */
type Placeholder = "loading" | "empty" | "failed" | "none";

/** `Intl.Segmenter`, which not all browsers have. */
type SegmenterClass = new (
  locale: string,
  options: { granularity: "grapheme" },
) => { segment(text: string): Iterable<{ segment: string }> };

/** Why the pay button can't be pressed now. */
type Hold = "sending" | "held" | "limited";

// --- what the classes are built from ----------------------------------------------------------------

interface FeedParts {
  /** the page's own */
  location: { protocol: string; host: string };
  onFrame: (frame: Frame) => void;
  onIndicator: (indicator: Indicator) => void;
  /** what the browser believes about the network */
  isOnline: () => boolean;
}

interface TrackerParts {
  api: Pick<import("./api.js").Api, "payment">;
  feed: Pick<import("./feed.js").Feed, "watch" | "unwatch">;
  /** called after every word on the payment, changed or not */
  onChange: (followed: Followed | null) => void;
}

interface ClaimsParts {
  api: Pick<import("./api.js").Api, "message">;
  feed: Pick<import("./feed.js").Feed, "watch" | "unwatch">;
  tab: import("./memory.js").Memory;
  device: import("./memory.js").Memory;
  /** other messages than before are this device's own */
  onChange: () => void;
}

interface BuyerParts {
  api: import("./api.js").Api;
  feed: import("./feed.js").Feed;
  /** where the tab keeps its draft and its payment */
  tab: import("./memory.js").Memory;
  claims: import("./claims.js").Claims;
  notice: import("./notice.js").Notice;
  announce: (words: string) => void;
  /** takes the buyer to the message */
  goTo: (id: number, focus: boolean) => Promise<Found>;
  /** the link of the message is to be copied */
  onCopy: (id: number) => void;
}

interface ReaderParts {
  api: import("./api.js").Api;
  page: import("./page.js").PageFrame;
  notice: import("./notice.js").Notice;
  isMine: (message: Message) => boolean;
  /** the link of a message is to be copied */
  onCopy: (id: number) => void;
}

interface ViewParts {
  isMine: (message: Message) => boolean;
  /** a gap is to be read */
  onGap: (gap: Span) => void;
  /** the link of a message is to be copied */
  onCopy: (id: number) => void;
  onScroll: (atEnd: boolean) => void;
}

interface ComposerParts {
  onInput: (typed: { text: string; author: string }) => void;
  /** the form is fine as far as the page can tell */
  onSubmit: () => void;
}

interface CardParts {
  onAction: (action: Action) => void;
  announce: (words: string) => void;
}

interface PageParts {
  onPill: () => void;
  onOlder: () => void;
  onTryNow: () => void;
  onBannerClosed: () => void;
}
