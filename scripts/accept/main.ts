import process from 'node:process';
import { badInput } from './bad-input.ts';
import { chaos } from './chaos.ts';
import { convexAway } from './convex-away.ts';
import { deadLetters } from './dead-letters.ts';
import { engine } from './engine.ts';
import { failover } from './failover.ts';
import { failureVisible } from './failure-visible.ts';
import type { Chapter } from './figures.ts';
import { firstUpload } from './first-upload.ts';
import { largeDisk, largeS3 } from './large-file.ts';
import { manySmall } from './many-small.ts';
import { race } from './race.ts';
import { reconcile } from './reconcile.ts';
import { sameRequest } from './same-request.ts';
import { subscribers } from './subscribers.ts';
import { uploadCrash } from './upload-crash.ts';
import { uploadDir } from './upload-dir.ts';
import { uploadLargeResume } from './upload-large-resume.ts';

const CHAPTERS: readonly Chapter[] = [
  firstUpload,
  manySmall,
  race,
  subscribers,
  largeDisk,
  largeS3,
  uploadDir,
  uploadLargeResume,
  uploadCrash,
  engine,
  failover,
  badInput,
  sameRequest,
  failureVisible,
  deadLetters,
  reconcile,
  convexAway,
  chaos,
];

/** `npm run accept [NAME]`: runs the chapters and prints their figures; exits 1 when one is not met. */
const [wanted] = process.argv.slice(2);
const chosen = CHAPTERS.filter(({ name }) => wanted === undefined || name === wanted);
if (chosen.length === 0) {
  process.stderr.write(`There is no chapter ${wanted}; there are ${CHAPTERS.map(({ name }) => name).join(', ')}.\n`);
  process.exit(2);
}
let allMet = true;
for (const chapter of chosen) {
  process.stdout.write(`\n${chapter.name}: ${chapter.command}\n`);
  for (const { what, figure, goal, met } of await chapter.run()) {
    process.stdout.write(`  ${met ? 'met   ' : 'NOT MET'} ${what}: ${figure} (goal ${goal})\n`);
    allMet &&= met;
  }
}
process.exit(allMet ? 0 : 1);
