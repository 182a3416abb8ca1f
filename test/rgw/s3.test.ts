import { afterAll, beforeAll } from 'vitest';
import { describeAnswers } from './answers.ts';
import { openTestBucket, type TestBucket } from './bucket.ts';
import { describeEncryption } from './encryption.ts';
import { describeExamination } from './examine.ts';
import { describeLocks } from './locks.ts';
import { describeMultipart } from './multipart.ts';
import { describeResumption } from './resumption.ts';
import { describeWrongBytes } from './wrong-bytes.ts';

let bucket: TestBucket;

beforeAll(async () => {
  bucket = await openTestBucket();
});
afterAll(() => bucket.close());

describeMultipart(() => bucket);
describeResumption(() => bucket);
describeWrongBytes(() => bucket);
describeAnswers(() => bucket);
describeEncryption(() => bucket);
describeLocks(() => bucket);
describeExamination(() => bucket);
