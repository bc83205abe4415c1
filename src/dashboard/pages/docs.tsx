import type { FC } from 'hono/jsx';
import type { ApiDocs, Field, Operation, TypeWords } from '../api-docs.ts';
import { PageHead, Table } from '../components/parts.tsx';

/** Every call of the API with what it takes and answers, drawn from the OpenAPI document. */
export const DocsPage: FC<{ docs: ApiDocs; origin: string }> = ({ docs, origin }) => (
  <>
    <PageHead title="The API">
      <p class="muted">
        All that can be asked of it. The same for programs: <a href="/openapi.json">OpenAPI 3.1</a>.
      </p>
    </PageHead>
    <section class="panel">
      <h2>How to ask</h2>
      <pre>
        <code>{`export API=${origin} TOKEN=nst_…\ncurl -H "Authorization: Bearer $TOKEN" "$API/scheduler/status"`}</code>
      </pre>
      <p>
        <code>nightshift token create</code> makes tokens. Lists come in pages: ask again with{' '}
        <code>nextPageToken</code> as <code>pageToken</code> until it is null. What is wrong is answered as a{' '}
        <a href="#schema-Problem">problem</a> of a stable <code>type</code>:
      </p>
      <Table
        caption="Statuses of problems"
        columns={[{ head: 'Status' }, { head: 'Meaning' }]}
        rows={docs.problems.map(({ status, about }) => [status, about])}
      />
      <nav aria-label="Parts of the API">
        <ul class="legend">
          {docs.groups.map(({ tag, operations }) => (
            <li>
              <a href={`#${anchorOf(tag)}`}>{tag}</a> {operations.length}
            </li>
          ))}
          <li>
            <a href="#schemas">Schemas</a> {docs.schemas.length}
          </li>
        </ul>
      </nav>
    </section>
    {docs.groups.map(({ tag, operations }) => (
      <section class="panel" id={anchorOf(tag)}>
        <h2>{tag}</h2>
        {operations.map((operation) => (
          <OperationPart operation={operation} />
        ))}
      </section>
    ))}
    <section class="panel" id="schemas">
      <h2>Schemas</h2>
      {docs.schemas.map(({ name, about, type, fields }) => (
        <details class="entry" id={`schema-${name}`}>
          <summary>{name}</summary>
          {about === '' ? null : <p>{about}</p>}
          {fields.length === 0 ? (
            <p>
              <Type type={type} />
            </p>
          ) : (
            <Fields caption={`Fields of ${name}`} fields={fields} />
          )}
        </details>
      ))}
    </section>
  </>
);

const anchorOf = (tag: string): string => `tag-${tag.toLowerCase()}`;

const OperationPart: FC<{ operation: Operation }> = ({ operation }) => {
  const { id, method, path, summary, isOpen, parameters, body, answers, problems, curl } = operation;
  return (
    <details class="entry" id={id}>
      <summary>
        <code>
          {method} {path}
        </code>{' '}
        <span class="muted">{summary}</span>
      </summary>
      {isOpen ? <p>Needs no token.</p> : null}
      <pre>
        <code>{curl}</code>
      </pre>
      {parameters.length === 0 ? null : (
        <Table
          caption={`Parameters of ${method} ${path}`}
          columns={[{ head: 'Name' }, { head: 'In' }, { head: 'Type' }, { head: 'About' }]}
          rows={parameters.map(({ name, place, required, type, about }) => [
            <code>{name}</code>,
            required ? place : `${place}, optional`,
            <Type type={type} />,
            about,
          ])}
        />
      )}
      {body === null ? null : (
        <Fields
          caption={`JSON body of ${method} ${path}${body.required ? '' : ', which may be left out'}`}
          fields={body.fields}
        />
      )}
      <Table
        caption={`Answers of ${method} ${path}`}
        columns={[{ head: 'Status' }, { head: 'Meaning' }, { head: 'Body' }]}
        rows={answers.map(({ status, about, bodies }) => [
          status,
          about,
          bodies.map(({ media, type }) => (
            <div>
              {media}: <Type type={type} />
            </div>
          )),
        ])}
      />
      {answers.flatMap(({ status, bodies }) =>
        bodies
          .filter(({ fields }) => fields.length > 0)
          .map(({ fields }) => (
            <Fields caption={`Fields of ${status} of ${method} ${path}`} fields={fields} />
          )),
      )}
      <p class="small">Problems: {problems.join(', ')}</p>
    </details>
  );
};

const Fields: FC<{ caption: string; fields: readonly Field[] }> = ({ caption, fields }) => (
  <Table
    caption={caption}
    columns={[{ head: 'Field' }, { head: 'Type' }, { head: 'About' }]}
    rows={fields.map(({ name, type, required, about }) => [
      <code>{name}</code>,
      <>
        <Type type={type} />
        {required ? '' : ', optional'}
      </>,
      about,
    ])}
  />
);

const Type: FC<{ type: TypeWords }> = ({ type }) => (
  <>
    {type.map((part) =>
      typeof part === 'string' ? part : <a href={`#schema-${part.schema}`}>{part.schema}</a>,
    )}
  </>
);
