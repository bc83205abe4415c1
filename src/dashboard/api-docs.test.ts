import { afterAll, describe, expect, it } from 'vitest';
import { openApiAway } from '../../tests/support/api-away.ts';
import { describeApi } from '../api/openapi.ts';
import { docsOf, fieldsOf, type JsonSchema, typeOf } from './api-docs.ts';

const away = openApiAway();
afterAll(() => away.close());
const docs = docsOf(describeApi(away.app));
const find = (id: string) => docs.groups.flatMap(({ operations }) => operations).find((one) => one.id === id);
const schema = (given: Partial<JsonSchema>): JsonSchema => ({ required: [], ...given });

describe('the OpenAPI document as a page tells it', () => {
  it('says what a call takes, answers and refuses, and how it is made', () => {
    const type = [{ schema: 'RunDone' }];
    expect(find('post-scheduler-run_task-task_id')).toMatchObject({
      method: 'POST',
      path: '/scheduler/run_task/{task_id}',
      isOpen: false,
      parameters: [
        { name: 'task_id', place: 'path', required: true, type: ['whole number, 1 to 6'] },
        { name: 'sessionDate', place: 'query', required: false, type: ['date'] },
        { name: 'universe', about: 'Default: that of the newest night that ran; matches ^[\\w.-]{1,64}$' },
        { name: 'force', type: ['true | false'] },
        { name: 'wait', type: ['whole number, 0 to 600'] },
        { name: 'idempotency-key', place: 'header', type: ['text, at most 200 characters'] },
      ],
      body: null,
      answers: [
        { status: '200', bodies: [{ media: 'application/json', type, fields: [] }] },
        { status: '202', bodies: [{ type: [{ schema: 'RunAccepted' }] }] },
      ],
      problems: ['400', '401', '403', '409', '429', '503'],
      curl: 'curl -H "Authorization: Bearer $TOKEN" -X POST "$API/scheduler/run_task/1"',
    });
    expect(find('post-api-v1-runs-runId-review')).toMatchObject({
      body: {
        required: true,
        fields: [{ name: 'decision', type: ['retry | skip | abort'], required: true }, {}],
      },
      curl: `curl -H "Authorization: Bearer $TOKEN" -X POST -H 'content-type: application/json' -d '{"decision":"retry","why":"…"}' "$API/api/v1/runs/$RUN_ID/review"`,
    });
    expect(find('get-healthz')).toMatchObject({ isOpen: true, curl: 'curl "$API/healthz"' });
    expect(find('get-readyz')?.problems).toEqual(['401', '429', '503']);
    expect(find('get-readyz')?.answers.map(({ status }) => status)).toEqual(['200', '503']);
  });

  it('has each status of a problem once, and every schema that is referred to', () => {
    const statuses = docs.problems.map(({ status }) => status);
    expect(statuses).toEqual([...new Set(statuses)].toSorted());
    expect(docs.problems.find(({ status }) => status === '409')?.about).toMatch(/^Not now/);
    const named = [...JSON.stringify(docs).matchAll(/"schema":"([^"]+)"/g)].map(([, one]) => one);
    const known = docs.schemas.map(({ name }) => name);
    expect(known).toEqual(expect.arrayContaining(named));
    expect(named.length).toBeGreaterThan(50);
  });

  it.each([
    [{ type: ['string', 'null'], format: 'date' }, 'date or null'],
    [{ anyOf: [schema({ $ref: '#/components/schemas/Run' }), schema({ type: 'null' })] }, 'Run or null'],
    [{ allOf: [schema({ $ref: '#/components/schemas/Run' })] }, 'Run'],
    [{ type: 'array', items: schema({ type: 'integer' }) }, 'list of whole number'],
    [{ type: 'object', additionalProperties: schema({ type: 'number' }) }, 'object of number'],
    [{ type: 'object', additionalProperties: schema({}) }, 'object'],
    [{ type: 'boolean', const: true }, 'true'],
    [{ type: 'number', minimum: 0, maximum: 1 }, 'number, 0 to 1'],
    [{}, 'anything'],
  ] as const)('%j is %s', (given, words) => {
    const parts = typeOf(schema(given as Partial<JsonSchema>));
    expect(parts.map((part) => (typeof part === 'string' ? part : part.schema)).join('')).toBe(words);
  });

  it('names the fields inside fields', () => {
    const inner = schema({ type: 'object', properties: { ratio: schema({ type: 'number' }) } });
    const properties = {
      one: inner,
      list: schema({ type: 'array', items: inner }),
      by: schema({ type: 'object', additionalProperties: inner }),
    };
    const names = fieldsOf(schema({ type: 'object', properties })).map(({ name }) => name);
    expect(names).toEqual(['one', 'one.ratio', 'list', 'list[].ratio', 'by', 'by.*.ratio']);
  });
});

describe('/docs', () => {
  it('shows every operation of the document to whoever has a token, with no script or style in it', async () => {
    const ask = async (token: string) =>
      await away.app.request('/docs', { headers: { authorization: `Bearer ${token}`, accept: 'text/html' } });
    expect((await ask('nst_guess')).status).toBe(401);
    const answer = await ask(away.token('viewer').text);
    expect(answer.status).toBe(200);
    const page = await answer.text();
    for (const { operations } of docs.groups)
      for (const { id, path, method } of operations) {
        expect(page, id).toContain(`id="${id}"`);
        expect(page, id).toContain(`${method} ${path}`);
      }
    const anchors = [...page.matchAll(/ id="([^"]+)"/g)].map(([, one]) => one);
    expect(anchors).toEqual([...new Set(anchors)]);
    for (const [, target] of page.matchAll(/href="#([^"]+)"/g)) expect(anchors).toContain(target);
    expect(page).not.toMatch(/<style|style=|<script(?![^>]* src=)| on\w+="/);
    const anonymous = await away.app.request('/docs', { headers: { accept: 'text/html' } });
    expect(anonymous.headers.get('location')).toBe('/login?next=%2Fdocs');
  });
});
