import { expect, test } from 'vitest';
import { Surveys } from '../../coordinator/survey/surveys.js';

test('an empty name matches no survey, however few there are', async () => {
  const surveys = new Surveys(async () => undefined);
  await expect(surveys.find('')).rejects.toMatchObject({ code: 'BAD_OPTION' });
  await expect(surveys.find('x')).rejects.toMatchObject({ code: 'UNKNOWN_SURVEY' });
});
