import type { JSONValue } from 'convex/values';
import { showValidator, showValue } from './show.ts';

/** Validators as functions and schemas export them. */
export type ValidatorJson =
  | { type: 'null' | 'number' | 'bigint' | 'commitTs' | 'boolean' | 'string' | 'bytes' | 'any' }
  | { type: 'literal'; value: JSONValue }
  | { type: 'id'; tableName: string }
  | { type: 'array'; value: ValidatorJson }
  | { type: 'record'; keys: ValidatorJson; values: FieldJson }
  | { type: 'object'; value: Record<string, FieldJson> }
  | { type: 'union'; value: ValidatorJson[] };

export interface FieldJson {
  fieldType: ValidatorJson;
  optional: boolean;
}

/** What is wrong with a value in Convex's JSON form, in Convex's words; undefined when nothing is. */
export type Check = (value: JSONValue | undefined, path: string) => string | undefined;

/** Compiles a validator once. `isId` tells whether a text is an id of the table. */
export function compileValidator(validator: ValidatorJson, isId: (table: string, id: string) => boolean): Check {
  const compile = (inner: ValidatorJson) => compileValidator(inner, isId);
  const unless = (matches: (value: JSONValue | undefined) => boolean): Check => {
    return (value, path) => (matches(value) ? undefined : mismatch(value, path, validator));
  };
  switch (validator.type) {
    case 'any':
      return () => undefined;
    case 'null':
      return unless((value) => value === null);
    case 'number':
      return unless((value) => typeof value === 'number' || isTagged(value, '$float'));
    case 'bigint':
    case 'commitTs':
      return unless((value) => isTagged(value, '$integer'));
    case 'boolean':
      return unless((value) => typeof value === 'boolean');
    case 'string':
      return unless((value) => typeof value === 'string');
    case 'bytes':
      return unless((value) => isTagged(value, '$bytes'));
    case 'literal': {
      const wanted = JSON.stringify(validator.value);
      return unless((value) => JSON.stringify(value) === wanted);
    }
    case 'id':
      return unless((value) => typeof value === 'string' && isId(validator.tableName, value));
    case 'array': {
      const item = compile(validator.value);
      return (value, path) => {
        if (!Array.isArray(value)) return mismatch(value, path, validator);
        return firstProblem(value, (element, at) => item(element, `${path}[${at}]`));
      };
    }
    case 'union': {
      const members = validator.value.map(compile);
      return unless((value) => members.some((member) => member(value, '') === undefined));
    }
    case 'record': {
      const key = compile(validator.keys);
      const item = compile(validator.values.fieldType);
      return (value, path) => {
        if (!isPlainObject(value)) return mismatch(value, path, validator);
        return firstProblem(
          Object.entries(value),
          ([name, field]) => key(name, path) ?? item(field, `${path}.${name}`),
        );
      };
    }
    case 'object':
      return objectCheck(validator, compile);
  }
}

function objectCheck(
  validator: Extract<ValidatorJson, { type: 'object' }>,
  compile: (inner: ValidatorJson) => Check,
): Check {
  const fields = Object.entries(validator.value).map(([name, { fieldType, optional }]) => {
    return { name, optional, check: compile(fieldType) };
  });
  const known = new Set(Object.keys(validator.value));
  return (value, path) => {
    if (!isPlainObject(value)) return mismatch(value, path, validator);
    const about = () =>
      `${path && `Path: ${path}\n`}Object: ${showValue(value)}\nValidator: ${showValidator(validator)}`;
    for (const name of Object.keys(value)) {
      if (!known.has(name))
        return `Object contains extra field \`${name}\` that is not in the validator.\n\n${about()}`;
    }
    return firstProblem(fields, ({ name, optional, check }) => {
      if (Object.hasOwn(value, name)) return check(value[name], `${path}.${name}`);
      if (optional) return undefined;
      return `Object is missing the required field \`${name}\`. Consider wrapping the field validator in \`v.optional(...)\` if this is expected.\n\n${about()}`;
    });
  };
}

function mismatch(value: JSONValue | undefined, path: string, validator: ValidatorJson): string {
  const where = path && `Path: ${path}\n`;
  return `Value does not match validator.\n${where}Value: ${showValue(value)}\nValidator: ${showValidator(validator)}`;
}

function firstProblem<Item>(
  items: readonly Item[],
  check: (item: Item, at: number) => string | undefined,
): string | undefined {
  for (const [at, item] of items.entries()) {
    const problem = check(item, at);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function isTagged(value: JSONValue | undefined, tag: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, tag);
}

/** True for a Convex object: not an array, and not one of the tagged forms of int64, bytes and special floats. */
export function isPlainObject(value: JSONValue | undefined): value is { [field: string]: JSONValue } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return !(isTagged(value, '$integer') || isTagged(value, '$float') || isTagged(value, '$bytes'));
}
