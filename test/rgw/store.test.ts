import { afterAll, beforeAll } from 'vitest';
import { describeStore } from '#test/contracts/store.ts';
import { describeAnswers } from './answers.ts';
import { openTestBucket, type TestBucket, underTest } from './bucket.ts';
import { describeMultipart } from './multipart.ts';

let bucket: TestBucket;

beforeAll(async () => {
  bucket = await openTestBucket();
});
afterAll(() => bucket.close());

describeStore('the S3 store', async () => underTest(bucket));
describeMultipart(() => bucket);
describeAnswers(() => bucket);
