/** `transect`: the list of all commands. Only the module of the command that is run is loaded. */
import type { Command } from 'commander';
import { VERSION } from '../../shared/base/version.js';
import { command, runProgram } from '../../shared/command/program.js';

const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  scan: async () => (await import('./scan/scan.js')).scanCommand(),
  coordinator: async () => (await import('./coordinator.js')).coordinatorCommand(),
  plan: async () => (await import('./plan.js')).planCommand(),
  probes: async () => (await import('./probes.js')).probesCommand(),
  authorize: async () => (await import('./authorization/authorize.js')).authorizeCommand(),
  sign: async () => (await import('./authorization/sign.js')).signCommand(),
  launch: async () => (await import('./launch.js')).launchCommand(),
  status: async () => (await import('./status.js')).statusCommand(),
  agents: async () => (await import('./agents.js')).agentsCommand(),
  pause: async () => (await import('./steer/pause.js')).pauseCommand(),
  resume: async () => (await import('./steer/resume.js')).resumeCommand(),
  rate: async () => (await import('./steer/rate.js')).rateCommand(),
  cancel: async () => (await import('./steer/cancel.js')).cancelCommand(),
  results: async () => (await import('./stored/results.js')).resultsCommand(),
  query: async () => (await import('./stored/query.js')).queryCommand(),
  aliases: async () => (await import('./stored/aliases.js')).aliasesCommand(),
  verify: async () => (await import('./stored/verify.js')).verifyCommand(),
  audit: async () => (await import('./stored/audit.js')).auditCommand(),
  canary: async () => (await import('./canary/canary.js')).canaryCommand(),
  lookup: async () => (await import('./lookup.js')).lookupCommand(),
  exclude: async () => (await import('./exclude.js')).excludeCommand(),
  auth: async () => (await import('./auth/auth.js')).authCommand(),
};

const args = process.argv.slice(2);
const [wanted = ''] = args;
// Help, and the error about an unknown command, name all of them.
const names = Object.hasOwn(COMMANDS, wanted) ? [wanted] : Object.keys(COMMANDS);
const program = command('transect', 'survey address space from one host or many').version(VERSION);
for (const load of names.map((name) => COMMANDS[name])) {
  if (load !== undefined) program.addCommand(await load());
}

process.exit(await runProgram(program, args));
