/** The browser's own functions, kept before any page script can change them, and the one way in which the guard wraps them. */

export const apply = Reflect.apply

const { getAttribute, setAttribute, setAttributeNS, removeAttribute, hasAttribute, insertBefore, removeChild } = Element.prototype
/** By the type of node. */
const queries: Record<number, Function> = { 1: Element.prototype.querySelectorAll, 9: Document.prototype.querySelectorAll, 11: DocumentFragment.prototype.querySelectorAll }
export const descriptor = Object.getOwnPropertyDescriptor

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

/** What a held call's caller gets instead; nothing lets the call go on. */
export type Answer = { value: unknown } | false | undefined | void
export const done = { value: undefined }
type Check = (self: any, args: any[], native: Function) => Answer

/**
 * A function that asks check before it does what native does. It is a proxy,
 * so that its name, its properties, its prototype and its text are native's.
 * An error of the guard's own never reaches the page: the call goes on.
 */
export function wrapped(native: Function, check: Check): Function {
	const ask: Check = (self, args) => {
		try {
			return check(self, args, native)
		} catch {
			return
		}
	}
	return new Proxy(native, {
		// Function.prototype.toString knows no name for a proxy.
		get: (target, name) => (name === 'toString' ? () => String(target) : target[name as keyof Function]),
		apply(target, self, args) {
			const answer = ask(self, args, target)
			return answer ? answer.value : apply(target, self, args)
		},
		construct(target, args, newTarget) {
			const answer = ask(undefined, args, target)
			return answer ? (answer.value as object) : Reflect.construct(target, args, newTarget)
		},
	})
}

/** Changes a property of a class's instances, or of another object, where the browser has it and lets it be changed. */
export function change(owner: any, name: string, to: (d: PropertyDescriptor) => PropertyDescriptor): void {
	try {
		const own = owner.prototype ?? owner
		const d = descriptor(own, name)
		if (d) Object.defineProperty(own, name, { ...d, ...to(d) })
	} catch {
		// Frozen before us: the observer and the policy remain.
	}
}

/** Wraps a method or constructor. */
export const wrap = (owner: object | undefined, name: string, check: Check): void => change(owner, name, ({ value }) => value && { value: wrapped(value, check) })

/** Wraps the accessors of a property: write goes before the setter, read may answer instead of the getter. */
export const wrapProperty = (owner: object | undefined, name: string, write: Check | undefined, read?: Check): void =>
	change(owner, name, ({ get, set }) => ({
		...(write && set && { set: wrapped(set, write) as (v: unknown) => void }),
		...(read && get && { get: wrapped(get, read) as () => unknown }),
	}))
