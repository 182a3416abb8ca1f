import type { JSONValue } from 'convex/values';
import { jsonToConvex } from 'convex/values';
import type { ValidatorJson } from './validate.ts';

const LONGEST = 2048;

/** A value as Convex prints it in messages: `{age: 1.0, name: "x"}`. Long ones are cut. */
export function showValue(value: JSONValue | undefined): string {
  const text = show(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

function show(value: JSONValue | undefined): string {
  if (value === undefined) return 'undefined';
  if (typeof value === 'number') return Number.isInteger(value) ? value.toFixed(1) : String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  if ('$integer' in value || '$float' in value) return String(jsonToConvex(value));
  if ('$bytes' in value) return `b"${value.$bytes}"`;
  const fields = Object.entries(value).map(([name, field]) => `${name}: ${show(field)}`);
  return `{${fields.join(', ')}}`;
}

/** A validator as its author wrote it. */
export function showValidator(validator: ValidatorJson): string {
  switch (validator.type) {
    case 'number':
      return 'v.float64()';
    case 'bigint':
      return 'v.int64()';
    case 'literal':
      return `v.literal(${show(validator.value)})`;
    case 'id':
      return `v.id(${JSON.stringify(validator.tableName)})`;
    case 'array':
      return `v.array(${showValidator(validator.value)})`;
    case 'union':
      return `v.union(${validator.value.map(showValidator).join(', ')})`;
    case 'record':
      return `v.record(${showValidator(validator.keys)}, ${showValidator(validator.values.fieldType)})`;
    case 'object': {
      const fields = Object.entries(validator.value).map(([name, { fieldType, optional }]) => {
        return `${name}: ${optional ? `v.optional(${showValidator(fieldType)})` : showValidator(fieldType)}`;
      });
      return `v.object({${fields.join(', ')}})`;
    }
    default:
      return `v.${validator.type}()`;
  }
}
