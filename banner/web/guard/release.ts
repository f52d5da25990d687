/** Making held elements whole again: in place, in document order, each once. */
import { inert } from './markup'
import { all, apply, drop, get, has, insert, inside, later, remove, wrapped } from './native'
import { learn } from './learning'
import { admit, codeType, holds, isHeld, isScript, kept, keptAddress, kindOf, released as mayAct, park, restore, trust, wasAsync } from './held'
import { being, matcher, nothingHeld } from './page'
import { count, countInline } from './reports'

/** How long the scripts that follow wait for one that does not answer, in milliseconds. */
const patience = 10_000

const ran = new WeakSet<Element>()
const written = new WeakMap<Element, string>()
let module: HTMLScriptElement | undefined

/** Held elements in document order, those in open shadow trees and in frames without a guard of their own too. */
function held(root: ParentNode, found: Element[] = []): Element[] {
	for (const el of all(root, '*')) {
		const waits = isHeld(el) || parked(el)
		if (waits) found.push(el)
		const inner = !waits && (el.shadowRoot ?? (el.localName === 'iframe' && apply(inside, el, [])))
		if (inner && !(inner as Document).defaultView?.askfirst) held(inner, found)
	}
	return found
}

/** A script that the page's author parked by hand. */
const parked = (el: Element): boolean => isScript(el) && get(el, 'type') === 'text/plain' && !!get(el, 'data-category')

