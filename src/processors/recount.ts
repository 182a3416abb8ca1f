import type { Metadata } from '#metadata/metadata.ts';
import type { Processor } from './run.ts';

/** Brings the totals of a session up to its assets; one that does not exist has none. */
export function recountProcessor(metadata: Pick<Metadata, 'countSession'>): Processor<'recount'> {
  return async ({ project, session }) => {
    await metadata.countSession(project, session, { write: true });
    return { end: 'done' };
  };
}
