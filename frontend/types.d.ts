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
  /** whether addresses in texts are shown as links; a server of an earlier version does not say */
  links?: boolean;
  /** the operator's pages, and an address of a page or an e-mail address; absent on earlier servers */
  terms_url?: string | null;
  privacy_url?: string | null;
  contact?: string | null;
}

/** What the server writes into the document, as JSON in `<script id="opening">`. */
interface Opening {
  board: BoardInfo;
  /** what the document shows; null if the database was away */
  snapshot: SnapshotFrame | null;
  /** at the address of a message that is not in the snapshot: the pages around it */
  history?: { place: Place; page: Page }[];
}

/** One page of history, oldest first, read when the log was at `seq`. */
interface Page {
  messages: Message[];
  seq: number;
  epoch: string;
  has_more: boolean;
}

/** The response of `GET /api/pinned`: highest amount first, then newest. */
interface PinnedPage extends Page {
  /** the server's time */
  now: string;
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
  /** with 410: why the message is off the board */
  reason?: string;
  errors?: FieldError[];
}

/** A server of an earlier version, beside a new one for a while, sends neither pins nor its time. */
type SnapshotFrame = Page & { type: "snapshot"; pinned?: Message[]; now?: string };

/** An entry of the log: each of these frames advances the cursor by one. */
type EntryFrame =
  | { type: "message.posted" | "message.restored"; seq: number; message: Message }
  | { type: "message.removed"; seq: number; message_id: number; reason: string }
  | { type: "message.withheld"; seq: number; message_id: number };

type ResumedFrame = { type: "resumed"; epoch: string; seq: number; now?: string };

type BoardFrame = SnapshotFrame | ResumedFrame | EntryFrame;

type Frame =
  | BoardFrame
  | { type: "viewers"; count: number; raised?: number; currency?: string }
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

/** What is pinned, highest amount first, then newest. */
interface Pins {
  messages: readonly Message[];
  /** more may be pinned than these */
  more: boolean;
  /** the highest id among those that had no room */
  cut: number;
}

/** The server's time, in epoch milliseconds, when a clock that never jumps showed `at`. */
interface Clock {
  server: number;
  at: number;
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
  pins: Pins;
  /** null until the server has sent its time */
  clock: Clock | null;
}

type Row =
  | { kind: "message"; message: Message }
  | { kind: "gap"; gap: Span }
  /** as `Date.toDateString` has it */
  | { kind: "day"; day: string };

/** A message to scroll to, how to mark it, and whether to focus it. */
interface Target {
  id: number;
  mark: "highlight" | "target";
  focus: boolean;
}

/** The result of scrolling to a message. */
type Found = { kind: "shown"; message: Message } | { kind: "removed" | "unknown" | "failed" };

// --- the connection (feed.js) -----------------------------------------------------------------

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

// --- the overlay (overlay/queue.js) -----------------------------------------------------------------

/** What the overlay's address asks for. */
interface OverlayOptions {
  sound: boolean;
  /** in minor units; what cost less is not shown */
  min: number;
  /** how long a message waits at least */
  delayMs: number;
}

/** Times are in milliseconds by `performance.now`. */
interface OverlayQueue {
  /** null before the first snapshot */
  epoch: string | null;
  /** the `seq` of the last entry */
  last: number;
  /** in order; none is shown before it is due */
  waiting: readonly { message: Message; due: number }[];
  shown: { message: Message; until: number } | null;
  /** ids of messages that were removed before they were shown; if restored, they wait again */
  unseen: readonly number[];
  /** when the next message may be shown */
  freeAt: number;
}

// --- buying (text.js, payment.js, purchase.js) -----------------------------------------------------

/** A message's content: as typed in a draft, elsewhere as the server stores it. */
interface Content {
  text: string;
  author: string | null;
}

/** What is about to be posted. */
interface Coming extends Content {
  /** when its payment was made, by the server's clock; null until the server has sent the payment */
  created_at: string | null;
}

