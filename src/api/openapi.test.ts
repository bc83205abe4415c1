import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRoute, z } from '@hono/zod-openapi';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { openApiAway } from '../../tests/support/api-away.ts';
import { describeApi } from './openapi.ts';
import { isOfTheApi } from '../../tests/support/api-asker.ts';
import { newRouter } from './router.ts';

// The parts of OpenAPI 3.1 this document uses; anything else is a mistake here. Schemas are for the JSON Schema part.
const name = z.string().regex(/^[\w.-]+$/);
const schema = z.record(z.string(), z.unknown());
const MEDIA = [
  'application/json',
  'application/problem+json',
  'application/x-ndjson',
  'text/csv',
  'text/plain',
];
const content = z.partialRecord(z.enum(MEDIA), z.strictObject({ schema }));
const parameter = z.discriminatedUnion('in', [
  z.strictObject({
    in: z.literal('path'),
    name,
    required: z.literal(true),
    description: z.string().optional(),
    schema,
  }),
  z.strictObject({
    in: z.enum(['query', 'header']),
    name,
    required: z.boolean(),
    description: z.string().optional(),
    schema,
  }),
]);
const security = z.array(z.record(name, z.tuple([])));
const operation = z.strictObject({
  tags: z.tuple([z.string()]),
  summary: z.string().min(1),
  security: security.optional(),
  parameters: z.array(parameter).optional(),
  requestBody: z.strictObject({ content, required: z.boolean() }).optional(),
  responses: z.record(
    z.string().regex(/^[2-5]\d\d$/),
    z.strictObject({ description: z.string().min(1), content }),
  ),
});
type Operation = z.infer<typeof operation>;
const documentSchema = z.strictObject({
  openapi: z.literal('3.1.0'),
  info: z.strictObject({ title: z.string(), version: z.string(), description: z.string() }),
  security,
  paths: z.record(z.string().startsWith('/'), z.partialRecord(z.enum(['get', 'post']), operation)),
  components: z.strictObject({
    schemas: z.record(name, schema),
    parameters: z.strictObject({}),
    securitySchemes: z.strictObject({
      token: z.strictObject({ type: z.literal('http'), scheme: z.literal('bearer') }),
    }),
  }),
  webhooks: z.strictObject({}),
});

const api = openApiAway();
afterAll(() => api.close());
const { body } = await api.ask('GET', '/openapi.json', { token: api.token('viewer').text });
const document = documentSchema.parse(body);
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, one]) => ({ route: `${method.toUpperCase()} ${path}`, path, ...one })),
);
const PROBLEM = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
const codesOf = ({ responses }: Pick<Operation, 'responses'>): number[] => Object.keys(responses).map(Number);

