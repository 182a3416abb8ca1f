import ipaddr from 'ipaddr.js';

/** All that is routed on the internet; the rest of IPv6, such as the old `::<IPv4>`, is not. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');

/** Where clouds tell a machine about itself, its credentials too. Azure's second one looks public. */
const METADATA_SERVICES = new Set([
  '169.254.169.254',
  // AWS: tasks of ECS, pods of EKS, and IPv6.
  '169.254.170.2',
  '169.254.170.23',
  'fd00:ec2::254',
  'fd00:ec2::23',
  // Alibaba, Azure, Oracle.
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
]);

/** ipaddr.js takes such an address for `::ffff:<IPv4>`; the system does not. */
const IPV4_COMPATIBLE = /^::\d+\./;

/**
 * True for an address that anyone on the internet may be behind; false for loopback, private, link-local, carrier,
 * multicast, reserved and unparsable ones and for the clouds' metadata services, also when wrapped in IPv6.
 */
export function isPublicAddress(address: string): boolean {
  const parsed = parse(address);
  if (parsed === undefined) return false;
  if (parsed instanceof ipaddr.IPv6 && !parsed.match(GLOBAL_IPV6)) return false;
  // Every other range has a name of its own, the tunnels through which IPv6 reaches IPv4 too.
  return parsed.range() === 'unicast';
}

/**
 * The judge of addresses that may be connected to: public ones, and those in `cidrs` that serve no cloud's metadata.
 * An IPv4 address wrapped as `::ffff:…` is judged as itself.
 */
export function judgeAddresses(cidrs: readonly string[]): (address: string) => boolean {
  const ranges = cidrs.map((cidr) => ipaddr.parseCIDR(cidr));
  return (address) => {
    if (isPublicAddress(address)) return true;
    const parsed = parse(address);
    return ranges.some(([net, bits]) => net.kind() === parsed?.kind() && parsed.match(net, bits));
  };
}

/** Undefined for what is never allowed: no address, one with a zone (it names an interface of ours), a metadata service. */
function parse(address: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  if (!ipaddr.isValid(address) || address.includes('%') || IPV4_COMPATIBLE.test(address)) return undefined;
  const parsed = ipaddr.process(address);
  return METADATA_SERVICES.has(parsed.toString()) ? undefined : parsed;
}
