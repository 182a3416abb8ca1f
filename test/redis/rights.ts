/** The rights of Reelay's user, as docs/redis.md lists them for prefix `reelay`. */
export const RIGHTS = [
  'resetkeys ~reelay:* ~{reelay:* resetchannels &reelay:*',
  '-@all +@read +@write +@transaction +@scripting +@pubsub +@connection -@dangerous -@admin',
  '+info +client|list +wait +time +cluster|slots +cluster|info',
].join(' ');
