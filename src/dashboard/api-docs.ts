import { z } from 'zod';

const words = z.string().optional();
const count = z.number().optional();
/** The parts of JSON Schema that say something to a reader. */
const jsonSchema = z.object({
  $ref: words,
  type: z.union([z.string(), z.array(z.string())]).optional(),
  format: words,
  enum: z.array(z.unknown()).optional(),
  const: z.unknown().optional(),
  example: z.unknown().optional(),
  default: z.unknown().optional(),
  description: words,
  pattern: words,
  minimum: count,
  maximum: count,
  maxLength: count,
  required: z.array(z.string()).default([]),
  get properties() {
    return z.record(z.string(), jsonSchema).optional();
  },
  get items() {
    return jsonSchema.optional();
  },
  get additionalProperties() {
    return z.union([z.boolean(), jsonSchema]).optional();
  },
  get anyOf() {
    return z.array(jsonSchema).optional();
  },
  get oneOf() {
    return z.array(jsonSchema).optional();
  },
  get allOf() {
    return z.array(jsonSchema).optional();
  },
});
export type JsonSchema = z.infer<typeof jsonSchema>;

const media = z.record(z.string(), z.object({ schema: jsonSchema }));
const operationSchema = z.object({
  tags: z.tuple([z.string()]),
  summary: z.string(),
  security: z.array(z.unknown()).optional(),
  parameters: z
    .array(
      z.object({
        name: z.string(),
        in: z.string(),
        required: z.boolean(),
        description: words,
        schema: jsonSchema,
      }),
    )
    .default([]),
  requestBody: z.object({ required: z.boolean(), content: media }).optional(),
  responses: z.record(z.string(), z.object({ description: z.string(), content: media.default({}) })),
});
const documentSchema = z.object({
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
  components: z.object({ schemas: z.record(z.string(), jsonSchema) }),
});

/** Words about a type; a part that is an object is the name of a schema with its own place on the page. */
export type TypeWords = readonly (string | { schema: string })[];
/** `required`: in what is sent it has to be there, in an answer it always is. */
export type Field = { name: string; type: TypeWords; required: boolean; about: string };
type Parameter = Field & { place: string };
type Answer = {
  status: string;
  about: string;
  bodies: { media: string; type: TypeWords; fields: Field[] }[];
};

export type Operation = {
  id: string;
  method: string;
  path: string;
  summary: string;
  isOpen: boolean;
  parameters: Parameter[];
  body: { required: boolean; fields: Field[] } | null;
  answers: Answer[];
  /** Statuses of problem details. */
  problems: string[];
  curl: string;
};
export type ApiDocs = {
  groups: { tag: string; operations: Operation[] }[];
  /** What each status of a problem means. */
  problems: { status: string; about: string }[];
  schemas: { name: string; about: string; type: TypeWords; fields: Field[] }[];
};

const JSON_TYPE = 'application/json';
const PROBLEM_TYPE = 'application/problem+json';

/** An OpenAPI document as its page tells it. Throws for a document with parts that the page does not know. */
export function docsOf(document: unknown): ApiDocs {
  const { paths, components } = documentSchema.parse(document);
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, one]) => ({ tag: one.tags[0], ...operationOf(path, method, one) })),
  );
  const tags = [...new Set(operations.map(({ tag }) => tag))];
  const problems = new Map<string, string>();
  for (const item of Object.values(paths))
    for (const { responses } of Object.values(item))
      for (const [status, { description, content }] of Object.entries(responses))
        if (isProblem(content)) problems.set(status, description);
  return {
    groups: tags.map((tag) => ({ tag, operations: operations.filter((one) => one.tag === tag) })),
    problems: [...problems].map(([status, about]) => ({ status, about })).toSorted(byStatus),
    schemas: Object.entries(components.schemas).map(([name, schema]) => ({
      name,
      about: schema.description ?? '',
      type: typeOf(schema),
      fields: fieldsOf(schema),
    })),
  };
}

function byStatus(one: { status: string }, other: { status: string }): number {
  return Number(one.status) - Number(other.status);
}

function isProblem(content: object): boolean {
  return Object.keys(content).every((type) => type === PROBLEM_TYPE) && PROBLEM_TYPE in content;
}

function operationOf(path: string, method: string, given: z.infer<typeof operationSchema>): Operation {
  const { summary, security, parameters, requestBody, responses } = given;
  const body = requestBody?.content[JSON_TYPE]?.schema;
  const answers = Object.entries(responses);
  return {
    id: `${method}${path.replaceAll(/[^\w.]+/g, '-').replace(/-$/, '')}`,
    method: method.toUpperCase(),
    path,
    summary,
    isOpen: security?.length === 0,
    parameters: parameters.map(({ name, in: place, required, description, schema }) => ({
      name,
      place,
      required,
      type: typeOf(schema),
      about: aboutOf({ ...schema, description }),
    })),
    body: body === undefined ? null : { required: requestBody?.required ?? false, fields: fieldsOf(body) },
    answers: answers
      .filter(([, { content }]) => !isProblem(content))
      .map(([status, { description, content }]) => ({
        status,
        about: description,
        bodies: Object.entries(content)
          .filter(([type]) => type !== PROBLEM_TYPE)
          .map(([type, { schema }]) => ({ media: type, type: typeOf(schema), fields: fieldsOf(schema) })),
      })),
    problems: answers.filter(([, { content }]) => PROBLEM_TYPE in content).map(([status]) => status),
    curl: curlOf(path, method, given),
  };
}

