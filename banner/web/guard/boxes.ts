/**
 * What stands in for what is held. It is a module of its own, for which nothing
 * waits. For what would be called there are functions, see standins.ts; for what
 * would be seen there are boxes that say what would be here and from whom, in what
 * scripts make: what the proxy does in pages.
 *
 * In a frame the box is shown within, and not in its place: frameworks hold on to
 * the elements that they made, and trip over others. What has a widget's mark but
 * no address of its own (class="fb-like") is filled by a script that is held: its
 * box stands before it, as the proxy's do, and goes when it goes.
 */
import type { allowedFor, element, parts } from './page'
import type { boxed, isHeld, trust } from './held'
import type { nativeFetch, set } from './native'
import type { listen } from './asking'
import type { Unseen } from './matcher'
import { type Call, standIn } from './standins'

/** What of the guard is needed here. */
interface Guard {
	allowedFor: typeof allowedFor
	boxed: typeof boxed
	element: typeof element
	isHeld: typeof isHeld
	listen: typeof listen
	nativeFetch: typeof nativeFetch
	parts: typeof parts
	set: typeof set
	trust: typeof trust
	unseen: (el: Element) => Unseen
}

declare global {
	interface Window {
		/** Scripts that Next.js loads before it starts: their addresses and properties. */
		__next_s?: [src?: string, props?: object][]
		/** Hotwire's Turbo, from its seventh version on. */
		Turbo?: { cache?: { clear?(): void } }
		/** Unpoly, from its third version on. */
		up?: { cache?: { evict?(): void } }
	}
}

/** Widgets whose marks are known: a selector, a vendor and the category that it needs. */
type Marks = [selector: string, vendor: string, category: string][]

/** Where no box may stand: what the parser, or a list, a table or a choice, would not have there. */
const crowded = 'table,tbody,thead,tfoot,tr,select,picture,video,audio,svg,math,head,ul,ol,dl'

const placeholder = 'askfirst-placeholder'
/** What declares a box's tree, until that is there. */
const declaration = placeholder + '>template'

const prefix = new URL('.', import.meta.url).href

/**
 * Does for frameworks what they wait for of a held element or look for in it.
 * Next.js starts after the scripts that it loads before, and React shows what
 * needs a style sheet with a precedence after that, as WordPress's router shows a
 * page after its sheets: they are told that it has loaded. A script of React's own
 * that it did not find by its address, as it is held, is in the page already.
 */
function accommodate(el: Element): void {
	const loaded = new Event('load')
	if (el.matches('link[data-precedence],link[media=preload]')) el.dispatchEvent(loaded)
	// WordPress's router gives a sheet its media back once it has rules.
	if (el instanceof HTMLLinkElement && el.media === 'preload') el.media = el.dataset.originalMedia ?? ''
	const src = el.getAttribute('data-askfirst-src')
	if (el.localName !== 'script' || !src) return
	// Whoever listens to a held script is kept from an event that is dispatched.
	if (self.__next_s?.some?.(([before]) => before === src)) (el as HTMLScriptElement).onload?.(loaded)
	if (Object.keys(el).some((key) => key.startsWith('__reactMarker$')) && document.querySelector(`script[async][data-askfirst-src="${CSS.escape(src)}"]`) !== el) el.remove()
}

