import { SingleBar } from 'cli-progress';
import type { UploadProgress } from '#client/node.ts';
import { count, type Output, sizeText } from './output.ts';
import { createRate } from './rate.ts';

/** How far an upload is: bytes while sending, files while the API works. */
export interface Progress {
  update(progress: UploadProgress): void;
  /** A line for those who see no bar. */
  line(text: string): void;
  /** A line for everybody. */
  note(text: string): void;
  stop(): void;
}

/** A bar where a person watches, lines elsewhere. */
export function createProgress(output: Output, clock = Date.now): Progress {
  return output.interactive ? barProgress(output, clock) : lineProgress(output);
}

function lineProgress(output: Output): Progress {
  let phase: UploadProgress['phase'] | undefined;
  return {
    update(progress) {
      if (progress.phase === phase) return;
      phase = progress.phase;
      for (const line of openingLines(progress)) output.note(line);
    },
    line: (text) => output.note(text),
    note: (text) => output.note(text),
    stop: () => {},
  };
}

function openingLines({ phase, files, bytes, already, awaited }: UploadProgress): string[] {
  if (phase === 'processing') return awaited > 0 ? [`processing ${count(awaited, 'file')}`] : [];
  const there = already > 0 ? [`${count(already, 'file')} already there`] : [];
  return files > 0 ? [...there, `sending ${count(files, 'file')}, ${sizeText(bytes)}`] : there;
}

const SENDING = 'sending    {bar} {percentage}% | {files} files | {size} | {rate} | {left} left';
const PROCESSING = 'processing {bar} {value} of {total} files, {duration_formatted}';

function barProgress(output: Output, clock: () => number): Progress {
  let bar: SingleBar | undefined;
  let phase: UploadProgress['phase'] | undefined;
  const rate = createRate(clock);

  const open = (format: string) => {
    bar?.stop();
    bar = new SingleBar({ stream: output.stderr, format, barsize: 20, hideCursor: true, clearOnComplete: true });
    return bar;
  };
  const payload = ({ files, sentFiles, bytes, sentBytes }: UploadProgress) => ({
    files: `${sentFiles.toLocaleString('en')}/${files.toLocaleString('en')}`,
    size: `${sizeText(sentBytes)} of ${sizeText(bytes)}`,
    rate: rate.text(),
    left: rate.left(bytes - sentBytes),
  });
  return {
    update(progress) {
      const { bytes, sentBytes, awaited, ended, already } = progress;
      const begins = progress.phase !== phase;
      phase = progress.phase;
      if (phase === 'sending') {
        rate.add(sentBytes);
        if (!begins) bar?.update(sentBytes, payload(progress));
        else {
          if (already > 0) output.note(`${count(already, 'file')} already there`);
          if (bytes > 0) open(SENDING).start(bytes, sentBytes, payload(progress));
        }
      } else if (begins && awaited > 0) open(PROCESSING).start(awaited, ended);
      else if (!begins) bar?.update(ended);
    },
    line: () => {},
    note(text) {
      output.stderr.write(`\r\u001b[K${text}\n`);
    },
    stop: () => bar?.stop(),
  };
}
