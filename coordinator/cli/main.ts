/** `transect`: all commands there are, one line each. */
import { VERSION } from '../../shared/base/version.js';
import { command, runProgram } from '../../shared/command/program.js';
import { coordinatorCommand } from './coordinator.js';
import { excludeCommand } from './exclude.js';
import { launchCommand } from './launch.js';
import { lookupCommand } from './lookup.js';
import { planCommand } from './plan.js';
import { agentsCommand, statusCommand } from './questions.js';
import { scanCommand } from './scan/scan.js';
import { surveyControlCommands } from './steer.js';
import { queryCommand } from './stored/query.js';
import { resultsCommand } from './stored/results.js';
import { verifyCommand } from './stored/verify.js';

const program = command('transect', 'surveys address space, from one host or many').version(
  VERSION,
);
program.addCommand(scanCommand());
program.addCommand(coordinatorCommand());
program.addCommand(planCommand());
program.addCommand(launchCommand());
program.addCommand(statusCommand());
program.addCommand(agentsCommand());
for (const each of surveyControlCommands()) program.addCommand(each);
program.addCommand(resultsCommand());
program.addCommand(queryCommand());
program.addCommand(verifyCommand());
program.addCommand(lookupCommand());
program.addCommand(excludeCommand());

process.exit(await runProgram(program, process.argv.slice(2)));