/** Has functions stand in from now on. Returns what shows a held element's box. */
export default function ({ allowedFor, boxed, element, isHeld, listen, nativeFetch, parts, set, trust, unseen }: Guard): (el: Element) => void {
	// What is not defined some pages hide till it is, and is-land renames.
	customElements.define(placeholder, class extends HTMLElement {})
	const list = async (name: string): Promise<unknown> => (await nativeFetch.call(self, `${prefix}rules.${parts}.${name}.json`)).json()
	// After a release; for this event of its consent banner BigCommerce's tags wait that run once the page has loaded.
	self.addEventListener('askfirst-late-load', () => self.dispatchEvent(new Event('consentScriptsLoaded')))
	// Pages that Turbo and Unpoly keep are as they were before the choice: they would run what is held in them again.
	self.askfirst?.on(() => {
		self.Turbo?.cache?.clear?.()
		self.up?.cache?.evict?.()
	})
	// Gatsby adds each script once, and takes it out with its page: one that was held till then would never run.
	const gone = new Set<HTMLScriptElement>()
	self.askfirst?.on(() => {
		for (const el of gone) {
			const { askfirstCategory = '', askfirstVendor = '' } = el.dataset
			if (allowedFor(askfirstCategory, askfirstVendor) && gone.delete(el)) document.head.append(el)
		}
	})
	void list('calls').then((calls) => standIn(calls as Call[], allowedFor), () => {})

	/** The markup of a box; empty where there is nothing to be seen of the vendor. */
	async function markup(vendor: string, category: string, more?: Record<string, string>): Promise<string> {
		const query = new URLSearchParams({ vendor, category, language: document.documentElement.lang, return: location.pathname + location.search, ...more })
		const answer = await nativeFetch.call(self, prefix + 'box?' + query)
		const text = answer.status === 200 ? await answer.text() : ''
		return element.nonce ? text.replace('<style', `<style nonce="${element.nonce}"`) : text
	}

	async function fill(frame: HTMLIFrameElement): Promise<void> {
		const { askfirstVendor = '', askfirstCategory = '' } = frame.dataset
		const text = await markup(askfirstVendor, askfirstCategory, { height: String(frame.clientHeight) })
		if (!text || !isHeld(frame) || frame.hasAttribute('srcdoc')) return
		boxed.add(frame)
		frame.addEventListener('load', () => boxed.has(frame) && listen(frame.contentDocument as Document), { once: true })
		set(frame, 'srcdoc', trust('createHTML', text))
	}

	/** The box for what has no size of its own, with its tree as it is declared; undefined where there is nothing to be seen of the vendor. */
	async function made(vendor: string, category: string): Promise<Element | undefined> {
		const template = document.createElement('template')
		template.innerHTML = trust('createHTML', await markup(vendor, category)) as string
		return template.content.children[0]
	}

	const boxes = new Map<Element, Element>()

	async function stand(el: Element, marks: Marks): Promise<void> {
		if (isHeld(el) || !el.parentElement || el.parentElement.matches(crowded) || unseen(el) === 'hidden') return
		const [, vendor, category] = marks.find(([selector]) => el.matches(selector)) as Marks[number]
		if (allowedFor(category, vendor)) return
		set(el, 'data-askfirst-category', category)
		set(el, 'data-askfirst-vendor', vendor)
		const box = await made(vendor, category)
		if (!box || !isHeld(el) || !el.isConnected) return
		boxes.set(el, box)
		el.before(box)
	}

	/**
	 * Gives a box its tree where a script has made it, or changed it, after what it read of
	 * one: the tree is declared in it still, or lost. Where nothing in it is held any more
	 * it shows what is in it, or goes.
	 */
	async function renew(box: HTMLElement): Promise<void> {
		if (document.readyState === 'loading') return
		const root = box.shadowRoot ?? box.attachShadow({ mode: 'open' })
		const declared = box.firstElementChild
		if (declared instanceof HTMLTemplateElement) {
			declared.remove()
			root.replaceChildren(declared.content)
		}
		const { vendor = '', category = '' } = box.dataset
		const within = box.firstElementChild
		const allowed = allowedFor(category, vendor)
		if (allowed && !within) box.remove()
		if (root.firstChild) return
		if (allowed) return root.append(document.createElement('slot'))
		const tree = ((await made(vendor, category))?.firstElementChild as HTMLTemplateElement | undefined)?.content
		if (!tree || root.firstChild) return
		if (within) {
			const strut = tree.querySelector('svg')
			strut?.setAttribute('class', 'strut')
			for (const name of ['width', 'height']) strut?.setAttribute(name, box.getAttribute(name) ?? '')
		}
		root.append(tree)
	}

	/** Takes away the boxes of what has gone or is no longer held, and keeps the others where they belong. */
	function tidy(): void {
		for (const [el, box] of boxes) {
			if (!el.isConnected || !isHeld(el)) {
				boxes.delete(el)
				box.remove()
			} else if (el.previousSibling !== box) el.before(box)
		}
	}

	async function watch(): Promise<void> {
		const marks = (await list('marks')) as Marks
		const any = [placeholder, declaration, ...marks.map(([selector]) => selector)].join()
		const see = (el: Element) => void (el.matches(declaration) ? renew(el.parentElement as HTMLElement) : el.matches(placeholder) ? renew(el as HTMLElement) : stand(el, marks))
		const look = (root: Element) => {
			if (root.matches(any)) see(root)
			root.querySelectorAll(any).forEach(see)
		}
		look(document.documentElement)
		new MutationObserver((records) => {
			tidy()
			for (const { addedNodes, removedNodes } of records) {
				for (const node of addedNodes) if (node instanceof Element && node.isConnected) look(node)
				for (const node of removedNodes) if (node instanceof HTMLScriptElement && node.dataset.strategy && isHeld(node)) gone.add(node)
			}
		}).observe(document, { childList: true, subtree: true, attributeFilter: ['data-askfirst-category'] })
	}
	let watched: Promise<void> | undefined

	return (el) => {
		watched ??= watch().catch(() => {})
		accommodate(el)
		if (el.localName !== 'iframe' || unseen(el) || el.hasAttribute('srcdoc')) return
		// The frame has its size once it is in the page. What a script changes meanwhile may not be known yet: then it is shown later.
		setTimeout(() => {
			if (el.isConnected && (el as HTMLIFrameElement).clientHeight && isHeld(el) && (el as HTMLElement).dataset.askfirstCategory !== 'unknown') void fill(el as HTMLIFrameElement).catch(() => {})
		}, 0)
	}
}
