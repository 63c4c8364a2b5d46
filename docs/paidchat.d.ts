/**
 * What a board and its clients send each other. Generated from openapi.json and asyncapi.json by tools/contract/types.mjs.
 * New fields, frames and codes may appear: ignore those that you don't know.
 */
export type components = {
    schemas: {
        /**
         * BoardInfo
         * @description What a page needs to know before anyone types.
         */
        BoardInfo: {
            /** @description Where to reach the operator: an e-mail address, or an http or https address. Null if not set. */
            contact: string | null;
            /** @description Whether to show http and https addresses in texts as links. */
            links: boolean;
            /** @description In code points. */
            max_author_length: number;
            /** @description In code points. */
            max_text_length: number;
            price: components["schemas"]["Price"];
            /** @description The address of their privacy policy: http or https. Null if not set. */
            privacy_url: string | null;
            /** @description Whether tax is added to the price or included in it; null if none is charged. */
            tax_behavior: ("exclusive" | "inclusive") | null;
            /** @description The address of the operator's terms: http or https. Null if not set. */
            terms_url: string | null;
            /** @description True if no real money is charged. */
            test_mode: boolean;
            /** @description The board's name. */
            title: string;
        };
        /**
         * FeedError
         * @description What was wrong with a frame that the client sent.
         */
        FeedError: {
            /**
             * @description `invalid_request`: not a valid watch frame; the third one ends the connection. `not_found`: there is no such payment.
             * @enum {string}
             */
            code: "invalid_request" | "not_found";
            /** @description In words. */
            detail: string;
            /** @description Which payment, with `not_found`. */
            payment_id?: string;
            /** @constant */
            type: "error";
        };
        /**
         * FieldError
         * @description What is wrong with one field of the input. The input itself is never echoed.
         */
        FieldError: {
            /** @description The field's name, or `body`, `query`, `path` or `header` for one that is unknown. */
            field: string;
            /** @description In words. */
            message: string;
        };
        /**
         * Heartbeat
         * @description Nothing happened; the connection is alive.
         */
        Heartbeat: {
            /** @description Where the log stands. */
            seq: number;
            /** @constant */
            type: "heartbeat";
        };
        /**
         * Message
         * @description A message on the board.
         */
        Message: {
            /** @description What was paid, in the currency's minor units. */
            amount: number;
            /** @description Null if the payer gave none. */
            author: string | null;
            /** @description Lower-case ISO 4217 code. */
            currency: string;
            /** @description Ascending and unique: the `seq` of the log entry that posted it. */
            id: number;
            /** @description Until when it is pinned on top of the board: RFC 3339, UTC. Fixed when it is posted; null if it never was pinned. */
            pinned_until: string | null;
            /**
             * Format: date-time
             * @description RFC 3339, UTC.
             */
            posted_at: string;
            /** @description 1 to 500 code points on at most 20 lines. Show it as text, never as HTML. */
            text: string;
        };
        /**
         * MessagePage
         * @description A page of the board, oldest first, and the log position at which it was read.
         */
        MessagePage: {
            /** @description Ids and `seq` are only comparable within one epoch. */
            epoch: string;
            /** @description Whether there are more messages in the direction of paging. */
            has_more: boolean;
            /** @description Oldest first. */
            messages: components["schemas"]["Message"][];
            /** @description The log position at which the page was read. */
            seq: number;
        };
        /**
         * MessagePosted
         * @description A message came onto the board.
         */
        MessagePosted: {
            message: components["schemas"]["Message"];
            /** @description The entry's place in the log. */
            seq: number;
            /** @constant */
            type: "message.posted";
        };
        /**
         * MessageRemoved
         * @description A message left the board.
         */
        MessageRemoved: {
            message_id: number;
            reason: components["schemas"]["Reason"];
            /** @description The entry's place in the log. */
            seq: number;
            /** @constant */
            type: "message.removed";
        };
        /**
         * MessageRestored
         * @description A message came back: insert it at its id.
         */
        MessageRestored: {
            message: components["schemas"]["Message"];
            /** @description The entry's place in the log. */
            seq: number;
            /** @constant */
            type: "message.restored";
        };
        /**
         * MessageWithheld
         * @description In a replay: an entry whose message is off the board by now.
         */
        MessageWithheld: {
            message_id: number;
            /** @description The entry's place in the log. */
            seq: number;
            /** @constant */
            type: "message.withheld";
        };
        /**
         * NewPayment
         * @description The message to post, and which of the board's amounts to pay for it.
         * @example {
         *       "author": "Ada",
         *       "text": "Hello, world!"
         *     }
         */
        NewPayment: {
            /** @description One of the amounts in the board's `price.tiers`, in the currency's minor units; null means `price.amount`. */
            amount?: number | null;
            /** @description At most 50 code points on one line, at most 200 as sent; blank means null. */
            author?: string | null;
            /** @description 1 to 500 code points on at most 20 lines after trimming and NFC; at most 2,000 as sent. */
            text: string;
        };
        /**
         * Payment
         * @description A payment, as its payer sees it: no Stripe id, no e-mail address.
         */
        Payment: {
            /** @description The price without tax, in the currency's minor units. */
            amount: number;
            /** @description Null if the payer gave none. */
            author: string | null;
            /** @description Where to send the browser; null once payment is no longer possible. */
            checkout_url: string | null;
            /**
             * Format: date-time
             * @description RFC 3339, UTC.
             */
            created_at: string;
            /** @description Lower-case ISO 4217 code. */
            currency: string;
            /**
             * Format: date-time
             * @description When the checkout closes; RFC 3339, UTC.
             */
            expires_at: string;
            /** @description Opaque and unguessable; anyone who has it may look the payment up. */
            id: string;
            /** @description The message that this payment posted. Once set, it stays. */
            message_id: number | null;
            status: components["schemas"]["PaymentStatus"];
            /** @description The text to be posted, cleaned. */
            text: string;
        };
        /**
         * PaymentStatus
         * @description A payment's status, as named in the public API.
         * @enum {string}
         */
        PaymentStatus: "pending" | "processing" | "fulfilled" | "failed" | "expired" | "refunded" | "disputed";
        /**
         * PaymentUpdated
         * @description A watched payment as it is now.
         */
        PaymentUpdated: {
            payment: components["schemas"]["Payment"];
            /** @constant */
            type: "payment.updated";
        };
        /**
         * PinnedPage
         * @description What is pinned on top of the board, highest amount first, then newest.
         */
        PinnedPage: {
            /** @description Ids and `seq` are only comparable within one epoch. */
            epoch: string;
            /** @description Whether more messages are pinned. */
            has_more: boolean;
            /** @description At most 20. */
            messages: components["schemas"]["Message"][];
            /**
             * Format: date-time
             * @description The server's time: RFC 3339, UTC. Count `pinned_until` down from it by a clock that never jumps; your own may be wrong.
             */
            now: string;
            /** @description The log position at which they were read. */
            seq: number;
        };
        /**
         * Price
         * @description What one message costs.
         */
        Price: {
            /** @description In the currency's minor units, unless the payer chooses a higher tier. */
            amount: number;
            /** @description Lower-case ISO 4217 code. */
            currency: string;
            /** @description Every amount that a payment may have, ascending; the first is `amount`. */
            tiers: components["schemas"]["Tier"][];
        };
        /**
         * Problem
         * @description An error, for people and programs (RFC 9457): `code` is stable, `detail` says what to do.
         */
        Problem: {
            /** @description The kind of error. Stable; more may come, so go by the status for an unknown one. */
            code: string;
            /** @description What is wrong, in words. */
            detail: string;
            /** @description What is wrong with which field; at most 20. */
            errors?: components["schemas"]["FieldError"][];
            /** @description Why a message is gone. */
            reason?: components["schemas"]["Reason"];
            /** @description What the server's log has it under. */
            request_id: string;
            /** @description That of the answer. */
            status: number;
            /** @description The status in words, as in RFC 9110. */
            title: string;
            /** @description Always `about:blank`: go by `code`. */
            type: string;
        };
        /**
         * Reason
         * @description Why a message is off the board. Several reasons can apply at once.
         * @enum {string}
         */
        Reason: "moderated" | "refunded" | "disputed";
        /**
         * Resumed
         * @description Every entry after `seq` follows, in order.
         */
        Resumed: {
            /** @description The cursor's epoch. */
            epoch: string;
            /**
             * Format: date-time
             * @description The server's time, to count pins down from: RFC 3339, UTC.
             */
            now: string;
            /** @description The cursor that was accepted: the next entry has `seq` + 1. */
            seq: number;
            /** @constant */
            type: "resumed";
        };
        /**
         * Snapshot
         * @description The board as it stands at `seq`. Forget what you had.
         */
        Snapshot: {
            /** @description Send it back with the cursor. */
            epoch: string;
            /** @description Whether there are older messages. */
            has_more: boolean;
            /** @description The newest 50, oldest first. */
            messages: components["schemas"]["Message"][];
            /**
             * Format: date-time
             * @description The server's time, to count pins down from: RFC 3339, UTC.
             */
            now: string;
            /** @description What is pinned on top: highest amount first, then newest, at most 20. Some may also be in `messages`. */
            pinned: components["schemas"]["Message"][];
            /** @description The cursor: the next entry has `seq` + 1. */
            seq: number;
            /** @constant */
            type: "snapshot";
        };
        /**
         * Tier
         * @description An amount that a payer can choose.
         */
        Tier: {
            /** @description In the currency's minor units. */
            amount: number;
            /** @description How long the message is pinned once it is posted; 0 for not at all. */
            pinned_seconds: number;
        };
        /**
         * Viewers
         * @description How many watch the board, in all processes: approximately. If the operator shows it, also what was raised.
         */
        Viewers: {
            /** @description Exact up to 100, then rounded to two digits. */
            count: number;
            /** @description That of `raised`: the board's. */
            currency?: string;
            /** @description What was paid for the messages on the board, in minor units. Only if the operator shows it. */
            raised?: number;
            /** @constant */
            type: "viewers";
        };
        /**
         * Watch
         * @description Tell me how this payment stands, now and at each change.
         */
        Watch: {
            /** @description The payment's `id`. */
            payment_id: string;
            /** @constant */
            type: "watch";
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
};
export type BoardInfo = components['schemas']['BoardInfo'];
export type FeedError = components['schemas']['FeedError'];
export type FieldError = components['schemas']['FieldError'];
export type Heartbeat = components['schemas']['Heartbeat'];
export type Message = components['schemas']['Message'];
export type MessagePage = components['schemas']['MessagePage'];
export type MessagePosted = components['schemas']['MessagePosted'];
export type MessageRemoved = components['schemas']['MessageRemoved'];
export type MessageRestored = components['schemas']['MessageRestored'];
export type MessageWithheld = components['schemas']['MessageWithheld'];
export type NewPayment = components['schemas']['NewPayment'];
export type Payment = components['schemas']['Payment'];
export type PaymentStatus = components['schemas']['PaymentStatus'];
export type PaymentUpdated = components['schemas']['PaymentUpdated'];
export type PinnedPage = components['schemas']['PinnedPage'];
export type Price = components['schemas']['Price'];
export type Problem = components['schemas']['Problem'];
export type Reason = components['schemas']['Reason'];
export type Resumed = components['schemas']['Resumed'];
export type Snapshot = components['schemas']['Snapshot'];
export type Tier = components['schemas']['Tier'];
export type Viewers = components['schemas']['Viewers'];
export type Watch = components['schemas']['Watch'];
/** What the feed sends. */
export type Frame = Snapshot | Resumed | MessagePosted | MessageRemoved | MessageRestored | MessageWithheld | PaymentUpdated | Heartbeat | Viewers | FeedError;
