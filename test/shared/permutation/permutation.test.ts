import { FeistelPermutation } from '../../../shared/permutation/permutation.js';
import { permutationContract } from './permutation.contract.js';

permutationContract('Feistel', (size, seed) => new FeistelPermutation(size, seed));
