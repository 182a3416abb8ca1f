/**
 * The page with `text` between `<!-- name -->` and `<!-- /name -->`. Throws when the page has lost the markers.
 */
export function putBetween(page: string, name: string, text: string): string {
  const between = new RegExp(`(?<=<!-- ${name} -->\n)[\\s\\S]*?(?=<!-- /${name} -->)`);
  if (!between.test(page)) throw new Error(`The page has lost the markers of ${name}.`);
  return page.replace(between, () => text);
}

/** Rows as a Markdown table, each line with its end. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  return [line(head), `|${'---|'.repeat(head.length)}\n`, ...rows.map(line)].join('');
}
