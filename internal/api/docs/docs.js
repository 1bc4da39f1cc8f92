// Shows /openapi.json. Text is set as text, never as HTML.

const element = (name, attributes = {}, ...children) => {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) e.addEventListener(key.slice(2), value);
    else e.setAttribute(key, value);
  }
  e.append(...children.filter(c => c !== undefined && c !== null));
  return e;
};

const description = await (await fetch('/openapi.json')).json();
const schemas = description.components.schemas;
const resolve = schema => schema?.$ref ? schemas[schema.$ref.split('/').pop()] : schema;

const typeOf = schema => {
  if (!schema) return '';
  if (schema.$ref) return schema.$ref.split('/').pop();
  const type = [schema.type].flat().filter(t => t && t !== 'null').join(' or ');
  if (type === 'array') return `list of ${typeOf(schema.items)}`;
  if (schema.enum) return schema.enum.map(v => JSON.stringify(v)).join(' | ');
  return schema.format ? `${type} (${schema.format})` : type;
};

// example makes something to begin with; deep references end in {}.
const example = (schema, depth = 0) => {
  schema = resolve(schema);
  if (!schema || depth > 4) return {};
  if (schema.examples?.length) return schema.examples[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  switch ([schema.type].flat().find(t => t !== 'null')) {
    case 'object': return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([k, v]) => [k, example(v, depth + 1)]));
    case 'array': return [];
    case 'integer': case 'number': return 0;
    case 'boolean': return false;
    default: return schema.format === 'date-time' ? new Date().toISOString() : '';
  }
};

const fields = schema => {
  const resolved = resolve(schema);
  const items = resolve([resolved?.type].flat().includes('array') ? resolved.items : resolved);
  if (!items?.properties) return element('p', {}, typeOf(schema));
  const rows = Object.entries(items.properties).map(([name, p]) =>
    element('tr', {}, element('td', {}, element('code', {}, name)), element('td', {}, typeOf(p)), element('td', {}, p.description ?? '')));
  return element('table', {}, element('tr', {}, ...['field', 'type', 'meaning'].map(t => element('th', {}, t))), ...rows);
};

const trial = (path, method, operation) => {
  const parameters = (operation.parameters ?? []).filter(p => p.in === 'path' || p.in === 'query');
  const inputs = parameters.map(p => ({ p, input: element('input', { placeholder: typeOf(p.schema), 'aria-label': p.name }) }));
  const schema = operation.requestBody?.content['application/json'].schema;
  const body = schema && element('textarea', { rows: 8, spellcheck: 'false', 'aria-label': 'Body' });
  if (body) body.value = JSON.stringify(example(schema), null, 2);
  const output = element('pre', { hidden: '' });
  const send = async () => {
    let target = path;
    const query = new URLSearchParams();
    for (const { p, input } of inputs) {
      if (p.in === 'path') target = target.replace(`{${p.name}}`, encodeURIComponent(input.value));
      else if (input.value) query.set(p.name, input.value);
    }
    output.hidden = false;
    try {
      const response = await fetch(target + (query.size ? `?${query}` : ''), {
        method: method.toUpperCase(), body: body?.value, headers: body ? { 'Content-Type': 'application/json' } : {},
      });
      const text = await response.text();
      let shown = text;
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: as it is */ }
      output.textContent = `${response.status} ${response.statusText}\n${shown}`;
    } catch (error) {
      output.textContent = String(error);
    }
  };
  return element('div', {},
    ...inputs.map(({ p, input }) => element('p', {}, element('label', {}, element('code', {}, p.name), ` ${p.description ?? ''}`, input))),
    body && element('p', {}, body), element('p', {}, element('button', { onclick: send }, 'Send')), output);
};

const show = (path, method, operation) => {
  const inside = element('div', { class: 'body' });
  const details = element('details', { id: operation.operationId },
    element('summary', {}, element('span', { class: `method ${method}` }, method.toUpperCase()), element('code', {}, path), element('span', {}, operation.summary ?? '')),
    inside);
  details.addEventListener('toggle', () => { // filled when it is opened: there are many
    if (!details.open || inside.childElementCount) return;
    const request = operation.requestBody?.content['application/json'].schema;
    const answer = Object.entries(operation.responses).find(([status]) => status.startsWith('2'));
    const schema = answer?.[1].content?.['application/json']?.schema;
    inside.append(element('p', {}, `For: ${operation.description ?? ''}`),
      ...(request ? [element('h4', {}, 'Body'), fields(request)] : []),
      element('h4', {}, `Answer ${answer?.[0] ?? ''}`), schema ? fields(schema) : element('p', {}, 'empty'),
      ...(operation.tags?.[0] === 'plain' ? [] : [element('h4', {}, 'Try it'), trial(path, method, operation)]));
  });
  return details;
};

const byTag = Map.groupBy(
  Object.entries(description.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation }))),
  o => o.operation.tags?.[0] ?? 'other');
const main = document.getElementById('main'), tags = document.getElementById('tags');
main.replaceChildren(
  element('h1', {}, `${description.info.title} API`),
  element('p', {}, description.info.description),
  element('p', {}, element('a', { href: '/openapi.json' }, 'openapi.json'), ' · ', element('a', { href: '/' }, 'sign in on the page'), ' first; what is tried here is done as you.'));
for (const [tag, operations] of byTag) {
  main.append(element('section', {}, element('h2', {}, tag), ...operations.map(o => show(o.path, o.method, o.operation))));
  tags.append(element('h2', {}, tag), ...operations.map(o => element('a', { href: `#${o.operation.operationId}` }, o.operation.summary ?? o.path)));
}
const open = () => document.getElementById(location.hash.slice(1))?.setAttribute('open', '');
addEventListener('hashchange', open);
open();
