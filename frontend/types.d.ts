/** Shapes of the public contract, as the page reads them. Money is in Stripe's minor units, times are RFC 3339 UTC. */

export interface Message {
  id: number;
  text: string;
  author: string | null;
  amount: number;
  currency: string;
  posted_at: string;
}

export type PaymentStatus =
  | "pending"
  | "processing"
  | "fulfilled"
  | "failed"
  | "expired"
  | "refunded"
  | "disputed";

export interface Payment {
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

export interface BoardInfo {
  title: string;
  price: { amount: number; currency: string };
  tax_behavior: "exclusive" | "inclusive" | null;
  max_text_length: number;
  max_author_length: number;
  test_mode: boolean;
}

/** One page of history, oldest first, read when the log stood at `seq`. */
export interface Page {
  messages: Message[];
  seq: number;
  epoch: string;
  has_more: boolean;
}

export interface FieldError {
  field: string;
  message: string;
}

/** `application/problem+json`. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  request_id: string;
  errors?: FieldError[];
  reason?: string;
}

export interface SnapshotFrame {
  type: "snapshot";
  epoch: string;
  seq: number;
  messages: Message[];
  has_more: boolean;
}
export interface ResumedFrame {
  type: "resumed";
  epoch: string;
  seq: number;
}
export interface PostedFrame {
  type: "message.posted";
  seq: number;
  message: Message;
}
export interface RemovedFrame {
  type: "message.removed";
  seq: number;
  message_id: number;
  reason: string;
}
export interface RestoredFrame {
  type: "message.restored";
  seq: number;
  message: Message;
}
export interface WithheldFrame {
  type: "message.withheld";
  seq: number;
  message_id: number;
}
export interface PaymentFrame {
  type: "payment.updated";
  payment: Payment;
}
export interface HeartbeatFrame {
  type: "heartbeat";
  seq: number;
}
export interface ErrorFrame {
  type: "error";
  code: string;
  detail: string;
  payment_id?: string;
}

/** An entry of the log: the frames that carry the cursor on by one. */
export type EntryFrame = PostedFrame | RemovedFrame | RestoredFrame | WithheldFrame;
export type BoardFrame = SnapshotFrame | EntryFrame;
export type Frame = BoardFrame | ResumedFrame | PaymentFrame | HeartbeatFrame | ErrorFrame;
