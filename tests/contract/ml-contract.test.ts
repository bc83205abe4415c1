import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { ML_ACTIVITY_NAMES, ML_CONTRACT } from '../../src/contracts/schemas/ml.ts';
import { contractFiles } from '../../src/contracts/schemas/published.ts';

const root = join(import.meta.dirname, '..', '..');
const fixtures = join(import.meta.dirname, 'fixtures');
const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

describe('published contract', () => {
  it('is what the schemas generate (npm run contract:generate)', () => {
    const files = contractFiles();
    const published = readdirSync(join(root, 'contract')).filter((name) => name.endsWith('.schema.json'));
    expect(published.toSorted()).toEqual(Object.keys(files).toSorted());
    for (const [name, text] of Object.entries(files)) {
      expect(readFileSync(join(root, 'contract', name), 'utf8'), name).toBe(text);
    }
  });
});

describe.each(ML_ACTIVITY_NAMES)('%s', (name) => {
  describe.each(['input', 'output'] as const)('%s', (side) => {
    const path = join(fixtures, `${name}.${side}.json`);
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(
      readJson(join(root, 'contract', `${name}.${side}.schema.json`)) as object,
    );
    const schema = ML_CONTRACT[name][side];

    it('accepts the fixture that Python reads too, unchanged', () => {
      expect(existsSync(path), `fixture ${path}`).toBe(true);
      const fixture = readJson(path);
      expect(schema.parse(fixture)).toEqual(fixture);
      expect(validate(fixture), JSON.stringify(validate.errors)).toBe(true);
    });

    it('refuses an unknown field, a missing field and NaN, as the JSON Schema does', () => {
      const fixture = readJson(path) as Record<string, unknown>;
      const wrong = [{ ...fixture, surprise: 1 }];
      for (const key of Object.keys(fixture)) {
        const { [key]: _dropped, ...rest } = fixture;
        wrong.push(rest as typeof fixture & { surprise: number });
        if (typeof fixture[key] === 'number') wrong.push({ ...fixture, [key]: null, surprise: 1 });
      }
      for (const candidate of wrong) {
        expect(schema.safeParse(candidate).success, JSON.stringify(candidate)).toBe(false);
        expect(validate(candidate), JSON.stringify(candidate)).toBe(false);
      }
    });
  });
});
