/** One event, or a comment, as a server sent it. */
export interface SentEvent {
  readonly id?: string;
  readonly event?: string;
  readonly data?: unknown;
  readonly retry?: string;
  readonly comment?: true;
}

/** The events of an answer of `text/event-stream`, in order, until it ends or its reader leaves. */
export async function* readEvents(response: Response): AsyncGenerator<SentEvent, void, void> {
  if (!response.body) return;
  let rest = '';
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) yield toEvent(block);
  }
}

function toEvent(block: string): SentEvent {
  if (block.startsWith(':')) return { comment: true };
  const fields = Object.fromEntries(
    block.split('\n').map((line) => {
      const at = line.indexOf(': ');
      return [line.slice(0, at), line.slice(at + 2)];
    }),
  );
  return fields.data === undefined ? fields : { ...fields, data: JSON.parse(fields.data) };
}

/** Reads on until the event; gives all up to it. */
export async function readTo(
  events: AsyncIterator<SentEvent>,
  wanted: (event: SentEvent) => boolean,
): Promise<SentEvent[]> {
  const seen: SentEvent[] = [];
  for (;;) {
    const { done, value } = await events.next();
    if (done) throw new Error(`The stream ended after ${JSON.stringify(seen)}`);
    seen.push(value);
    if (wanted(value)) return seen;
  }
}
