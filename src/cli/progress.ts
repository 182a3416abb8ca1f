import { SingleBar } from 'cli-progress';
import { count, type Output, sizeText } from './output.ts';

/** How far an upload is: bytes while sending, files while the API works. */
export interface Progress {
  sending(files: number, bytes: number): void;
  sent(bytes: number): void;
  processing(files: number): void;
  processed(files: number): void;
  /** A line for those who see no bar. */
  line(text: string): void;
  stop(): void;
}

/** A bar where a person watches, lines elsewhere. */
export function createProgress(output: Output): Progress {
  return output.interactive ? barProgress(output) : lineProgress(output);
}

function lineProgress(output: Output): Progress {
  return {
    sending: (files, bytes) => output.note(`sending ${count(files, 'file')}, ${sizeText(bytes)}`),
    sent: () => {},
    processing: (files) => output.note(`processing ${count(files, 'file')}`),
    processed: () => {},
    line: (text) => output.note(text),
    stop: () => {},
  };
}

function barProgress(output: Output): Progress {
  const open = (format: string, total: number) => {
    const bar = new SingleBar({ stream: output.stderr, format, barsize: 30, hideCursor: true, clearOnComplete: true });
    bar.start(total, 0);
    return bar;
  };
  let bar: SingleBar | undefined;
  const change = (format: string, total: number) => {
    bar?.stop();
    bar = open(format, total);
  };
  return {
    sending: (files, bytes) =>
      change(
        `sending    {bar} {percentage}% of ${sizeText(bytes)} in ${count(files, 'file')}, {eta_formatted} left`,
        bytes,
      ),
    sent: (bytes) => bar?.increment(bytes),
    processing: (files) => change('processing {bar} {value} of {total} files, {duration_formatted}', files),
    processed: (files) => bar?.update(files),
    line: () => {},
    stop: () => bar?.stop(),
  };
}