describe('the OpenAPI document', () => {
  it('has every route of the API and nothing else', () => {
    const routes = api.app.routes
      .filter(({ method, path }) => method !== 'ALL' && isOfTheApi(path))
      .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
    expect(operations.map(({ route }) => route).sort()).toEqual([...new Set(routes)].sort());
    expect(operations.length).toBeGreaterThan(20);
  });

  it('names each parameter of a path, and no other', () => {
    for (const { route, path, parameters = [] } of operations) {
      const inPath = parameters.filter((one) => one.in === 'path').map((one) => one.name);
      expect(inPath, route).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, one]) => one));
      const all = parameters.map((one) => `${one.in} ${one.name}`);
      expect(all, route).toEqual([...new Set(all)]);
    }
  });

  it('says of numbers and flags in paths and queries what they may be', () => {
    const schemaOf = (route: string, name: string): unknown =>
      operations.find((one) => one.route === route)?.parameters?.find((one) => one.name === name)?.schema;
    const description = expect.any(String) as string;
    const run = 'POST /scheduler/run_task/{task_id}';
    expect(schemaOf(run, 'task_id')).toEqual({ type: 'integer', minimum: 1, maximum: 6 });
    expect(schemaOf(run, 'wait')).toEqual({ type: 'integer', minimum: 0, maximum: 600, description });
    expect(schemaOf(run, 'force')).toEqual({ type: 'string', enum: ['true', 'false'], description });
    const limit = { type: 'integer', minimum: 1, maximum: 200, default: 50 };
    expect(schemaOf('GET /api/v1/runs', 'limit')).toEqual(limit);
  });

  it('has schemas of JSON Schema 2020-12 whose references lead somewhere', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false, logger: false });
    const { components } = document;
    const used = operations.flatMap(({ route, parameters = [], requestBody, responses }) => [
      ...parameters.map((one) => [`${route} ${one.name}`, one.schema] as const),
      ...[requestBody, ...Object.values(responses)].flatMap((one) =>
        Object.values(one?.content ?? {}).flatMap((media) =>
          media === undefined ? [] : [[route, media.schema] as const],
        ),
      ),
    ]);
    for (const [where, one] of [...Object.entries(components.schemas), ...used]) {
      expect(ajv.validateSchema(one), `${where}: ${ajv.errorsText()}`).toBe(true);
      for (const [, target] of JSON.stringify(one).matchAll(/"\$ref":"([^"]*)"/g)) {
        const [, key = ''] = /^#\/components\/schemas\/([\w.-]+)$/.exec(target ?? '') ?? [];
        expect(Object.keys(components.schemas), `${where}: ${target}`).toContain(key);
      }
    }
    expect(used.length).toBeGreaterThan(100);
    expect(ajv.validateSchema({ type: 'text' })).toBe(false);
  });

  it('tells for every route with which problems it answers', () => {
    for (const one of operations) {
      const { route, security: own, parameters = [], requestBody, responses } = one;
      const isOpen = own?.length === 0;
      const isAct = route.startsWith('POST ');
      const hasInput = requestBody !== undefined || parameters.some(({ schema }) => !('$ref' in schema));
      // Others may have nothing to say of a night either.
      const isById = /\{(?!task)\w+\}/.test(route);
      const expected = [
        429,
        ...(isOpen ? [] : [401, 503]),
        ...(hasInput ? [400] : []),
        ...(isAct ? [403] : []),
        ...(isById ? [404] : []),
        ...(requestBody === undefined ? [] : [413, 415]),
      ];
      const problems = codesOf(one).filter((code) => code >= 400 && code !== 409 && (isById || code !== 404));
      expect(problems, route).toEqual(expected.toSorted((a, b) => a - b));
      for (const code of [...problems, ...codesOf(one).filter((other) => other === 409)])
        expect(responses[String(code)]?.content, `${route} ${code}`).toMatchObject(PROBLEM);
      expect(codesOf(one).filter((code) => code < 300).length, route).toBeGreaterThan(0);
    }
    expect(operations.filter(({ security: own }) => own !== undefined).map(({ route }) => route)).toEqual([
      'GET /healthz',
    ]);
  });

  it('describes the report as the published contract does', () => {
    const text = readFileSync(join(projectRoot, 'contract', 'run-report.schema.json'), 'utf8');
    const {
      $schema: _draft,
      title: _title,
      $defs,
      ...published
    } = JSON.parse(text) as Record<string, object>;
    const { RunReport: report, ...others } = document.components.schemas;
    const places = [report, ...Object.entries(others).filter(([key]) => key.startsWith('RunReport.'))];
    const said = JSON.stringify(places).replaceAll('#/components/schemas/RunReport.', '#/$defs/__');
    expect(JSON.parse(said)).toEqual([
      { description: 'As `nightly --json` writes it', ...published },
      ...Object.entries($defs ?? {}).map(([key, one]) => [key.replace('__', 'RunReport.'), one]),
    ]);
  });
});

describe('a route that cannot be described', () => {
  it('stops the start, and is named', () => {
    const routeOf = (path: string, schema: z.ZodType) =>
      createRoute({
        method: 'post',
        path,
        responses: { 200: { description: 'x', content: { 'application/json': { schema } } } },
      });
    const router = newRouter();
    for (const [path, one] of [
      ['/right', z.string()],
      ['/wrong', z.map(z.string(), z.string())],
    ] as const)
      router.openapi(routeOf(path, one), (c) => c.json(null, 200));
    expect(() => describeApi(router)).toThrow(
      /^OpenAPI: POST \/wrong cannot be described: Unknown zod object type/,
    );
  });
});
