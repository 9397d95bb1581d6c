/** Simulates the odd seeds; the even ones have a file of their own, so that two cores share the work. */
import { simulateSeeds } from './seeds.js';

simulateSeeds('odd');
