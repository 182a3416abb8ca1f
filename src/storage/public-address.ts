import ipaddr from 'ipaddr.js';

/** All that is routed on the internet; the rest of IPv6, such as the old `::<IPv4>`, is not. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * True for an address that anyone on the internet may be behind; false for loopback, private, link-local (and with it
 * the clouds' metadata services), carrier, multicast, reserved and unparsable ones, also when wrapped in IPv6.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed instanceof ipaddr.IPv6 && !parsed.match(GLOBAL_IPV6)) return false;
  // Every other range has a name of its own, the tunnels through which IPv6 reaches IPv4 too.
  return parsed.range() === 'unicast';
}
