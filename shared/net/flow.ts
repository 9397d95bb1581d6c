/** The flow of one probe as its sender sees it; refilled for each, on both sides of the network. */
import { Endpoint } from './endpoint.js';
import { Target } from './target.js';

export class Flow {
  /** Our address and port. */
  readonly source = new Endpoint();
  readonly target = new Target();
}
