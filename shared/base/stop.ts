/**
 * The one signal that ends a program or a part of it. Many loops listen to it for as long as they
 * run, which is what Node would otherwise warn of as a leak.
 */
import { setMaxListeners } from 'node:events';

export function stopController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
