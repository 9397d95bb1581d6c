import { FeistelPermutation } from '../../../shared/permutation/feistel.js';
import { permutationContract } from './permutation.contract.js';

permutationContract('Feistel', (size, seed) => new FeistelPermutation(size, seed));