/**
 * The intent to pay an amount for one text. However often it is clicked, retried or reloaded, its key (the
 * Idempotency-Key) makes the server return the same payment.
 */
interface Intent extends Content {
  key: string;
  /** null for the board's lowest */
  amount: number | null;
  /** the payment's id, once the server has sent it */
  payment?: string;
}

interface Draft {
  text: string;
  author: string;
  /** the one chosen; null for the board's lowest */
  amount: number | null;
  /** the last one sent; kept while the text differs, so that typing the same text again continues the same payment */
  intent: Intent | null;
}

/** How far the buyer got with a payment: sent to checkout, or back from there. */
type Stage = "opened" | "returned" | "cancelled";

/** What is stored about a followed payment. */
interface Stored {
  id: string;
  stage: Stage;
  /** when the stage was entered, in epoch milliseconds */
  since: number;
  /** the status whose card the buyer has closed; news opens the card again */
  dismissed: PaymentStatus | null;
}

/** A payment made on this device, followed until its message is marked as one's own, or its end has been read. */
interface Followed extends Stored {
  /**
   * own: this tab sent the buyer to checkout, or was returned to; at most one is. kept: remembered on this device when the
   * page was opened, or this tab's own before. other: begun in another tab since, whose card is there.
   */
  role: "own" | "kept" | "other";
  /** null until the server has sent it */
  payment: Payment | null;
  /** what it is for, as soon as that is known */
  content: Content | null;
  /** the server does not know the id */
  missing: boolean;
  /** posted, but taken off the board since */
  removed: boolean;
  /** whether its message is being read, or has been read and marked as one's own */
  arrival: "none" | "going" | "done";
  /** its text was taken out of the form, because it may be on its way */
  takenOut: boolean;
  /** its text was put back into the form; once only, so that a buyer can then clear it */
  refilled: boolean;
  /** how often the server was asked for it */
  asked: number;
}

/** Everything about buying in one tab. */
interface Purchase {
  draft: Draft;
  /** those that the board offers, ascending; null until the server has sent them */
  amounts: readonly number[] | null;
  /**
   * The intent being started, until the browser has left for checkout; `again` if it replaces one that had ended, `leaving`
   * once the server has sent the payment.
   */
  sending: { intent: Intent; again: boolean; leaving: boolean } | null;
  /** the server asked for a pause */
  limited: boolean;
  /** oldest first */
  followed: readonly Followed[];
  /** when the last event happened, in epoch milliseconds */
  now: number;
}

/** Why a payment could not be started. */
type Refusal =
  /** the server refused a field */
  | { kind: "invalid"; errors: FieldError[]; detail: string }
  /** too many payments from here; try again in `waitMs` */
  | { kind: "limited"; waitMs: number }
  /** the key was used with other content; `key` is a new one */
  | { kind: "conflict"; key: string }
  /** Stripe, or else the server, can't be reached, or the page itself failed; the same intent can be tried again */
  | { kind: "down" | "unanswered" | "broken" };

type StartEvent =
  /** the server's answer to an intent; `key` is a new one, in case this payment has ended without a post */
  { type: "started"; payment: Payment; key: string } | { type: "refused"; refusal: Refusal };

/** What is in the form. */
type Typed = Pick<Draft, "text" | "author" | "amount">;

