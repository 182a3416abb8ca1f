import { afterAll, beforeAll, describe } from 'vitest';
import { describeAccess } from './convex/access.ts';
import { describeAnyOrder } from './convex/any-order.ts';
import { describeAudit } from './convex/audit.ts';
import { describeCommits } from './convex/commits.ts';
import { describeRecords } from './convex/records.ts';
import { describeScans } from './convex/scans.ts';
import { type Backend, type Served, serve } from './convex/served.ts';
import { describeStatuses } from './convex/statuses.ts';
import { describeWithdrawals } from './convex/withdrawals.ts';

/** What the functions of `convex/` promise, whatever serves them. */
export function convexFunctionsContract(name: string, open: () => Promise<Backend>): void {
  describe(`convex functions on ${name}`, () => {
    let served: Served | undefined;
    beforeAll(async () => {
      served = await serve(await open());
    });
    afterAll(() => served?.backend.close());

    const now = () => {
      if (!served) throw new Error('Nothing serves the functions yet.');
      return served;
    };
    describeCommits(now);
    describeStatuses(now);
    describeWithdrawals(now);
    describeAnyOrder(now);
    describeScans(now);
    describeRecords(now);
    describeAudit(now);
    describeAccess(now);
  });
}
