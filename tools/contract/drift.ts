/**
 * Compares the types that the page is written with, frontend/types.d.ts, with those generated from the contract. It is only
 * compiled: an error here means that one of them has changed without the other.
 */

import type * as contract from "../../docs/paidchat";

/** `true` if the page accepts what the server sends, and knows all its fields; an error, or the unknown fields, if not. */
type Reads<Sent extends Read, Read> = keyof Sent extends keyof Read ? true : Exclude<keyof Sent, keyof Read>;

/** The frames of a union that may have this type. */
type Of<Frames, Type> = Frames extends { type: infer Types } ? (Type extends Types ? Frames : never) : never;

type FrameTypes = contract.Frame["type"];

declare function check<Results extends Record<string, true>>(): Results;

check<{
  Message: Reads<contract.Message, Message>;
  Payment: Reads<contract.Payment, Payment>;
  BoardInfo: Reads<contract.BoardInfo, BoardInfo>;
  Price: Reads<contract.Price, BoardInfo["price"]>;
  Tier: Reads<contract.Tier, Tier>;
  Page: Reads<contract.MessagePage, Page>;
  Problem: contract.Problem extends Problem ? true : never; // the page has no use for all of its fields
  FieldError: Reads<contract.FieldError, FieldError>;
}>();

check<{
  [Type in FrameTypes]: Of<contract.Frame, Type> extends Of<Frame, Type>
    ? Reads<Of<contract.Frame, Type>, Of<Frame, Type>>
    : Type;
}>();

/** Nor does the page expect frames and statuses that are never sent. */
check<{ [Type in Frame["type"]]: Type extends FrameTypes ? true : never }>();
check<{ [Status in PaymentStatus]: Status extends contract.PaymentStatus ? true : never }>();
