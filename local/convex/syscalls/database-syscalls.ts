import type { JSONValue } from 'convex/values';
import type { Documents } from '#local/convex/database/documents.ts';
import { type PageRequest, readPage } from '#local/convex/database/page.ts';
import { DocumentStream, type Plan, planQuery, type QueryJson } from '#local/convex/database/query.ts';
import type { Transaction } from '#local/convex/database/transaction.ts';
import type { Call } from '#local/convex/functions/call.ts';
import type { Tables } from '#local/convex/storage/tables.ts';
import type { Fields, Syscall } from './syscalls.ts';

export interface DatabaseHost {
  readonly tables: Tables;
  readonly documents: Documents;
}

/** The syscalls behind `ctx.db` that answer at once. */
export function databaseSyscallsNow({ tables }: DatabaseHost): Record<string, Syscall<string>> {
  return {
    '1.0/db/normalizeId': ({ table, idString }) => {
      const known = tables.tableOf(String(idString))?.name === table;
      return JSON.stringify({ id: known ? idString : null });
    },
    '1.0/queryStream': ({ query }, call) => {
      const queryId = call.nextStream++;
      call.streams.set(queryId, new DocumentStream(reading(call), plan(query, tables)));
      return JSON.stringify({ queryId });
    },
    '1.0/queryCleanup': ({ queryId }, call) => {
      call.streams.delete(Number(queryId));
      return 'null';
    },
  };
}

/** The syscalls behind `ctx.db`. */
export function databaseSyscalls({ tables, documents }: DatabaseHost): Record<string, Syscall<string>> {
  /** A document functions may write: those of system tables they may not. */
  function writable({ id }: Fields): string {
    if (tables.tableOf(String(id))?.isSystem) throw new Error('System tables (prefixed with `_`) are read-only.');
    return String(id);
  }

  return {
    '1.0/get': ({ id, table, isSystem = false }, call) => {
      const found = tables.tableOf(String(id));
      if (found && found.isSystem !== isSystem) {
        const [kind, place] = found.isSystem ? ['System', 'db.system.get'] : ['User', 'db.get'];
        throw new Error(`${kind} tables can only be accessed from ${place}().`);
      }
      return documents.get(reading(call), String(id), 'get', optional(table)) ?? 'null';
    },
    '1.0/insert': ({ table, value = null }, call) => {
      return JSON.stringify({ _id: documents.insert(writing(call), String(table), value) });
    },
    '1.0/shallowMerge': ({ value = null, table, ...rest }, call) => {
      documents.patch(writing(call), writable(rest), value, optional(table));
      return 'null';
    },
    '1.0/replace': ({ value = null, table, ...rest }, call) => {
      documents.replace(writing(call), writable(rest), value, optional(table));
      return 'null';
    },
    '1.0/remove': ({ table, ...rest }, call) => {
      documents.remove(writing(call), writable(rest), optional(table));
      return 'null';
    },
    '1.0/queryStreamNext': ({ queryId }, call) => {
      const text = call.streams.get(Number(queryId))?.next();
      return text === undefined ? '{"value":null,"done":true}' : `{"value":${text},"done":false}`;
    },
    '1.0/queryPage': ({ query, ...request }, call) => {
      if (call.nextJournal !== null) {
        throw new Error(
          'This query or mutation function ran multiple paginated queries. Convex only supports a single paginated query in each function.',
        );
      }
      const asked = keepEnd(request as unknown as PageRequest, call);
      const { page, ...rest } = readPage(reading(call), plan(query, tables), asked);
      call.nextJournal = rest.continueCursor;
      return `{"page":[${page.join(',')}],${JSON.stringify(rest).slice(1)}`;
    },
    '1.0/getTransactionMetrics': (_args, call) => JSON.stringify(reading(call).usage.metrics()),
  };
}

/** The transaction to read in. Throws in actions, which have none. */
export function reading({ transaction, kind }: Call): Transaction {
  if (!transaction) throw new Error(`The database cannot be used in a ${kind}.`);
  return transaction;
}

/** The transaction to write in. Throws but in mutations. */
export function writing(call: Call): Transaction {
  if (call.kind !== 'mutation') throw new Error(`A ${call.kind} cannot write to the database.`);
  return reading(call);
}

function plan(query: JSONValue | undefined, tables: Tables): Plan {
  return planQuery(query as unknown as QueryJson, tables);
}

/** A live page that grew or shrank keeps ending where it ended before. */
function keepEnd(request: PageRequest, call: Call): PageRequest {
  return { ...request, endCursor: request.endCursor ?? call.journal };
}

function optional(value: JSONValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
