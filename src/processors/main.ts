#!/usr/bin/env node
import { compose } from '#compose';
import { runProcess } from '#process';
import { startWorker } from './start.ts';

await runProcess(async (config) => startWorker(await compose(config, 'worker', 'worker'), config));
