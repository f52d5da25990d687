/** The browser's own functions, kept before any page script can change them. */

import { apply, descriptor } from './wrap'

export { type Answer, apply, change, descriptor, done, wrap, wrapped, wrapProperty } from './wrap'

const { getAttribute, setAttribute, setAttributeNS, removeAttribute, hasAttribute, insertBefore, removeChild } = Element.prototype
/** By the type of node. */
const queries: Record<number, Function> = { 1: Element.prototype.querySelectorAll, 9: Document.prototype.querySelectorAll, 11: DocumentFragment.prototype.querySelectorAll }

const xlink = 'http://www.w3.org/1999/xlink'

export const get = (el: Element, name: string): string | null => apply(getAttribute, el, [name])
export const has = (el: Element, name: string): boolean => apply(hasAttribute, el, [name])
export const drop = (el: Element, name: string): void => apply(removeAttribute, el, [name])
export const set = (el: Element, name: string, value: unknown): void =>
	name === 'xlink:href' ? apply(setAttributeNS, el, [xlink, name, value]) : apply(setAttribute, el, [name, value])
export const all = (root: ParentNode, selector: string): NodeListOf<Element> =>
	apply(queries[root.nodeType] as Function, root, [selector])
export const insert = (parent: Node, node: Node, before: Node | null = null): Node => apply(insertBefore, parent, [node, before])
/** Whether a node's document is shown: in one that is not, such as that of a template or a parser, nothing is requested. */
export const live = (node: Node): boolean => !!(node.ownerDocument ?? (node as Document)).defaultView
export const remove = (node: Node): void => {
	if (node.parentNode) apply(removeChild, node.parentNode, [node])
}

const text = descriptor(Node.prototype, 'textContent')?.set as Function
export const setText = (node: Node, value: unknown): void => apply(text, node, [value])

/** Of a frame. Looking by this guards nothing. */
export const inside = descriptor(HTMLIFrameElement.prototype, 'contentDocument')?.get as Function

export const nativeFetch = self.fetch
export const nativeBeacon = navigator.sendBeacon
const cookie = descriptor(Document.prototype, 'cookie')
export const cookies = (): string => apply(cookie?.get as Function, document, [])
export const setCookie = (text: string): void => apply(cookie?.set as Function, document, [text])
export const later = self.setTimeout.bind(self)

export const { open, send } = XMLHttpRequest.prototype

/** The text of a synchronous request to the site's own host. */
export function request(address: string): string {
	const r = new XMLHttpRequest()
	apply(open, r, ['GET', address, false])
	apply(send, r, [])
	return r.responseText
}
