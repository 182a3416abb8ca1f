import type { Deployment, Process } from '#test/deployment.ts';
import { type Addresses, closeLines, environmentOf, type Lines, openLines } from './lines.ts';

const START_TRIES = 3;

/** A place for one process, on lines of its own; who is killed there is started again. */
export interface Member {
  readonly name: string;
  readonly lines: Lines;
  /** Its address; that of the last one, while none runs. */
  url(): string;
  /** True while a process serves there and no other fault has it. */
  isFree(): boolean;
  /** Keeps others from killing it meanwhile. */
  hold<T>(work: () => Promise<T>): Promise<T>;
  /** Kills what runs there at once; resolves when another one serves in its stead. */
  replace(): Promise<void>;
}

/** The processes of a run. */
export interface Crew {
  readonly api: Member;
  readonly workers: readonly Member[];
  /** Everything they said; of those that run still, once it is closed. */
  readonly said: string[];
  /** Resolves when each that was to be started serves. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

export async function startCrew(deployment: Deployment, addresses: Addresses, workers: number): Promise<Crew> {
  const said: string[] = [];
  const starting = new Set<Promise<void>>();
  const atEnd: (() => void)[] = [];
  const note = (name: string, { output }: Process) => {
    for (const line of output().split('\n')) if (line !== '') said.push(`${name} ${line}`);
  };

  async function join(name: string, launch: (env: NodeJS.ProcessEnv) => Promise<Process>): Promise<Member> {
    const lines = await openLines(addresses);
    const start = () => launch(environmentOf(lines));
    let running: Process | undefined = await start();
    let last = running;
    let holders = 0;
    async function replace(): Promise<void> {
      const old = running;
      running = undefined;
      const killed = old?.kill();
      if (old) note(name, old);
      await killed;
      // As a supervisor does: one that could not start is started again.
      for (let tries = 1; running === undefined; tries++) {
        running = await start().catch((error: unknown) => {
          if (tries === START_TRIES) throw error;
          said.push(`${name} did not start: ${error}`);
          return undefined;
        });
      }
      last = running;
    }
    atEnd.push(() => running && note(name, running));
    return {
      name,
      lines,
      url: () => last.url,
      isFree: () => running !== undefined && holders === 0,
      async hold(work) {
        holders += 1;
        return work().finally(() => {
          holders -= 1;
        });
      },
      replace() {
        const replaced = replace().finally(() => starting.delete(replaced));
        starting.add(replaced);
        return replaced;
      },
    };
  }

  const api = await join('api', deployment.startApi);
  const names = Array.from({ length: workers }, (_, at) => `worker-${at + 1}`);
  const members = await Promise.all(names.map((name) => join(name, deployment.startWorker)));
  return {
    api,
    workers: members,
    said,
    settled: async () => void (await Promise.all(starting)),
    async close() {
      await Promise.allSettled(starting);
      await deployment.killAll();
      for (const end of atEnd) end();
      await Promise.all([api, ...members].map(({ lines }) => closeLines(lines)));
    },
  };
}
