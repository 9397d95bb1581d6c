/** `transect`: all commands there are, one line each. */
import { VERSION } from '../../shared/base/version.js';
import { command, runProgram } from '../../shared/command/program.js';
import { daemonCommand } from './daemon.js';
import { launchCommand } from './launch.js';
import { lookupCommand } from './lookup.js';
import { planCommand } from './plan.js';
import { agentsCommand, cancelCommand, statusCommand } from './questions.js';
import { resultsCommand } from './results.js';
import { scanCommand } from './scan/scan.js';

const program = command('transect', 'surveys address space, from one host or many').version(
  VERSION,
);
program.addCommand(scanCommand());
program.addCommand(daemonCommand());
program.addCommand(planCommand());
program.addCommand(launchCommand());
program.addCommand(statusCommand());
program.addCommand(agentsCommand());
program.addCommand(resultsCommand());
program.addCommand(lookupCommand());
program.addCommand(cancelCommand());

process.exit(await runProgram(program, process.argv.slice(2)));
