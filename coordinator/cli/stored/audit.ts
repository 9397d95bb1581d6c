/** `transect audit`: lists the requests that changed something, and checks that none was altered. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { Fault } from '../../../shared/base/faults.js';
import { fingerprint } from '../../../shared/bus/signature.js';
import { command, option } from '../../../shared/command/program.js';
import { systemDisk } from '../../../shared/host/disk.js';
import { AUDIT_FILE, type AuditEntry, readAuditLog } from '../../evidence/audit-log.js';
import { plural, printNote, printOut } from '../output/print.js';

export function auditCommand(): Command {
  const about = 'list the requests that changed something, and check that none was altered';
  return command('audit', about)
    .argument('<data>', "the coordinator's data folder")
    .addOption(option('--json', 'print a JSON object per line'))
    .action(audit);
}

async function audit(data: string, { json }: { readonly json?: boolean }): Promise<void> {
  const file = join(data, AUDIT_FILE);
  if ((await systemDisk.size(file)) === 0)
    throw new Fault('NOT_FOUND', 'the folder has no audit log', { file });
  const keys = new Set<string>();
  let count = 0;
  for await (const { signed, ...entry } of readAuditLog(systemDisk, file)) {
    count++;
    keys.add(fingerprint(signed));
    await printOut(json ? JSON.stringify(entry) : describe(entry));
  }
  printNote(`${plural(count, 'request')}, none altered; signed by ${[...keys].join(', ')}`);
}

function describe({ at, person, verb, outcome, request }: AuditEntry): string {
  const result = outcome === 'done' ? '' : ` (${outcome})`;
  const details = Object.entries(request).map(
    ([name, value]) => `${name}=${JSON.stringify(value)}`,
  );
  return `${at}  ${person} ${verb}${result}  ${details.join(' ')}`;
}
