/**
 * The types that the page uses, available in every module without an import (this file is only for tsc, and not served).
 * First those of the public contract: money in Stripe's minor units, times RFC 3339 UTC.
 */

interface Message {
  id: number;
  text: string;
  author: string | null;
  amount: number;
  currency: string;
  posted_at: string;
  /** when its time on top of the board ends; null if it was never pinned */
  pinned_until: string | null;
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

/** An amount to choose, ascending; the first is the price. */
interface Tier {
  amount: number;
  pinned_seconds: number;
}

/** The response of `GET /api/board`. */
interface BoardInfo {
  title: string;
  price: { amount: number; currency: string; tiers: Tier[] };
  tax_behavior: "exclusive" | "inclusive" | null;
  max_text_length: number;
  max_author_length: number;
  test_mode: boolean;
}

/** One page of history, oldest first, read when the log was at `seq`. */
interface Page {
  messages: Message[];
  seq: number;
  epoch: string;
  has_more: boolean;
}

/** Which page to read: before an id, after one, or the newest if neither is given. */
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

/** A server of an earlier version, beside a new one for a while, sends neither pins nor its time. */
type SnapshotFrame = Page & { type: "snapshot"; pinned?: Message[]; now?: string };

/** An entry of the log: each of these frames advances the cursor by one. */
type EntryFrame =
  | { type: "message.posted" | "message.restored"; seq: number; message: Message }
  | { type: "message.removed"; seq: number; message_id: number; reason: string }
  | { type: "message.withheld"; seq: number; message_id: number };

type BoardFrame = SnapshotFrame | EntryFrame;

type Frame =
  | BoardFrame
  | { type: "resumed"; epoch: string; seq: number; now?: string }
  | { type: "payment.updated"; payment: Payment }
  | { type: "heartbeat"; seq: number }
  | { type: "error"; code: string; detail: string; payment_id?: string };

// --- the board (board.js) ---------------------------------------------------------------------------

/** A range of ids, both ends included; `to` is `Infinity` if it is open towards the newest. */
interface Span {
  from: number;
  to: number;
}

/** What the feed last said about a message: removed (null) or restored. A page read earlier must not undo it. */
interface Word {
  seq: number;
  message: Message | null;
}

interface Board {
  /** null until something was read */
  epoch: string | null;
  /** the snapshot's seq: removals before it are unknown */
  since: number;
  /** ascending by id */
  messages: readonly Message[];
  /** unread ranges of history, ascending */
  gaps: readonly Span[];
  /** by message id */
  words: ReadonlyMap<number, Word>;
}

type Row = { kind: "message"; message: Message } | { kind: "gap"; gap: Span };

/** A message to scroll to, how to mark it, and whether to focus it. */
interface Target {
  id: number;
  mark: "highlight" | "target";
  focus: boolean;
}

/** The result of scrolling to a message. */
type Found = { kind: "shown"; message: Message } | { kind: "removed" | "unknown" | "failed" };

// --- the connection (connection.js) -----------------------------------------------------------------

/** How far the log has been read. */
interface Cursor {
  epoch: string;
  seq: number;
}

interface Connection {
  phase: "connecting" | "live" | "waiting";
  /** failures since the last stable connection */
  attempt: number;
  /** when it last went live, in epoch milliseconds; 0 if never */
  liveSince: number;
  /** the server closed it for misuse, so the next attempt waits for long */
  refused: boolean;
}

type Indicator = "connecting" | "live" | "reconnecting" | "offline" | "refused";

// --- buying (draft.js, checkout.js, payment.js) -----------------------------------------------------

/** A message's content: as typed in a draft, elsewhere as the server stores it. */
interface Content {
  text: string;
  author: string | null;
}

/**
 * The intent to post one text. However often it is clicked, retried or reloaded, its key (the Idempotency-Key) makes the
 * server return the same payment.
 */
interface Intent extends Content {
  key: string;
}

interface Draft {
  text: string;
  author: string;
  /** the last one sent; kept while the text differs, so that typing the same text again continues the same payment */
  intent: Intent | null;
}

/** The result of starting a checkout. */
type Outcome =
  /** send the buyer to `url` */
  | { kind: "go"; url: string; payment: Payment }
  /** this intent is paid already, or its payment is in progress: the buyer must not pay twice */
  | { kind: "known"; payment: Payment }
  /** the server refused a field */
  | { kind: "invalid"; errors: FieldError[]; detail: string }
  /** too many payments from here; try again in `waitMs` */
  | { kind: "limited"; waitMs: number }
  /** Stripe, or else the server, can't be reached; the same intent can be tried again */
  | { kind: "down" | "unanswered" }
  /** the page itself failed; the same intent can be tried again */
  | { kind: "broken" };

/** How far the buyer got with a payment in this tab: sent to checkout, or back from there. */
type Stage = "opened" | "returned" | "cancelled";

/** The payment a tab follows. */
interface Followed {
  id: string;
  stage: Stage;
  /** when the stage was entered, in epoch milliseconds */
  since: number;
  /** null until the server has sent it */
  payment: Payment | null;
  /** the server does not know the id */
  missing: boolean;
  /** posted, but taken off the board since */
  removed: boolean;
}

type Action = "show" | "copy" | "retry" | "dismiss";

/** The content of the payment card. */
interface Card {
  status: PaymentStatus | "unknown";
  tone: "waiting" | "good" | "bad";
  title: string;
  text: string;
  actions: Action[];
}

/** A message paid for on this device, with its time: after a backup is restored, the id may belong to another message. */
interface Own {
  id: number;
  posted_at: string;
}

// --- what is drawn ----------------------------------------------------------------------------------

interface NoticeOptions {
  tone?: "info" | "error";
  /** a button; pressing it hides the notice */
  action?: { label: string; act: () => void };
  /** shows a countdown, and then hides the notice */
  waitMs?: number;
}

/** What is shown in place of the messages if there are none. */
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
  /** whether the browser reports a network */
  isOnline: () => boolean;
}

interface TrackerParts {
  api: Pick<import("./api.js").Api, "payment">;
  feed: Pick<import("./feed.js").Feed, "watch" | "unwatch">;
  /** called after every update about the payment, changed or not */
  onChange: (followed: Followed | null) => void;
}

interface ClaimsParts {
  api: Pick<import("./api.js").Api, "message">;
  feed: Pick<import("./feed.js").Feed, "watch" | "unwatch">;
  tab: import("./memory.js").Memory;
  device: import("./memory.js").Memory;
  /** the set of own messages changed */
  onChange: () => void;
}

interface BuyerParts {
  api: import("./api.js").Api;
  feed: import("./feed.js").Feed;
  /** stores the tab's draft and payment */
  tab: import("./memory.js").Memory;
  claims: import("./claims.js").Claims;
  notice: import("./notice.js").Notice;
  announce: (words: string) => void;
  /** scrolls to the message */
  goTo: (id: number, focus: boolean) => Promise<Found>;
  /** copies the link of the message */
  onCopy: (id: number) => void;
}

interface ReaderParts {
  api: import("./api.js").Api;
  page: import("./page.js").PageFrame;
  notice: import("./notice.js").Notice;
  isMine: (message: Message) => boolean;
  /** copies the link of a message */
  onCopy: (id: number) => void;
}

interface ViewParts {
  isMine: (message: Message) => boolean;
  /** reads a gap */
  onGap: (gap: Span) => void;
  /** copies the link of a message */
  onCopy: (id: number) => void;
  onScroll: (atEnd: boolean) => void;
}

interface ComposerParts {
  onInput: (typed: { text: string; author: string }) => void;
  /** called only if the page finds no errors in the form */
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
