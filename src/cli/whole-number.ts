import { InvalidArgumentError } from 'commander';

/** Reads an option's value that is a whole number from `least` to `most`. What it gives throws `InvalidArgumentError`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const n = Number(text);
    if (/^\d+$/.test(text) && n >= least && n <= most) return n;
    throw new InvalidArgumentError(`It is a whole number from ${least} to ${most}.`);
  };
}
