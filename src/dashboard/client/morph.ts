/** Drawn by the page's own clock: while the instant is the same, what stands there is newer than what comes. */
const CLOCKS = ['data-since', 'data-until', 'data-ago'];
/** What a person has opened stays open, whatever is drawn. */
const OF_THE_READER = 'open';

/**
 * Makes what an element holds like newly drawn HTML. Nodes that stay keep their identity, and with it focus, a press
 * that has not ended, typed text and scroll: a field's `value` attribute is not what was typed into it.
 */
export function morph(element: Element, html: string): void {
  const template = document.createElement('template');
  template.innerHTML = html;
  morphChildren(element, template.content);
}

function morphChildren(old: Node, fresh: Node): void {
  const wanted = [...fresh.childNodes];
  const keys = new Set(wanted.map(keyOf));
  let at = old.firstChild;
  const removeUntil = (end: ChildNode | null): void => {
    while (at !== null && at !== end) {
      const gone: ChildNode = at;
      at = at.nextSibling;
      gone.remove();
    }
  };
  for (const node of wanted) {
    const same = findFrom(at, node, keys);
    if (same === null) {
      old.insertBefore(node, at);
      continue;
    }
    removeUntil(same);
    morphNode(same, node);
    at = same.nextSibling;
  }
  removeUntil(null);
}

/** The node to go on with; one that is wanted later is not passed over. */
function findFrom(at: ChildNode | null, wanted: Node, keys: ReadonlySet<string>): ChildNode | null {
  for (let node = at; node !== null; node = node.nextSibling) {
    const key = keyOf(node);
    if (node.nodeName === wanted.nodeName && key === keyOf(wanted)) return node;
    if (key !== '' && keys.has(key)) return null;
  }
  return null;
}

/** Name of a node among its siblings; a link and a row are what they lead to. Empty: only its place tells. */
function keyOf(node: Node): string {
  if (!(node instanceof Element)) return '';
  const name = node.id || node.getAttribute('data-part');
  if (name) return name;
  const link = node.matches('a') ? node : node.matches('tr') ? node.querySelector('a') : null;
  return link?.getAttribute('href') ?? '';
}

function morphNode(old: Node, fresh: Node): void {
  if (!(old instanceof Element) || !(fresh instanceof Element)) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  const isRunning = CLOCKS.some(
    (clock) => old.hasAttribute(clock) && old.getAttribute(clock) === fresh.getAttribute(clock),
  );
  for (const { name, value } of fresh.attributes)
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const name of old.getAttributeNames())
    if (name !== OF_THE_READER && !fresh.hasAttribute(name)) old.removeAttribute(name);
  if (!isRunning) morphChildren(old, fresh);
}