type PurchaseEvent =
  /** the page was opened, with what is stored in the tab and on the device; `back` if the buyer came from checkout */
  | { type: "opened"; draft: Draft; own: Stored | null; kept: Stored[]; back: Pick<Stored, "id" | "stage"> | null }
  /** the server sent the amounts that can be chosen */
  | { type: "configured"; amounts: number[] }
  | ({ type: "typed" } & Typed)
  /** the pay button was pressed; `key` for a new intent */
  | { type: "submitted"; key: string }
  | StartEvent
  /** the browser has not left for checkout */
  | { type: "stayed" }
  /** the pause that the server asked for is over */
  | { type: "waited" }
  /** the page was restored from the back-forward cache */
  | { type: "came back" }
  /** the page became visible again, or the network is back */
  | { type: "woke" }
  /** time has passed */
  | { type: "ticked" }
  /** from the feed */
  | { type: "heard"; payment: Payment }
  /** the answer to a poll; `payment` is null if there was none, `missing` if the server (or the feed) does not know it */
  | { type: "polled"; id: string; payment: Payment | null; missing: boolean }
  /** the result of going to a payment's message, or of reading it */
  | { type: "found"; id: string; found: Found }
  /** a message was taken off the board, though its payment stands, or is on it again */
  | { type: "moderated" | "restored"; messageId: number }
  /** a button was pressed: of the card, or of the payment with this id in the list of them */
  | { type: "acted"; action: Action; id?: string }
  /** another tab changed what the device remembers */
  | { type: "shared"; kept: Stored[] };

type PurchaseEffect =
  /** store the draft in the tab */
  | { type: "save"; draft: Draft }
  /** show the draft in the form */
  | { type: "fill"; draft: Draft }
  /** store the tab's own payment in the tab */
  | { type: "keep"; stored: Stored | null }
  /** store a payment on the device */
  | { type: "remember"; stored: Stored }
  | { type: "forget" | "watch" | "unwatch"; id: string }
  | { type: "poll"; id: string; delayMs: number }
  /** disable the pay button for a reason, or remove that reason */
  | { type: "hold"; reason: Hold; on: boolean }
  | { type: "card"; card: Card | null }
  /** show a message at the end of the board that is about to be posted; null removes it */
  | { type: "pending"; pending: Coming | null }
  /** ask the server for the amounts again; the event `configured` follows */
  | { type: "configure" }
  /** null hides it */
  | { type: "notice"; notice: NoticeWords | null }
  /** show the server's errors beside the fields, or else as a notice */
  | { type: "correct"; errors: FieldError[]; detail: string }
  /** request the payment */
  | { type: "start"; intent: Intent }
  /** go to checkout; the event `stayed` follows if that fails */
  | { type: "leave"; url: string }
  /** the event `waited` follows */
  | { type: "wait"; waitMs: number }
  /** scroll to the payment's message and highlight it, or only read it; the event `found` follows */
  | { type: "highlight" | "read"; id: string; messageId: number }
  /** mark a message as one's own on this device */
  | { type: "mark"; message: Message }
  /** what the card's buttons do */
  | { type: "show" | "copy"; messageId: number }
  | { type: "focus" };

/** What the reducer would otherwise have to ask for: the time, and a random number in [0, 1). */
interface Moment {
  now: number;
  chance: number;
}

type Action = "show" | "copy" | "rewrite" | "dismiss";

/** The content of the payment card. */
interface Card {
  status: PaymentStatus | "unknown";
  tone: "waiting" | "good" | "bad" | "calm";
  title: string;
  text: string;
  actions: Action[];
}

/** A message paid for on this device, with its time: after a backup is restored, the id may belong to another message. */
interface Own {
  id: number;
  posted_at: string;
  /** its beginning; absent if an earlier version of the page stored it */
  text?: string;
  /** why it is off the board, as far as this page has heard; null if it is on it */
  gone?: string | null;
}

/** A line of the list of what was paid for on this device. */
interface Purchased {
  /** the beginning of the message; null if it is not known */
  text: string | null;
  /** a payment's status, or why the message is off the board */
  state: string;
  /** of a message that is on the board */
  messageId: number | null;
  /** of a payment whose text can be put back into the form */
  rewritable: string | null;
}

// --- what is drawn ----------------------------------------------------------------------------------

/** A notice about starting a payment. */
interface NoticeWords {
  text: string;
  tone: "info" | "error";
  /** whether it has a button that tries again */
  retry?: boolean;
  waitMs?: number;
}

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

/** `Notification`, which iPhones lack. */
interface NotificationClass {
  new (title: string, options: { body: string; tag: string }): { onclick: (() => void) | null; close: () => void };
  readonly permission: string;
  requestPermission: () => Promise<string>;
}

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

