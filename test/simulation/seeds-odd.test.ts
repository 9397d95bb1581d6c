/** The odd half of the seeds: two files, so that two cores share them. */
import { simulateSeeds } from './seeds.js';

simulateSeeds('odd');
