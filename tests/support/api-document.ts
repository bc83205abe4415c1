import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { z } from 'zod';

/** Where the document's own references start from; a name, which nobody fetches. */
const DOCUMENT = 'https://nightshift.test/openapi.json';
const schema = z.record(z.string(), z.unknown());
const media = z.object({ schema });
const response = z.object({ content: z.record(z.string(), media).optional() });
const operation = z.object({ responses: z.record(z.string(), response) });
const checked = z.object({
  paths: z.record(z.string(), z.record(z.string(), operation)),
  components: z.object({ schemas: z.record(z.string(), schema) }),
});
type Media = z.infer<typeof media>;
type Answered = { method: string; path: string; status: number; contentType: string; body: unknown };

/**
 * Holds answers against an OpenAPI document: throws for a status or a type that it does not name, and for a body that
 * is not as it says. Paths that are none of its routes have to be answered with a problem.
 */
export function answerChecker(document: unknown): (answer: Answered) => void {
  const { components, paths } = checked.parse(document);
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: DOCUMENT, components });
  // By their text: most answers have the same few schemas, and compiling one costs some milliseconds.
  const compiled = new Map<string, ValidateFunction>();
  const validatorOf = (media: Media): ValidateFunction => {
    const text = JSON.stringify(media.schema).replaceAll('"#/components/', `"${DOCUMENT}#/components/`);
    const validate = compiled.get(text) ?? ajv.compile(schema.parse(JSON.parse(text)));
    compiled.set(text, validate);
    return validate;
  };
  const routes = Object.entries(paths).map(([template, item]) => ({
    template,
    pattern: new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    item,
  }));
  return ({ method, path, status, contentType, body }) => {
    const [pathname = ''] = path.split('?');
    const route = routes.find(({ pattern }) => pattern.test(pathname));
    const operation = route?.item[method.toLowerCase()];
    const where = `${method} ${route?.template ?? pathname} ${status}`;
    if (operation === undefined) {
      if (status < 400) throw new Error(`${where}: answered, and in no document`);
      return;
    }
    // Our mistakes are documented nowhere.
    if (status === 500) return;
    const [type = ''] = contentType.split(';');
    const media = operation.responses[String(status)]?.content?.[type];
    if (media === undefined) throw new Error(`${where} with ${type} is not in the document`);
    const validate = validatorOf(media);
    if (!validate(body)) throw new Error(`${where}: ${ajv.errorsText(validate.errors)}`);
  };
}