/** A type in words. */
export function typeOf(schema: JsonSchema): TypeWords {
  const { $ref, type, allOf = [], anyOf, oneOf, items, additionalProperties: others, properties } = schema;
  if ($ref !== undefined) return [{ schema: $ref.replace(/^#\/components\/schemas\//, '') }];
  const choices = anyOf ?? oneOf;
  if (choices !== undefined) return joined(choices.map(typeOf), ' or ');
  const [only] = allOf;
  if (only !== undefined && type === undefined) return typeOf(only);
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.enum !== undefined)
    return [
      schema.enum.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))).join(' | '),
    ];
  if (Array.isArray(type))
    return joined(
      type.map((one) => typeOf({ ...schema, type: one })),
      ' or ',
    );
  if (type === 'array') return ['list of ', ...(items === undefined ? ['anything'] : typeOf(items))];
  if (type === 'object' && properties === undefined)
    return typeof others === 'object' && Object.keys(others).length > 1
      ? ['object of ', ...typeOf(others)]
      : ['object'];
  return [type === undefined ? 'anything' : simpleType(type, schema)];
}

function simpleType(type: string, { format, minimum, maximum, maxLength }: JsonSchema): string {
  if (type === 'string') {
    const most = maxLength === undefined ? '' : `, at most ${maxLength} characters`;
    return `${format ?? 'text'}${most}`;
  }
  const range =
    minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER
      ? `, ${minimum} to ${maximum}`
      : '';
  return type === 'integer' ? `whole number${range}` : `${type}${range}`;
}

function joined(parts: readonly TypeWords[], between: string): TypeWords {
  return parts.flatMap((part, index) => (index === 0 ? part : [between, ...part]));
}

/** The fields of an object, those of objects inside it too: `coverage.ratio`, `absent[].symbol`. */
export function fieldsOf(schema: JsonSchema, prefix = ''): Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]): Field[] => {
    const name = `${prefix}${key}`;
    const own: Field = {
      name,
      type: typeOf(value),
      required: schema.required.includes(key),
      about: aboutOf(value),
    };
    const { additionalProperties: others } = value;
    return [
      own,
      ...fieldsOf(value, `${name}.`),
      ...(value.items === undefined ? [] : fieldsOf(value.items, `${name}[].`)),
      ...(typeof others === 'object' ? fieldsOf(others, `${name}.*.`) : []),
    ];
  });
}

function aboutOf({ description, default: usual, pattern, format }: JsonSchema): string {
  const parts = [
    description ?? '',
    usual === undefined ? '' : `default: ${typeof usual === 'string' ? usual : JSON.stringify(usual)}`,
    // Whoever is told that it is a date knows what it looks like.
    pattern === undefined || format !== undefined ? '' : `matches ${pattern}`,
  ];
  return parts.filter((part) => part !== '').join('; ');
}

/** How it is asked for on a command line: with examples, or names of variables where there are none. */
function curlOf(path: string, method: string, given: z.infer<typeof operationSchema>): string {
  const { security, parameters, requestBody } = given;
  const filled = parameters
    .filter(({ in: place }) => place === 'path')
    .reduce((text, { name, schema }) => text.replace(`{${name}}`, valueInPath(name, schema)), path);
  const body = requestBody?.content[JSON_TYPE]?.schema;
  return [
    'curl',
    ...(security?.length === 0 ? [] : ['-H "Authorization: Bearer $TOKEN"']),
    ...(method === 'get' ? [] : [`-X ${method.toUpperCase()}`]),
    ...(body === undefined || requestBody?.required === false
      ? []
      : [`-H 'content-type: application/json' -d '${JSON.stringify(exampleBody(body))}'`]),
    `"$API${filled}"`,
  ].join(' ');
}

function valueInPath(name: string, schema: JsonSchema): string {
  const { example, minimum } = schema;
  const value = example ?? schema.enum?.[0] ?? minimum;
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  return `$${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** What has to be in a body, with values that are right by their type. */
function exampleBody({ properties = {}, required }: JsonSchema): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(properties)
      .filter(([name]) => required.includes(name))
      .map(([name, { example, enum: values, minimum }]) => [name, example ?? values?.[0] ?? minimum ?? '…']),
  );
}
