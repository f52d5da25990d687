/** What scripts write as markup. */
import { actorNames, admit, hold, holds, isScript, trust } from './held'
import { apply, insert, remove, wrap, wrapProperty } from './native'
import { writes } from './release'

/** Where markup is parsed before it enters the page: nothing in here makes a request or runs. */
const inert = document.implementation.createHTMLDocument('')

const suspect = new RegExp(`<(?:${actorNames})\\b`, 'i')

/** Parses markup as the given native function would for a child of context; undefined where nothing in it is held. */
function examined(native: Function, context: Node | null, args: unknown[], html: number): DocumentFragment | undefined {
	if (!suspect.test(String(args[html]))) return
	const el = context instanceof Element ? context : undefined
	const shell = inert.createElementNS(el?.namespaceURI ?? 'http://www.w3.org/1999/xhtml', el?.localName ?? 'div')
	let parsed: ParentNode & Node = shell
	if (native.name === 'createContextualFragment') {
		const range = inert.createRange()
		range.selectNodeContents(shell)
		parsed = apply(native, range, args) as DocumentFragment
	} else {
		apply(native, shell, args)
		if (shell instanceof HTMLTemplateElement) parsed = shell.content
	}
	if (!admit(parsed)) return
	const fragment = document.createDocumentFragment()
	while (parsed.firstChild) insert(fragment, parsed.firstChild, null)
	return fragment
}

const setInner = Object.getOwnPropertyDescriptor(Element.prototype, 'innerHTML')?.set as Function
const done = { value: undefined }

function fill(target: Node, fragment: DocumentFragment): void {
	const parent = target instanceof HTMLTemplateElement ? target.content : target
	while (parent.firstChild) remove(parent.firstChild)
	insert(parent, fragment, null)
}

export function guardMarkup(): void {
	for (const owner of [Element.prototype, ShadowRoot.prototype]) {
		wrapProperty(owner, 'innerHTML', (el: Element | ShadowRoot, [html]) => {
			if (el instanceof Element && (isScript(el) || el.localName === 'style')) {
				const d = el.isConnected && holds(el, String(html))
				if (d) hold(el, d)
				return
			}
			const fragment = examined(setInner, el, [html], 0)
			if (!fragment) return
			fill(el, fragment)
			return done
		})
		for (const name of ['setHTMLUnsafe', 'setHTML']) {
			wrap(owner, name, (el: Element | ShadowRoot, args, native) => {
				const fragment = examined(native, el, args, 0)
				if (!fragment) return
				fill(el, fragment)
				return done
			})
		}
	}
	wrapProperty(Element.prototype, 'outerHTML', (el: Element, [html]) => {
		const fragment = el.parentElement && examined(setInner, el.parentElement, [html], 0)
		if (!fragment || !el.parentNode) return
		insert(el.parentNode, fragment, el)
		remove(el)
		return done
	})
	wrap(Element.prototype, 'insertAdjacentHTML', (el: Element, [position, html]) => {
		const where = String(position).toLowerCase()
		const outside = where === 'beforebegin' || where === 'afterend'
		const parent = outside ? el.parentElement : el
		const fragment = parent && examined(setInner, parent, [html], 0)
		if (!fragment) return
		insert(parent, fragment, where === 'beforebegin' ? el : where === 'afterend' ? el.nextSibling : where === 'afterbegin' ? el.firstChild : null)
		return done
	})
	wrap(Range.prototype, 'createContextualFragment', (range: Range, args, native) => {
		const fragment = examined(native, range.startContainer, args, 0)
		return fragment && { value: fragment }
	})
	for (const name of ['write', 'writeln']) {
		wrap(Document.prototype, name, (page: Document, args) => {
			if (page !== document) return
			const html = args.map(String).join('') + (name === 'writeln' ? '\n' : '')
			if (writes(html)) return done
			const text = unfinished + html
			unfinished = ''
			const safe = rewritten(text)
			if (safe !== html) args.splice(0, args.length, trust('createHTML', safe))
		})
	}
}

/** The end of what was written so far, where it stops within a tag or a script. */
let unfinished = ''

const tags = new RegExp(`<(script|style)\\b(?:[^>"']|"[^"]*"|'[^']*')*>[^]*?</\\1\\s*>|<(?:${actorNames})\\b(?:[^>"']|"[^"]*"|'[^']*')*>`, 'gi')
const tail = /<(script|style)\b[^>]*>(?:(?!<\/\1)[^])*$|<(?:[a-z!/][^>]*)?$/i

/** Holds elements in markup that is parsed as it is written, and so may come in pieces: all else in it stays as it is. */
function rewritten(html: string): string {
	html = html.replace(tail, (end) => {
		unfinished = end
		return ''
	})
	return html.replace(tags, (tag, raw: string | undefined) => {
		const shell = inert.createElement('div')
		apply(setInner, shell, [trust('createHTML', tag)])
		const el = shell.firstElementChild
		const d = el && holds(el)
		if (!d) return tag
		hold(el, d)
		return raw ? el.outerHTML : el.outerHTML.replace(/<\/[^>]*>$/, '')
	})
}
