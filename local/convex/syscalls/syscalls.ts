import type { JSONValue } from 'convex/values';
import { type Call, currentCall } from '#local/convex/functions/call.ts';
import { chargeUserTime, refuseOvertime, startUserTime } from '#local/convex/functions/user-time.ts';
import { type DatabaseHost, databaseSyscalls, databaseSyscallsNow } from './database-syscalls.ts';
import { type FunctionHost, functionSyscalls } from './function-syscalls.ts';

export type Fields = { [field: string]: JSONValue };
/** Answers a syscall in JSON text. */
export type Syscall<Answer> = (args: Fields, call: Call) => Answer;

/** The `globalThis.Convex` that functions built with `convex/server` talk to. All in JSON texts. */
export function syscallsFor(host: DatabaseHost & FunctionHost) {
  const sync: Record<string, Syscall<string>> = databaseSyscallsNow(host);
  const async: Record<string, Syscall<string | Promise<string>>> = {
    ...databaseSyscalls(host),
    ...functionSyscalls(host),
  };
  return {
    syscall: (op: string, args: string) => ask(sync, op, args),
    asyncSyscall: async (op: string, args: string) => ask(async, op, args),
    jsSyscall: (op: string) => {
      throw new Error(`${op} is not supported by this engine.`);
    },
  };
}

function ask<Answer>(syscalls: Record<string, Syscall<Answer>>, op: string, args: string): Answer {
  const call = currentCall.getStore();
  if (!call) throw new Error('The Convex database was used outside of a Convex function.');
  if (call.ended) throw new Error('The function has ended, it can read no more.');
  chargeUserTime(call);
  refuseOvertime(call);
  const syscall = syscalls[op];
  if (!syscall) throw new Error(`${op.replace(/^1\.0\//, '')} is not supported by this engine.`);
  const answer = syscall(JSON.parse(args) as Fields, call);
  startUserTime();
  return answer;
}
