/** `transect`: the list of all commands. */
import { VERSION } from '../../shared/base/version.js';
import { command, runProgram } from '../../shared/command/program.js';
import { agentsCommand } from './agents.js';
import { cancelCommand } from './cancel.js';
import { coordinatorCommand } from './coordinator.js';
import { excludeCommand } from './exclude.js';
import { launchCommand } from './launch.js';
import { lookupCommand } from './lookup.js';
import { pauseCommand } from './pause.js';
import { planCommand } from './plan.js';
import { probesCommand } from './probes.js';
import { rateCommand } from './rate.js';
import { resumeCommand } from './resume.js';
import { scanCommand } from './scan/scan.js';
import { statusCommand } from './status.js';
import { queryCommand } from './stored/query.js';
import { resultsCommand } from './stored/results.js';
import { verifyCommand } from './stored/verify.js';

const program = command('transect', 'survey address space from one host or many').version(VERSION);
program.addCommand(scanCommand());
program.addCommand(coordinatorCommand());
program.addCommand(planCommand());
program.addCommand(probesCommand());
program.addCommand(launchCommand());
program.addCommand(statusCommand());
program.addCommand(agentsCommand());
program.addCommand(pauseCommand());
program.addCommand(resumeCommand());
program.addCommand(rateCommand());
program.addCommand(cancelCommand());
program.addCommand(resultsCommand());
program.addCommand(queryCommand());
program.addCommand(verifyCommand());
program.addCommand(lookupCommand());
program.addCommand(excludeCommand());

process.exit(await runProgram(program, process.argv.slice(2)));
