import type { JSONValue } from 'convex/values';
import { z } from 'zod';
import type { Transaction } from '#local/convex/database/transaction.ts';
import type { Reader } from '#local/convex/storage/storage.ts';
import { META } from '#local/convex/storage/tables.ts';
import type { RegisteredFunction } from './functions.ts';

const SAVED_AT = `${META}environment`;
const LARGEST_VALUE = 8 * 1024;
const MOST_VARIABLES = 1_000;

/** What `npx convex env set` and `remove` send: a value, or null to remove. */
export const environmentChanges = z.object({
  changes: z.array(
    z.object({
      name: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,255}$/, 'A name has letters, digits and underscores.'),
      value: z.string().max(LARGEST_VALUE, `A value may have ${LARGEST_VALUE} characters.`).nullable(),
    }),
  ),
});
export type EnvironmentChanges = z.infer<typeof environmentChanges>['changes'];

/**
 * The variables that functions see as `process.env`: those of this process, and over them those that were set for the
 * deployment and are kept in the data folder.
 */
export class Environment {
  /** What this process was started with, under the names that were set since. */
  readonly #beneath = new Map<string, string | undefined>();
  readonly #builtIn: Readonly<Record<string, string>>;

  /** `builtIn` cannot be set. */
  constructor(reader: Reader, builtIn: Readonly<Record<string, string>>) {
    this.#builtIn = builtIn;
    Object.assign(process.env, builtIn);
    for (const [name, value] of Object.entries(savedIn(reader))) this.#apply(name, value);
  }

  /** Writes the changes. They count once `apply` is called, after the commit. Throws a sentence for one that may not be. */
  write(transaction: Transaction, changes: EnvironmentChanges): void {
    const variables = savedIn(transaction);
    for (const { name, value } of changes) {
      if (Object.hasOwn(this.#builtIn, name)) throw new Error(`${name} is given by Convex and cannot be changed.`);
      if (value === null) delete variables[name];
      else variables[name] = value;
    }
    if (Object.keys(variables).length > MOST_VARIABLES) {
      throw new Error(`There can be ${MOST_VARIABLES} environment variables.`);
    }
    transaction.writes.set(SAVED_AT, JSON.stringify(variables));
  }

  apply(changes: EnvironmentChanges): void {
    for (const { name, value } of changes) this.#apply(name, value);
  }

  /** The queries by which `npx convex env list` and `get` ask. */
  queries(reader: Reader): [string, RegisteredFunction][] {
    const path = '_system/cli/queryEnvironmentVariables';
    const list = () => Object.entries(savedIn(reader)).map(([name, value]) => ({ name, value }));
    return [
      systemQuery(`${path}:default`, list),
      systemQuery(`${path}:get`, ({ name }) => list().find((variable) => variable.name === name) ?? null),
    ];
  }

  #apply(name: string, value: string | null): void {
    if (!this.#beneath.has(name)) this.#beneath.set(name, process.env[name]);
    const given = value ?? this.#beneath.get(name);
    if (given === undefined) delete process.env[name];
    else process.env[name] = given;
  }
}

function savedIn(reader: Reader): Record<string, string> {
  return JSON.parse(reader.get(SAVED_AT) ?? '{}') as Record<string, string>;
}

function systemQuery(
  path: string,
  answer: (args: { [name: string]: JSONValue }) => JSONValue,
): [string, RegisteredFunction] {
  const fn: RegisteredFunction = {
    path,
    kind: 'query',
    isPublic: false,
    checkArgs: () => undefined,
    checkReturns: undefined,
    invoke: async (args) => JSON.stringify(answer(JSON.parse(args))),
  };
  return [path, fn];
}
