/** What scripts do to nodes: set attributes, put them into the document. */
import { acts, admit, fail, forget, hold, holds, isHeld, isScript, keep, kept, valueHolds } from './held'
import { parse } from './matcher'
import { type Answer, set, wrap, wrapProperty } from './native'

const properties: [constructor: string, ...names: string[]][] = [
	['HTMLScriptElement', 'src', 'type'],
	['HTMLImageElement', 'src', 'srcset'],
	['HTMLInputElement', 'src'],
	['HTMLIFrameElement', 'src'],
	['HTMLFrameElement', 'src'],
	['HTMLEmbedElement', 'src'],
	['HTMLObjectElement', 'data'],
	['HTMLMediaElement', 'src'],
	['HTMLVideoElement', 'poster'],
	['HTMLSourceElement', 'src', 'srcset'],
	['HTMLTrackElement', 'src'],
	['HTMLLinkElement', 'href', 'imageSrcset'],
	['HTMLAnchorElement', 'ping'],
	['HTMLAreaElement', 'ping'],
]

const prototype = (name: string): object | undefined => (self as unknown as Record<string, { prototype: object } | undefined>)[name]?.prototype

/** An attribute is about to get a value. */
function assign(el: Element, attribute: string, value: unknown): Answer {
	if (attribute === 'type' && isScript(el) && isHeld(el)) {
		set(el, 'data-askfirst-type', value)
		return { value: undefined }
	}
	if (!acts(el, attribute)) return
	const d = valueHolds(el, attribute, value)
	if (!d) return forget(el, attribute)
	keep(el, attribute, value)
	hold(el, d)
	if (el.localName === 'img') fail(el)
	return { value: undefined }
}

function enter(node: unknown): void {
	if (node instanceof Node) admit(node)
}

/** Nodes are about to become children of parent. */
function adopt(parent: Node, nodes: unknown[]): void {
	for (const node of nodes) enter(node)
	if (parent instanceof Element && isScript(parent) && parent.isConnected && !isHeld(parent)) {
		const d = holds(parent, parent.text + nodes.map((n) => (n instanceof Node ? n.textContent : n)).join(''))
		if (d) hold(parent, d)
	}
}

export function guardNodes(): void {
	for (const [owner, ...names] of properties) {
		for (const name of names) {
			const attribute = name.toLowerCase()
			wrapProperty(
				prototype(owner),
				name,
				(el: Element, [value]) => assign(el, attribute, value),
				(el: Element) => {
					const value = kept(el, attribute)
					if (value === null || (attribute === 'type' && !isHeld(el))) return
					return { value: /^(src|href|data|poster)$/.test(attribute) ? (parse(value, document.baseURI)?.href ?? value) : value }
				},
			)
		}
	}
	for (const name of ['text', 'textContent', 'innerText']) {
		const owner = [HTMLScriptElement.prototype, Node.prototype, HTMLElement.prototype].find((p) => Object.hasOwnProperty.call(p, name))
		wrapProperty(owner, name, (el: Node, [value]) => {
			if (!(el instanceof Element) || !(isScript(el) || el.localName === 'style') || !el.isConnected || isHeld(el)) return
			const d = holds(el, String(value))
			if (d) hold(el, d)
		})
	}
	wrap(Element.prototype, 'setAttribute', (el: Element, [name, value]) => assign(el, String(name).toLowerCase(), value))
	wrap(Element.prototype, 'setAttributeNS', (el: Element, [, name, value]) => assign(el, String(name), value))
	for (const name of ['setAttributeNode', 'setAttributeNodeNS']) wrap(Element.prototype, name, (el: Element, [attr]: Attr[]) => attr && assign(el, attr.name, attr.value) && { value: null })
	wrap(Element.prototype, 'removeAttribute', (el: Element, [name]) => forget(el, String(name).toLowerCase()))

	for (const name of ['appendChild', 'insertBefore', 'replaceChild', 'moveBefore']) wrap(Node.prototype, name, (parent: Node, [node]) => adopt(parent, [node]))
	for (const owner of [Element.prototype, Document.prototype, DocumentFragment.prototype]) {
		for (const name of ['append', 'prepend', 'replaceChildren', 'moveBefore']) wrap(owner, name, (parent: Node, nodes) => adopt(parent, nodes))
	}
	for (const owner of [Element.prototype, CharacterData.prototype]) {
		for (const name of ['before', 'after', 'replaceWith']) wrap(owner, name, (_, nodes) => nodes.forEach(enter))
	}
	wrap(Element.prototype, 'insertAdjacentElement', (_, [, node]) => enter(node))
	wrap(Range.prototype, 'insertNode', (_, [node]) => enter(node))
	wrap(Range.prototype, 'surroundContents', (_, [node]) => enter(node))
	wrap(Element.prototype, 'attachShadow', (host: Element, args, native) => {
		const root = Reflect.apply(native, host, args) as ShadowRoot
		observe(root)
		return { value: root }
	})
	observe(document)
}

let observer: MutationObserver | undefined

/** The net under all of the above: what enters by a way that is not wrapped is held a moment later. */
function observe(root: Node): void {
	observer ??= new MutationObserver((records) => {
		for (const { addedNodes } of records) for (const node of addedNodes) if (node.isConnected) admit(node)
	})
	observer.observe(root, { childList: true, subtree: true })
}
