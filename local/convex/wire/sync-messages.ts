import { randomUUID } from 'node:crypto';
import type { JSONValue } from 'convex/values';
import { z } from 'zod';
import type { Answered } from '#local/convex/engine.ts';
import type { LiveResult } from '#local/convex/functions/live.ts';
import { encodeTimestamp } from '#local/convex/storage/timestamp.ts';
import { MalformedJson, parseJson } from '#local/convex/values/parse-json.ts';

const json = z.custom<JSONValue>((value) => value !== undefined);
const count = z.int().min(0).max(0xffff_ffff);

/** What a client may say on the sync websocket. */
const clientMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('Connect'), sessionId: z.string().regex(/^[\w-]{1,64}$/) }),
  z.object({
    type: z.literal('Authenticate'),
    baseVersion: count,
    tokenType: z.enum(['User', 'Admin', 'None']),
    value: z.string().optional(),
    impersonating: z.record(z.string(), json).optional(),
  }),
  z.object({
    type: z.literal('ModifyQuerySet'),
    baseVersion: count,
    newVersion: count,
    modifications: z.array(
      z.discriminatedUnion('type', [
        z.object({
          type: z.literal('Add'),
          queryId: count,
          udfPath: z.string(),
          args: z.array(json),
          journal: z.string().nullish(),
        }),
        z.object({ type: z.literal('Remove'), queryId: count }),
      ]),
    ),
  }),
  z.object({ type: z.enum(['Mutation', 'Action']), requestId: count, udfPath: z.string(), args: z.array(json) }),
  z.object({ type: z.literal('Event') }),
]);
/** Reads a frame. Throws with one sentence when it is no message of a client. */
export function parseMessage(frame: Buffer, isBinary: boolean): ClientMessage {
  if (isBinary) throw new MalformedJson('It is a binary frame, and messages are text.');
  const { success, data, error } = clientMessage.safeParse(parseJson(frame));
  if (!success) throw new MalformedJson(z.prettifyError(error));
  return data;
}

export type ClientMessage = z.infer<typeof clientMessage>;
export type Message<Type extends ClientMessage['type']> = Extract<ClientMessage, { type: Type }>;

/** How far a connection is. */
export interface StateVersion {
  readonly querySet: number;
  readonly identity: number;
  readonly ts: bigint;
}

export function transition(start: StateVersion, end: StateVersion, modifications: readonly string[]): string {
  const versions = JSON.stringify({ startVersion: onWire(start), endVersion: onWire(end) }).slice(1, -1);
  return `{"type":"Transition",${versions},"modifications":[${modifications.join(',')}]}`;
}

/** Characters of a part: a client on a slow line hears something before it gives the server up after 60 s. */
const LONGEST_PART = 1024 * 1024;

/** A transition as the messages to send it with: itself, or when it is long the parts a client puts together. */
export function transitionParts(text: string): string[] {
  if (text.length <= LONGEST_PART) return [text];
  const totalParts = Math.ceil(text.length / LONGEST_PART);
  const transitionId = randomUUID();
  return Array.from({ length: totalParts }, (_, partNumber) => {
    const chunk = text.slice(partNumber * LONGEST_PART, (partNumber + 1) * LONGEST_PART);
    return JSON.stringify({ type: 'TransitionChunk', chunk, partNumber, totalParts, transitionId });
  });
}

/** The modification that brings a query's result. Values are JSON texts already, and go in as they are. */
export function queryResult(queryId: number, { outcome, journal }: LiveResult): string {
  const tail = `"queryId":${queryId},"logLines":${JSON.stringify(outcome.logLines)},"journal":${JSON.stringify(journal)}}`;
  if (outcome.ok) return `{"type":"QueryUpdated","value":${outcome.value},${tail}`;
  const data = outcome.data === undefined ? '' : `"errorData":${outcome.data},`;
  return `{"type":"QueryFailed","errorMessage":${JSON.stringify(outcome.message)},${data}${tail}`;
}

/** A function has one argument, an object; none stands for an empty one. */
export function soleArgument(args: readonly JSONValue[]): JSONValue {
  const [sole = {}] = args;
  return sole;
}

export function queryRemoved(queryId: number): string {
  return JSON.stringify({ type: 'QueryRemoved', queryId });
}

/** The answer to a mutation or an action. */
export function response(type: 'Mutation' | 'Action', requestId: number, answered: Answered): string {
  const head = `{"type":"${type}Response","requestId":${requestId},"success":${answered.ok},"logLines":${JSON.stringify(answered.logLines)}`;
  if (!answered.ok) {
    const data = answered.data === undefined ? '' : `,"errorData":${answered.data}`;
    return `${head},"result":${JSON.stringify(answered.message)}${data}}`;
  }
  const ts = type === 'Mutation' ? `,"ts":"${encodeTimestamp(answered.timestamp ?? 0n)}"` : '';
  return `${head},"result":${answered.value}${ts}}`;
}

function onWire({ querySet, identity, ts }: StateVersion) {
  return { querySet, identity, ts: encodeTimestamp(ts) };
}
