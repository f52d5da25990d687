/** What scripts do to nodes: set attributes, put them into a document. */
import { acting, acts, admit, emptied, fail, forget, hold, holds, isElement, isHeld, isScript, isStyle, keep, kept, restyle, styled, valueHolds, waiting } from './held'
import { stay } from './asking'
import { srcdoc } from './markup'
import { parse } from './matcher'
import { type Answer, apply, change, descriptor, done, get, live, set, wrap, wrapProperty } from './native'
import { type Realm, being } from './page'

/** Attributes beside those by which elements make requests that bear on whether they do. */
const also: Record<string, string[]> = { script: ['type'], iframe: ['srcdoc'], link: ['rel'] }

/** The elements of SVG whose addresses scripts have taken hold of. */
const owners = new WeakMap<object, Element>()

/** An attribute is about to get a value. */
function assign(el: Element, attribute: string, args: unknown[], at: number): Answer {
	if (!live(el)) return
	const value = args[at]
	if (attribute === 'type' && isScript(el) && isHeld(el)) {
		set(el, 'data-askfirst-type', value)
		return done
	}
	if (attribute === 'srcdoc' && el.localName === 'iframe') {
		args[at] = srcdoc(el, value)
		return
	}
	if (attribute === 'style') {
		if (/url\(/i.test(String(value))) args[at] = emptied(String(value))
		return
	}
	if (attribute === 'rel' && el.localName === 'link' && el.isConnected) {
		// A link acts by what it is called.
		const href = get(el, 'href')
		const d = href === null ? undefined : valueHolds(el, 'href', href, String(value))
		if (d) {
			keep(el, 'href', href)
			hold(el, d)
		}
		return
	}
	if (!acts(el, attribute)) return
	const d = valueHolds(el, attribute, value)
	if (!d) return forget(el, attribute)
	keep(el, attribute, value)
	hold(el, d)
	if (el.localName === 'img') fail(el)
	return done
}

/** Nodes are about to become children of parent. */
function adopt(parent: Node, nodes: unknown[]): void {
	for (const node of nodes) enter(parent, node)
	if (!isElement(parent) || !parent.isConnected) return
	if (isScript(parent) && !isHeld(parent)) {
		const d = holds(parent, parent.text + nodes.map((n) => (n as Node).textContent ?? n).join(''))
		if (d) hold(parent, d)
	}
	if (!isStyle(parent)) return
	nodes.forEach((node, at) => {
		restyle(nodes, at)
		restyle(node, 'data')
	})
}

/** A node, or what becomes a text, is about to come to the document that another node is of. */
function enter(place: Node, node: unknown): void {
	if (node && live(place)) admit(node as Node)
}

/** The text of an element is about to be replaced. */
export function retext(el: Node, args: unknown[]): void {
	if (!isElement(el) || !live(el)) return
	if (isStyle(el)) args[0] = styled(el, String(args[0] ?? ''))
	else if (isScript(el) && el.isConnected && !isHeld(el)) {
		const d = holds(el, String(args[0]))
		if (d) hold(el, d)
	}
}

/**
 * Wraps the setter of a text node. Pages use it all the time, and a function
 * costs them a fraction of what a proxy does. What is held comes back on
 * consent where the text is all that its style element has.
 */
const reword = ({ set }: PropertyDescriptor) => ({
	set(this: Node, value: unknown) {
		const args = [value]
		const el = this.parentElement
		if (el && isStyle(el) && el.childNodes[1]) restyle(args, 0)
		else if (el) retext(el, args)
		apply(set as Function, this, args)
	},
})

export function guardNodes(win: Realm): void {
	const { Element, Node } = win
	for (const [localName, attributes] of Object.entries(acting)) {
		for (const attribute of [...attributes, ...(also[localName] ?? [])]) {
			const name = attribute.replace('esrcset', 'eSrcset')
			let owner: object | undefined = win.document.createElement(localName)
			while (owner && !descriptor(owner, name)) owner = Object.getPrototypeOf(owner)
			wrapProperty(
				owner,
				name,
				(el: Element, args) => assign(el, attribute, args, 0),
				(el: Element) => {
					const value = kept(el, attribute)
					if (attribute === 'type' && isHeld(el)) return { value: value ?? '' }
					if (value === null) return
					return { value: /^(src|href|data|poster)$/.test(attribute) ? (parse(value, document.baseURI)?.href ?? value) : value }
				},
			)
		}
	}
	// An image that waits is loading.
	wrapProperty(win.HTMLImageElement, 'complete', undefined, (el) => waiting.has(el) && { value: false })
	wrap(win.HTMLImageElement, 'decode', (el, _, native) => waiting.has(el) && { value: waiting.get(el)?.then(() => apply(native, el, [])) })
	for (const owner of [win.SVGImageElement, win.SVGUseElement, win.SVGFEImageElement, win.SVGScriptElement]) {
		wrapProperty(owner, 'href', undefined, (el: Element, _, native) => {
			const value = apply(native, el, [])
			owners.set(value, el)
			return { value }
		})
	}
	wrapProperty(win.SVGAnimatedString, 'baseVal', (value: object, args) => {
		const el = owners.get(value)
		return el && assign(el, 'href', args, 0)
	})
	for (const owner of [win.HTMLScriptElement, win.HTMLElement, Node]) for (const name of ['text', 'textContent', 'innerText']) wrapProperty(owner, name, retext)
	for (const [owner, name] of [[Node, 'nodeValue'], [win.CharacterData, 'data']] as const) change(owner, name, reword)
	wrap(Element, 'setAttribute', (el: Element, args) => assign(el, String(args[0]).toLowerCase(), args, 1))
	wrap(Element, 'setAttributeNS', (el: Element, args) => assign(el, String(args[1]), args, 2))
	for (const name of ['', 'NS']) wrap(Element, 'setAttributeNode' + name, (el: Element, [attr]: Attr[]) => attr && assign(el, attr.name, [attr.value], 0) && { value: null })
	wrap(Element, 'removeAttribute', (el: Element, [name]) => {
		const attribute = String(name).toLowerCase()
		if (attribute === 'type' && isScript(el) && isHeld(el)) return done
		forget(el, attribute)
	})

	wrapProperty(win.CSSStyleDeclaration, 'cssText', (_, args) => restyle(args, 0))
	wrap(win.CSSStyleDeclaration, 'setProperty', (_, args) => restyle(args, 1))

	for (const name of ['appendChild', 'insertBefore', 'replaceChild']) wrap(Node, name, (parent: Node, [node]) => adopt(parent, [node]))
	// Images and media ask for what they show as soon as they are of a document that is shown.
	for (const owner of [Element, win.Document, win.DocumentFragment]) {
		for (const name of ['append', 'prepend', 'replaceChildren', 'adoptNode', 'importNode']) wrap(owner, name, adopt)
	}
	for (const owner of [Element, win.CharacterData]) {
		for (const name of ['before', 'after', 'replaceWith']) wrap(owner, name, (el: Node, nodes) => nodes.forEach((node) => enter(el, node)))
	}
	wrap(Element, 'insertAdjacentElement', (el: Element, [, node]) => enter(el, node))
	wrap(win.Range, 'insertNode', (range: Range, [node]) => enter(range.startContainer, node))
	// The net under all of the above: what enters by a way that is not wrapped is held a moment later.
	new MutationObserver((records) => {
		// The parser's own elements are among these: they act, and the proxy has judged them.
		being('late', () => {
			for (const { addedNodes } of records) for (const node of addedNodes) if (node.isConnected) admit(node)
			stay()
		})
	}).observe(win.document, { childList: true, subtree: true })
}
