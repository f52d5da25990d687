/** What scripts write as markup. */
import { actorMarkup, actorTag, admit, hold, holds, isElement, isScript, isStyle, keep, label, trust } from './held'
import type { Decision } from './matcher'
import { type Answer, all, apply, descriptor, done, insert, live, remove, setText, wrap, wrapProperty } from './native'
import { retext } from './nodes'
import { type Realm, being } from './page'
import { writes } from './release'

/** Where markup is parsed before it enters the page: nothing in here makes a request or runs. */
export const inert = document.implementation.createHTMLDocument('')

/** Parses markup as the given native function would for a child of context; undefined where nothing in it is held. */
function examined(native: Function, context: Node, args: unknown[]): DocumentFragment | undefined {
	const { namespaceURI, localName } = context as Element
	if (!actorTag.test(String(args[0])) || localName === 'template' || !live(context)) return
	const shell = namespaceURI ? inert.createElementNS(namespaceURI, localName) : inert.createElement('div')
	let parsed: ParentNode & Node = shell
	if (native.name === 'createContextualFragment') {
		const range = inert.createRange()
		range.selectNodeContents(shell)
		parsed = apply(native, range, args) as DocumentFragment
	} else apply(native, shell, args)
	// Where scripts run, a noscript element has a text. Firefox reads it so in here too.
	for (const el of all(parsed, 'noscript')) if (el.children[0]) setText(el, el.innerHTML)
	if (!admit(parsed)) return
	const fragment = document.createDocumentFragment()
	while (parsed.firstChild) insert(fragment, parsed.firstChild)
	return fragment
}

const setInner = descriptor(Element.prototype, 'innerHTML')?.set as Function

/** Markup is about to take the place of all that is in target. */
function fill(target: Node, args: unknown[], native: Function): Answer {
	const fragment = examined(native, target, args)
	if (!fragment) return
	setText(target, '')
	insert(target, fragment)
	return done
}

export function guardMarkup(win: Realm): void {
	const { Element, ShadowRoot } = win
	for (const owner of [Element, ShadowRoot]) {
		wrapProperty(owner, 'innerHTML', (el: Element | ShadowRoot, args) => {
			if (isElement(el) && (isScript(el) || isStyle(el))) return retext(el, args)
			return fill(el, args, setInner)
		})
		for (const name of ['setHTMLUnsafe', 'setHTML']) wrap(owner, name, fill)
	}
	wrapProperty(Element, 'outerHTML', (el: Element, args) => {
		const parent = el.parentNode
		const fragment = parent && examined(setInner, parent, args)
		if (!fragment) return
		insert(parent, fragment, el)
		remove(el)
		return done
	})
	wrap(Element, 'insertAdjacentHTML', (el: Element, [position, html]) => {
		const where = String(position).toLowerCase()
		const parent = where === 'beforebegin' || where === 'afterend' ? el.parentNode : el
		const fragment = parent && examined(setInner, parent, [html])
		if (!fragment) return
		insert(parent, fragment, where === 'beforebegin' ? el : where === 'afterend' ? el.nextSibling : where === 'afterbegin' ? el.firstChild : null)
		return done
	})
	wrap(win.Range, 'createContextualFragment', (range: Range, args, native) => {
		const fragment = examined(native, range.startContainer, args)
		return fragment && { value: fragment }
	})
	let unfinished = ''
	for (const name of ['write', 'writeln']) {
		wrap(win.Document, name, (page: Document, args) => {
			const html = args.map(String).join('') + (name === 'writeln' ? '\n' : '')
			if (page === document && writes(html)) return done
			const [whole, rest] = split(unfinished + html)
			unfinished = rest
			const safe = rewritten(whole)
			if (safe !== html) args.splice(0, args.length, trust('createHTML', safe))
		})
	}
}

const tail = /<(script|style)\b[^>]*>(?:(?!<\/\1)[^])*$|<(?:[a-z!/][^>]*)?$/i

/** Cuts markup that comes in pieces before the tag or script that it stops in. */
function split(html: string): [whole: string, rest: string] {
	const at = html.search(tail)
	return at < 0 ? [html, ''] : [html.slice(0, at), html.slice(at)]
}

/** Holds elements in markup that is parsed elsewhere: all else in it stays as it is. */
const rewritten = (html: string, onHeld?: (d: Decision) => void): string =>
	being('now', () =>
		html.replace(actorMarkup, (tag, raw: string | undefined) => {
			const shell = inert.createElement('div')
			apply(setInner, shell, [trust('createHTML', tag)])
			const el = shell.firstElementChild
			const d = el && holds(el)
			if (!d) return tag
			hold(el, d)
			onHeld?.(d)
			return raw ? el.outerHTML : el.outerHTML.replace(/<\/[^>]*>$/, '')
		}),
	)

/** What an iframe may show of a document that it is given as markup. The whole of it is kept, and comes back on consent. */
export function srcdoc(el: Element, value: unknown): unknown {
	let d: Decision | undefined
	const safe = rewritten(String(value), (held) => (d = held))
	if (!d) return value
	keep(el, 'srcdoc', value)
	label(el, d)
	return trust('createHTML', safe)
}