/** Whether something that may act by now would come too late: a vendor's script that always does, or one that is seen to write into the page while that is read. */
export const comesLate = (): boolean => held(document).some((el) => isScript(el) && mayAct(el) && (matcher.tooLate(el.dataset.askfirstVendor ?? '') || /document\.write\w*\s*\(/.test(el.text)))

/** Whether all that was released on this page could be made whole so far, whoever had it released. */
let whole = true

let queue = Promise.resolve(true)

/**
 * Releases what the visitor's choice allows by now. Resolves when all of it has
 * run; to false where something, of this release or of one before it, could not
 * be made whole on this page.
 */
export function release(only: (el: Element) => boolean = mayAct): Promise<boolean> {
	queue = queue
		.then((): unknown => nothingHeld() || learn(['names']))
		.then(() => run(held(document).filter(only)))
		.catch(() => false)
	return queue
}

async function run(elements: Element[]): Promise<boolean> {
	const step = async (el: Element): Promise<void> => {
		try {
			await (isScript(el) ? start(el) : mend(el))
		} catch {
			whole = false
		}
	}
	const deferred: Element[] = []
	const loading: Promise<void>[] = []
	for (const el of elements) {
		if (!el.isConnected || ran.has(el)) continue
		if (isScript(el)) ran.add(el)
		const url = keptAddress(el)
		if (url) count(url, kindOf(el) ?? 'other', 'released')
		else if (isScript(el)) countInline(el.dataset.askfirstVendor ?? '')
		if (isScript(el) && (has(el, 'async') || wasAsync.has(el))) loading.push(step(el))
		else if (isScript(el) && deferring(el)) deferred.push(el)
		else await step(el)
	}
	for (const el of deferred) await step(el)
	if (contentLoaded) tell(document, 'DOMContentLoaded')
	await Promise.all(loading)
	if (loaded) tell(self, 'load')
	return whole
}

const typeOf = (el: Element): string => (kept(el, 'type') ?? '').toLowerCase()

const deferring = (el: HTMLScriptElement): boolean => typeOf(el) === 'module' || (kept(el, 'src') !== null && has(el, 'defer'))

/** Makes an element whole that is no script, and takes away what stood in for it. */
async function mend(el: Element): Promise<void> {
	const box = el.previousElementSibling
	if (box?.localName === 'askfirst-placeholder' && !box.firstElementChild) remove(box)
	restore(el)
	// An animation is worked out anew where it enters the document.
	if ('onbegin' in el && el.parentNode) insert(el.parentNode, el, el.nextSibling)
	const copy = el.previousElementSibling
	if (copy && has(copy, 'data-askfirst-copy')) remove(copy)
	const media = el.parentElement
	if (el.localName === 'source' && media instanceof HTMLMediaElement && !media.currentSrc) media.load()
	// An image asks for its source in a microtask: what follows asks after it.
	await undefined
}

/** Runs one script; resolves when it has run or failed, and what it wrote has too. */
async function start(el: HTMLScriptElement): Promise<void> {
	const onload = self.onload
	const type = typeOf(el)
	const isModule = type === 'module'
	// What a loader of the site's runs, it runs as the page loads.
	const runs = codeType.test(type)
	whole &&= runs
	const external = runs && !el.noModule && keptAddress(el) !== null
	const over = new Promise<void>((resolve) => {
		// An inline module tells nobody when it has run.
		if (!external) return isModule ? later(resolve) : resolve()
		for (const type of ['load', 'error']) el.addEventListener(type, resolve as () => void)
		later(resolve, patience)
	})
	if (isModule) module = el
	if (!has(el, 'async') && !wasAsync.has(el)) el.async = false
	restore(el)
	if (parked(el)) drop(el, 'type')
	const parent = el.parentNode
	if (!external && parent) {
		// A script becomes ready to run where it enters the document.
		const next = el.nextSibling
		remove(el)
		insert(parent, el, next)
	}
	await over
	module = undefined
	if (self.onload !== onload && self.onload && loaded) listenLate(self, 'load', self.onload)
	const html = written.get(el)
	if (html && el.parentNode) {
		written.delete(el)
		await place(html, el)
	}
}

/**
 * Puts what a released script wrote after it, and runs the scripts in it in their
 * order. What it leaves open would have taken in what follows in the page.
 */
async function place(html: string, after: HTMLScriptElement): Promise<void> {
	const range = inert.createRange()
	const [fragment, scripts] = being('now', () => {
		const fragment = range.createContextualFragment(trust('createHTML', html + '<!---->') as string)
		const end = fragment.lastChild as ChildNode
		if ((end as Comment).data === '') remove(end)
		else whole = false
		admit(fragment)
		return [fragment, [...all(fragment, 'script')].filter((el) => !isHeld(el) && !holds(el))]
	})
	for (const el of scripts) park(el, { category: 'necessary', vendor: undefined, never: false })
	if (after.parentNode) insert(after.parentNode, fragment, after.nextSibling)
	for (const el of scripts) {
		ran.add(el)
		await start(el as HTMLScriptElement)
	}
}

/** Takes what the running script writes, if that script was released: a document that is complete would be wiped by it. */
export function writes(html: string): boolean {
	const script = document.currentScript
	if (!script || !ran.has(script)) return false
	written.set(script, (written.get(script) ?? '') + html)
	return true
}

let contentLoaded = document.readyState === 'complete'
let loaded = contentLoaded

const late = (type: string): string => 'askfirst-late-' + type

/** Fires an event of the document's life for those alone who came too late for it. */
function tell(target: Document | Window, type: string): void {
	for (const at of new Set([target, self])) {
		const event = new Event(late(type))
		Object.defineProperty(event, 'type', { value: type })
		at.dispatchEvent(event)
	}
}

const listen = EventTarget.prototype.addEventListener

function listenLate(target: EventTarget, type: string, listener: unknown, options?: unknown): void {
	apply(listen, target, [late(type), listener, { ...(options as object), once: true }])
}

/** Notes what released scripts wait for that is over already. */
export function watchLife(): void {
	document.addEventListener('DOMContentLoaded', () => (contentLoaded = true))
	self.addEventListener('load', () => (loaded = true))
	for (const target of [document, self] as EventTarget[]) {
		target.addEventListener = wrapped(target.addEventListener, (_, [type, listener, options]) => {
			const over = type === 'DOMContentLoaded' ? contentLoaded : type === 'load' && target === self && loaded
			if (over && (module || (document.currentScript && ran.has(document.currentScript)))) listenLate(target, type, listener, options)
		}) as typeof target.addEventListener
	}
}
