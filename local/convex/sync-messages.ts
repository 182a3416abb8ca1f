import type { JSONValue } from 'convex/values';
import { z } from 'zod';
import type { Answered } from './engine.ts';
import type { LiveResult } from './live.ts';
import { encodeTimestamp } from './timestamp.ts';

const json = z.custom<JSONValue>((value) => value !== undefined);
const count = z.int().min(0);

/** What a client may say on the sync websocket. */
export const clientMessage = z.discriminatedUnion('type', [
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

/** The modification that brings a query's result. Values are JSON texts already, and go in as they are. */
export function queryResult(queryId: number, { outcome, journal }: LiveResult): string {
  const tail = `"queryId":${queryId},"logLines":${JSON.stringify(outcome.logLines)},"journal":${JSON.stringify(journal)}}`;
  if (outcome.ok) return `{"type":"QueryUpdated","value":${outcome.value},${tail}`;
  const data = outcome.data === undefined ? '' : `"errorData":${outcome.data},`;
  return `{"type":"QueryFailed","errorMessage":${JSON.stringify(outcome.message)},${data}${tail}`;
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
