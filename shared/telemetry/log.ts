/**
 * Structured logs through pino, one JSON object per line on stderr. Levels: error = a person must act; warn =
 * something was lost or refused; info = a survey changed state; debug = single shards and messages.
 */
import { pino } from 'pino';

export interface Log {
  error(details: object, message: string): void;
  warn(details: object, message: string): void;
  info(details: object, message: string): void;
  debug(details: object, message: string): void;
  child(details: object): Log;
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'silent';

export function openLog(name: string, level: LogLevel): Log {
  return pino(
    { name, level, base: { pid: process.pid } },
    pino.destination({ dest: 2, sync: true }),
  );
}

/** No-op logger. */
export const silentLog: Log = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => silentLog,
};
