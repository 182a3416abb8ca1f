import { compareValues, type JSONValue, jsonToConvex, type Value } from 'convex/values';
import { type DocumentJson, fieldAt } from './documents.ts';

type Operand = Value | undefined;

/** Evaluates a `.filter` expression, as `convex/server` serializes it, on a document. */
export function matches(expression: JSONValue, document: DocumentJson): boolean {
  return evaluate(expression, document) === true;
}

function evaluate(expression: JSONValue, document: DocumentJson): Operand {
  const [operator, operands] = soleEntry(expression);
  switch (operator) {
    case '$literal':
      return toValue(operands);
    case '$field':
      return toValue(fieldAt(document, String(operands)));
    case '$and':
      return list(operands).every((operand) => matches(operand, document));
    case '$or':
      return list(operands).some((operand) => matches(operand, document));
    case '$not':
      return !matches(operands, document);
    case '$neg':
      return negate(evaluate(operands, document));
  }
  const [left, right] = list(operands).map((operand) => evaluate(operand, document));
  const comparison = COMPARISONS[operator];
  if (comparison) return comparison(compareValues(left, right));
  const arithmetic = ARITHMETIC[operator];
  if (arithmetic) return arithmetic(left, right);
  throw new Error(`Unknown operator ${operator} in a filter.`);
}

const COMPARISONS: Readonly<Record<string, (order: number) => boolean>> = {
  $eq: (order) => order === 0,
  $neq: (order) => order !== 0,
  $lt: (order) => order < 0,
  $lte: (order) => order <= 0,
  $gt: (order) => order > 0,
  $gte: (order) => order >= 0,
};

const ARITHMETIC: Readonly<Record<string, (left: Operand, right: Operand) => Operand>> = {
  $add: both(
    (left, right) => left + right,
    (left, right) => left + right,
  ),
  $sub: both(
    (left, right) => left - right,
    (left, right) => left - right,
  ),
  $mul: both(
    (left, right) => left * right,
    (left, right) => left * right,
  ),
  $div: both(
    (left, right) => left / right,
    (left, right) => left / right,
  ),
  $mod: both(
    (left, right) => left % right,
    (left, right) => left % right,
  ),
};

function both(numbers: (left: number, right: number) => number, integers: (left: bigint, right: bigint) => bigint) {
  return (left: Operand, right: Operand): Operand => {
    if (typeof left === 'number' && typeof right === 'number') return numbers(left, right);
    if (typeof left === 'bigint' && typeof right === 'bigint') return BigInt.asIntN(64, integers(left, right));
    throw new Error('Arithmetic in a filter needs two numbers, or two int64s.');
  };
}

function negate(value: Operand): Operand {
  if (typeof value === 'number') return -value;
  if (typeof value === 'bigint') return BigInt.asIntN(64, -value);
  throw new Error('Only a number or an int64 can be negated in a filter.');
}

function toValue(value: JSONValue | undefined): Operand {
  if (value === undefined) return undefined;
  if (typeof value === 'object' && value !== null && '$undefined' in value) return undefined;
  return jsonToConvex(value);
}

function soleEntry(expression: JSONValue): [string, JSONValue] {
  const entry = typeof expression === 'object' && expression !== null ? Object.entries(expression)[0] : undefined;
  if (!entry) throw new Error('A filter expression is malformed.');
  return entry;
}

function list(operands: JSONValue): JSONValue[] {
  return Array.isArray(operands) ? operands : [operands];
}
