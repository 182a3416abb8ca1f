import type { FailureRow } from '#errors';

/**
 * Everything that Redis, ioredis and BullMQ are known to say: the first word of a reply, the name or code of an error, or
 * a pattern of its message. Redis' words are those of its source (server.c, cluster.c, script.c); a test holds the rest
 * against the installed packages. What is not here is `INTERNAL`: a fault of ours, which is tried again.
 */
export const REDIS_FAILURES: readonly FailureRow[] = [
  {
    code: 'QUEUE_UNAVAILABLE',
    why: 'Redis takes no writes for now: memory, disk, or a replica too few.',
    says: ['OOM', 'MISCONF', 'NOREPLICAS', 'EXECABORT'],
  },
  {
    code: 'QUEUE_UNAVAILABLE',
    why: 'Another server is the master now, or will be soon.',
    says: ['READONLY', 'MASTERDOWN', 'LOADING', 'NOMASTERLINK', 'NOGOODSLAVE', 'NOQUORUM', 'INPROG', 'UNBLOCKED'],
  },
  {
    code: 'QUEUE_UNAVAILABLE',
    why: 'The Cluster moves slots or has lost some; ioredis follows, and this is what is left when it gave up.',
    says: ['CLUSTERDOWN', 'MOVED', 'ASK', 'TRYAGAIN'],
  },
  {
    code: 'QUEUE_UNAVAILABLE',
    why: "Somebody's script keeps Redis from everything else.",
    says: ['BUSY', 'UNKILLABLE', /^ERR max number of clients/],
  },
  {
    code: 'QUEUE_UNAVAILABLE',
    why: 'Password or rights were changed: nothing is wrong with any file, and work goes on once REDIS_URL is right.',
    says: ['NOAUTH', 'WRONGPASS', 'NOPERM', 'DENIED', 'NOPROTO', /DB index is out of range|SELECT is not allowed/],
  },
  {
    code: 'QUEUE_UNAVAILABLE',
    why: 'There is no connection, or it broke before the answer came.',
    says: [
      ...['AbortError', 'InterruptError', 'MaxRetriesPerRequestError', 'ConnectionClosedError'],
      ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'],
      ...['ENOTFOUND', 'EAI_AGAIN'],
      /^(Connection is (closed|aborted|discarded)|Command (timed out|aborted)|Socket timeout|connect ETIMEDOUT)/,
      /enableOfflineQueue options is false$/,
    ],
  },
  {
    code: 'QUEUE_UNAVAILABLE',
    why: 'No node or Sentinel answers.',
    says: [
      'ClusterAllFailedError',
      /^(Too many Cluster redirections|None of startup nodes is available|All sentinels are unreachable)/,
      /^(Node is disconnected|No master node is available|No subscriber for the cluster|Failed to refresh slots cache)/,
    ],
  },
  {
    code: 'INTERNAL',
    why: 'A command or script of ours is wrong, or a key holds what another version wrote.',
    says: [
      ...['ERR', 'WRONGTYPE', 'CROSSSLOT', 'NOSCRIPT', 'NOTBUSY', 'BUSYKEY', 'BUSYGROUP', 'NOGROUP', 'INVALIDOBJ'],
      ...['IOERR', 'ParserError', 'RedisError'],
    ],
  },
  {
    code: 'INTERNAL',
    why: "BullMQ's answers on a job that is gone, another's by now, or in another state.",
    says: [
      ...['JobNotExist', 'JobLockNotExist', 'JobNotInState', 'JobLockMismatch', 'JobPendingChildren'],
      ...['JobHasFailedChildren', 'ParentJobNotExist', 'ParentJobCannotBeReplaced', 'JobBelongsToJobScheduler'],
      ...['SchedulerJobIdCollision', 'SchedulerJobSlotsBusy'],
    ],
  },
];
