/**
 * Codecs: from octets to values that passed a schema, and back. Decoded messages are untrusted: anyone on the
 * broker may have written them.
 */
import type { Reader, Writer } from 'protobufjs';
import { z } from 'zod';
import { Fault } from '../base/faults.js';
import { isPrintable } from '../base/printable.js';
import { VANTAGE } from '../net/vantage.js';

/** Names become parts of subjects and file names. */
export const token = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

/** Vantage labels appear in rows, whose cells must not begin like a formula. */
export const vantage = z.string().regex(VANTAGE);

/** Text for people: one printable line of at most `most` characters. */
export function text(most: number) {
  return z.string().max(most).refine(isPrintable);
}

/** Encodes and decodes one type of message; decoding checks it. */
export interface Codec<Value> {
  encode(value: Value): Uint8Array;
  /** @throws Fault BAD_MESSAGE */
  decode(bytes: Uint8Array): Value;
}

interface MessageType<Message> {
  // In the generated parameter types, all fields are optional; the schemas decide which are required.
  encode(message: never): Writer;
  decode(reader: Uint8Array | Reader): Message;
  toObject(message: Message, options: object): Record<string, unknown>;
}

/** A value as a schema sees it: branded numbers are numbers. */
type Plain<Value> = Value extends number
  ? number
  : Value extends Uint8Array
    ? Uint8Array
    : Value extends readonly (infer Item)[]
      ? readonly Plain<Item>[]
      : Value extends object
        ? { readonly [Key in keyof Value]: Plain<Value[Key]> }
        : Value;

/**
 * A codec from a generated type and a schema. The compiler checks that the schema produces every field of the
 * value.
 */
export function codec<Value, Message>(
  type: MessageType<Message>,
  shape: z.ZodType<Plain<NoInfer<Value>>>,
): Codec<Value> {
  const { name } = type as unknown as { name: string };
  return {
    encode: (value) => type.encode(value as never).finish(),
    decode(bytes) {
      const options = { longs: Number, defaults: true, arrays: true, objects: true };
      const plain = type.toObject(decodeWith(type, bytes), options);
      // An absent sub-message decodes as null; the schemas say `optional`.
      const present = Object.entries(plain).filter(([, field]) => field !== null);
      const checked = shape.safeParse(Object.fromEntries(present));
      if (checked.success) return checked.data as Value;
      throw malformed(name, checked.error.issues[0]?.path.join('.') ?? '', checked.error);
    },
  };
}

export function decodeWith<Message>(type: MessageType<Message>, bytes: Uint8Array): Message {
  try {
    return type.decode(bytes);
  } catch (cause) {
    throw malformed((type as unknown as { name: string }).name, '', cause);
  }
}

export function malformed(message: string, field: string, cause?: unknown): Fault {
  const where = field === '' ? message : `${message}.${field}`;
  return new Fault('BAD_MESSAGE', `malformed message from the broker: ${where}`, {}, cause);
}
