import { describeStore } from '#test/contracts/store.ts';
import { openTestBucket, underTest } from './bucket.ts';

describeStore('the S3 store', async () => underTest(await openTestBucket()));
