/**
 * The signal that stops a program, or a part of it. Many loops listen to it for as long as they run, so
 * Node's warning about listener leaks is off.
 */
import { setMaxListeners } from 'node:events';

export function stopController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
