import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { api } from '#convex/_generated/api.js';
import * as auditFunctions from '#convex/audit.ts';
import { codeOf, FIRST_PAGE, type Served, someScene } from './served.ts';

/** What the audit promises: entries come in, stay as they are, and are found by time, project and target. */
export function describeAudit(served: () => Served): void {
  const entry = (at: number, own: { entryId?: string; project?: string; target?: string; action?: string } = {}) => ({
    entryId: randomUUID(),
    at,
    actor: { kind: 'agent', id: 'k-1' },
    action: 'keys.create',
    target: `k-${randomUUID()}`,
    details: '{"$why":"test"}',
    correlationId: 'c-1',
    ...own,
  });
  const append = (...entries: ReturnType<typeof entry>[]) => served().service.mutation(api.audit.append, { entries });
  const list = async (of: { project?: string; target?: string }, paginationOpts = FIRST_PAGE) =>
    (await served().service.query(api.audit.list, { ...of, paginationOpts })).page;

  describe('the audit', () => {
    it('gives what was added, the newest first and those of one moment in the reverse of their order', async () => {
      const { project } = someScene();
      const [first, second, third] = [entry(1, { project }), entry(1, { project }), entry(2, { project })];
      const elsewhere = entry(3, { project: someScene().project });
      await append(first, second, third, elsewhere);
      expect(await list({ project })).toEqual([third, second, first]);
      expect(await list({ target: second.target })).toEqual([second]);
      expect(await list({ target: 'nothing' })).toEqual([]);
    });

    it('gives everything, without a project too, by time', async () => {
      const future = 9e15;
      const [older, newer] = [entry(future), entry(future + 1)];
      await append(newer, older);
      expect(await list({}, { numItems: 2, cursor: null })).toEqual([newer, older]);
    });

    it('keeps an entry as it came first, however often it comes', async () => {
      const { project } = someScene();
      const kept = entry(1, { project });
      await append(kept, { ...kept, action: 'twice in one call' });
      await append({ ...kept, action: 'again' });
      expect(await list({ project })).toEqual([kept]);
    });

    it('takes 200 entries a call', async () => {
      const { project } = someScene();
      const many = Array.from({ length: 201 }, (_, at) => entry(at, { project }));
      expect(await codeOf(() => append(...many))).toBe('VALIDATION_FAILED');
      await append(...many.slice(1));
      expect(await list({ project }, { numItems: 300, cursor: null })).toHaveLength(200);
    });

    it('has no function that changes or deletes', () => {
      expect(Object.keys(auditFunctions).toSorted()).toEqual(['append', 'list']);
    });
  });
}
