/**
 * Makes a bare machine ready: npm packages, redis-server, ffmpeg. Plain JavaScript, so that any Node from
 * 20 on runs it before node_modules/.bin/node (24) exists. Takes milliseconds when nothing is missing.
 *   node scripts/setup.mjs [up|test|more]    `test` needs every tool, whatever the environment names; `more` also
 *                                            what the tests on Ceph, Sentinel, Cluster and docker-compose.yml run, from apt
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const purpose = process.argv[2] ?? 'up';

const forTests = purpose !== 'up';

/** `required` says for which purposes it is an error to go on without; `from` is the package, where its name is another. */
const TOOLS = [
  {
    name: 'redis-server',
    why: 'the queues live in it',
    needed: forTests || !process.env.REDIS_URL,
    required: true,
    wayOut: 'Install Redis 7 by hand, or name a running one in REDIS_URL.',
  },
  {
    name: 'ffmpeg',
    why: 'it makes sample videos',
    needed: true,
    required: forTests,
    wayOut: 'Install it by hand; without it use a video of your own.',
  },
];

const DEBIAN_TOOLS = [
  { name: 'ceph-mon', why: 'the monitor of the Ceph that S3 is tested on' },
  { name: 'ceph-osd', why: 'it keeps the objects of that Ceph' },
  { name: 'ceph-mgr', why: 'Ceph wants its manager' },
  { name: 'radosgw', why: "Ceph's S3" },
  { name: 'ceph', from: 'ceph-common', why: 'it sets that Ceph up' },
  { name: 'curl', why: 'it asks whether Ceph answers, and types the commands of docs/' },
  { name: 'docker-compose', why: 'it checks docker-compose.yml' },
  { name: 'redis-sentinel', why: 'it switches to another Redis when one is lost' },
  { name: 'redis-cli', from: 'redis-tools', why: 'it makes a Cluster of Redis servers' },
  { name: 'python3', why: 'the example in Python is run' },
  { name: 'openssl', why: 'it makes the certificates of a Redis over TLS' },
  { name: 'chromium', why: 'pages are looked at in it' },
].map((tool) => ({ ...tool, needed: purpose === 'more', required: true, wayOut: 'Install it by hand.' }));

installPackages();
requireDebian(DEBIAN_TOOLS.filter(isMissing));
installTools([...TOOLS, ...DEBIAN_TOOLS].filter(isMissing));

function installPackages() {
  const why = outdated();
  if (!why) return;
  say(`${why}: running npm ci`);
  // Quiet: npm may run on an old Node here, and would warn of every package that wants the one it installs.
  if (!run('npm', ['ci', '--loglevel=error'])) fail('npm ci failed; its own words are above.');
}

/** Compares what the lock file asks for with what npm wrote down as installed. */
function outdated() {
  const wanted = packagesIn(join(root, 'package-lock.json'));
  let installed;
  try {
    installed = packagesIn(join(root, 'node_modules/.package-lock.json'));
  } catch {
    return 'node_modules is missing';
  }
  const changed = Object.entries(wanted).some(
    ([path, entry]) => path !== '' && !entry.optional && installed[path]?.version !== entry.version,
  );
  return changed ? 'package-lock.json has changed' : undefined;
}

function packagesIn(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages;
}

function isMissing({ needed, name }) {
  return needed && !onPath(name);
}

function requireDebian(missing) {
  if (missing.length === 0 || onPath('apt-get')) return;
  const names = missing.map((tool) => tool.name).join(', ');
  fail(`These tests need Debian or one of its kin: ${names} would come from apt, which is not here.`);
}

function installTools(missing) {
  if (missing.length === 0) return;
  const install = installer();
  for (const { name, why } of missing) if (install) say(`${name} is missing (${why}): installing it by ${install.by}`);
  if (install?.run(missing.map(({ name, from = name }) => from))) return;
  for (const { name, required, wayOut } of missing.filter(isMissing)) {
    const sentence = `${name} is missing and ${install ? `${install.by} could not install it` : 'neither apt as root or by sudo, nor brew, is here to install it'}. ${wayOut}`;
    if (required) fail(sentence);
    say(sentence);
  }
}

/** The way to install on this machine, undefined when there is none that needs no password prompt. */
function installer() {
  if (onPath('brew')) {
    return {
      by: 'brew',
      run: (names) => run('brew', ['install', ...names.map((n) => n.replace('redis-server', 'redis'))]),
    };
  }
  if (!onPath('apt-get')) return undefined;
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && !canSudo()) return undefined;
  const apt = (args) =>
    isRoot ? quietly('apt-get', args) : quietly('sudo', ['DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args]);
  return {
    by: isRoot ? 'apt' : 'sudo apt',
    run: (names) =>
      apt(['update', '-qq']) &&
      apt(['install', '-y', '-qq', '--no-install-recommends', '-o=Dpkg::Use-Pty=0', ...names]),
  };
}

/** A person at a terminal may be asked for the password; a script may not. */
function canSudo() {
  if (!onPath('sudo')) return false;
  return process.stdin.isTTY || spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
}

function onPath(name) {
  return (process.env.PATH ?? '').split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Output goes to stderr, so that the command behind this one owns stdout. */
function run(command, args, stdout = 2) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync(command, args, { cwd: root, env, stdio: ['inherit', stdout, 2] }).status === 0;
}

/** Without the hundred lines of what went well; errors are shown. */
function quietly(command, args) {
  return run(command, args, 'ignore');
}

function say(sentence) {
  process.stderr.write(`reelay: ${sentence}\n`);
}

function fail(sentence) {
  say(sentence);
  process.exit(1);
}