/** `setTimeout` */
type Later = (act: () => void, ms: number) => ReturnType<typeof setTimeout>;

interface TrackerParts {
  api: Pick<import("./feed/api.js").Api, "payment">;
  later: Later;
  onAnswer: (answer: PurchaseEvent & { type: "polled" }) => void;
}

interface ClaimsParts {
  api: Pick<import("./feed/api.js").Api, "message">;
  device: import("./ui/page.js").Memory;
  /** the set of own messages changed */
  onChange: () => void;
}

interface BuyerParts {
  api: Pick<import("./feed/api.js").Api, "createPayment" | "payment" | "message">;
  feed: Pick<import("./feed/feed.js").Feed, "watch" | "unwatch">;
  /** stores the tab's draft and payment */
  tab: import("./ui/page.js").Memory;
  claims: import("./buying/buyer.js").Claims;
  composer: Pick<import("./buying/composer.js").Composer, "fill" | "hold" | "showErrors" | "focus" | "focused">;
  card: Pick<import("./buying/composer.js").PaymentCard, "render">;
  list: Pick<import("./buying/composer.js").PurchaseList, "render">;
  notice: Pick<import("./ui/page.js").Notice, "show" | "hide">;
  /** scrolls to the message and highlights it */
  goTo: (id: number, focus: boolean) => Promise<Found>;
  /** shows a message at the end of the board that is about to be posted; null removes it */
  showPending: (pending: Coming | null) => void;
  /** asks the server for the board's settings again */
  onConfigure: () => void;
  /** copies the link of the message */
  onCopy: (id: number) => void;
  /** sends the browser to checkout */
  onLeave: (url: string) => void;
  later: Later;
}

/** What the desk passes on to the buyer, and what it needs itself. */
interface DeskParts extends Omit<BuyerParts, "claims" | "composer" | "card" | "list"> {
  api: import("./feed/api.js").Api;
  /** stores what was paid for on this device */
  device: import("./ui/page.js").Memory;
  announce: (words: string) => void;
  /** the set of own messages changed */
  onOwn: () => void;
}

/** What the page knows when the desk opens. */
interface DeskOpening {
  /** null until the server has sent it */
  info: BoardInfo | null;
  /** what the address says if the buyer came back from checkout */
  back: Pick<Stored, "id" | "stage"> | null;
  /** whether nothing was remembered on this device when the page was opened: what is there now was begun in another tab */
  isLate: boolean;
}

interface ReaderParts {
  api: import("./feed/api.js").Api;
  page: import("./ui/page.js").PageFrame;
  notice: import("./ui/page.js").Notice;
  isMine: (message: Message) => boolean;
  /** shares the link of a message */
  onShare: (id: number) => void;
  /** goes to a message, and gives the page its address */
  onOpen: (id: number) => void;
}

interface ViewParts extends Pick<ReaderParts, "isMine" | "onShare" | "onOpen"> {
  /** reads a gap */
  onGap: (gap: Span) => void;
  /** `nearEdge`: the list's end is near, and the board has more messages there */
  onScroll: (place: { atEnd: boolean; nearEdge: boolean }) => void;
}

/** What the rows of messages depend on, beside the messages. */
interface Look {
  isMine: (message: Message) => boolean;
  /** null until it is known */
  price: BoardInfo["price"] | null;
  /** whether addresses in texts are shown as links */
  links: boolean;
}

interface AlertsParts {
  /** where the choice is kept */
  device: import("./ui/page.js").Memory;
  notice: import("./ui/page.js").Notice;
  /** a notification of this message was clicked */
  onOpen: (id: number) => void;
}

interface ComposerParts {
  onInput: (typed: Typed) => void;
  /** what is pinned now, for a buyer who chose an amount that pins */
  readPins: () => Promise<PinnedPage>;
  /** called only if the page finds no errors in the form */
  onSubmit: () => void;
}

interface ListParts {
  onOpen: () => void;
  /** put the text of a payment back into the form */
  onRewrite: (paymentId: string) => void;
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
