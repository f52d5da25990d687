/** Holding an element in its place, and making it whole again. */
import { attach, listen } from './asking'
import { count } from './reports'
import { srcdoc } from './markup'
import type { Decision, Kind, Unseen } from './matcher'
import { all, drop, get, has, insert, later, live, nativeFetch, remove, set, setText } from './native'
import { allowed, allowedFor, being, element, grants, judge, judgeCode, optional, parts } from './page'
import { learn } from './learning'
import type { Category } from './table'

const held = 'data-askfirst-'
const heldCategory = held + 'category'
const heldVendor = held + 'vendor'
const heldCSS = held + 'css'

const hrefs = ['href', 'xlink:href']
/** The attributes by which an element makes a request, or has another make one. */
export const acting: Record<string, string[]> = {
	script: ['src', ...hrefs],
	img: ['src', 'srcset'],
	image: hrefs,
	use: hrefs,
	feImage: hrefs,
	set: ['to'],
	animate: ['to', 'from', 'by', 'values'],
	input: ['src'],
	iframe: ['src'],
	frame: ['src'],
	embed: ['src'],
	object: ['data'],
	video: ['src', 'poster'],
	audio: ['src'],
	source: ['src', 'srcset'],
	track: ['src'],
	link: ['href', 'imagesrcset'],
	a: ['ping'],
	area: ['ping'],
}
/** What has none of these may be a part of a table with a background. */
const actingOf = (el: Element): string[] => acting[el.localName] ?? ['background']

export const kinds: Record<string, Kind> = {
	script: 'script',
	img: 'image',
	image: 'image',
	input: 'image',
	iframe: 'frame',
	frame: 'frame',
	embed: 'object',
	object: 'object',
	a: 'ping',
	area: 'ping',
}

/** Every element that may act. */
const names = [...Object.keys(acting), 'style']
export const ours = 'askfirst-banner,askfirst-placeholder'
export const actors = names.map((name) => (/^a(rea)?$/.test(name) ? name + '[ping]' : name)).join() + ',[background],[style*="url(" i],' + ours
const anyName = names.join('|')
/** The start of such an element in markup, or of what else makes a request, and the whole of its tag, with the text where that is no markup. */
export const actorTag = new RegExp(`<(?:${anyName})\\b|background=|url\\(`, 'i')
export const actorMarkup = new RegExp(`<(script|style)\\b(?:[^>"']|"[^"]*"|'[^']*')*>[^]*?</\\1\\s*>|<(?:${anyName})\\b(?:[^>"']|"[^"]*"|'[^']*')*>`, 'gi')

/** Trusted values of renamed attributes: a string would be refused when they come back. */
const trusted = new WeakMap<Element, Record<string, unknown>>()

export const isHeld = (el: Element): boolean => has(el, heldCategory)
export const isElement = (node: unknown): node is Element => (node as Node | null)?.nodeType === 1
/** Whether an element's text is CSS. */
export const isStyle = (el: Element): boolean => el.localName === 'style' && !/plain/.test(get(el, 'type') ?? '')
export const isScript = (el: Element): el is HTMLScriptElement => el.localName === 'script'

/** How an element uses what it refers to; undefined for a link that uses nothing. rel is what a link is or will be. */
export function kindOf(el: Element, rel = get(el, 'rel') ?? ''): Kind | undefined {
	if (el.localName !== 'link') return kinds[el.localName] ?? 'media'
	if (/\bstylesheet\b/i.test(rel)) return 'style'
	if (/\bicon\b|manifest|apple-touch/i.test(rel)) return 'image'
	return /pre(connect|fetch|load|render)/i.test(rel) ? 'hint' : undefined
}

/** Whether an attribute of this element makes a request. */
export function acts(el: Element, attribute: string, rel?: string): boolean {
	if (el.localName === 'input' && (get(el, 'type') ?? '').toLowerCase() !== 'image') return false
	return actingOf(el).includes(attribute) && !!kindOf(el, rel)
}

/**
 * How an image or a frame shows by its own attributes that it is there to be counted and not seen. Pictures that fill
 * what is about them have no width, but a min-width of 100%.
 */
function unseen(el: Element): Unseen {
	const { style } = el as HTMLElement
	const size = (name: 'width' | 'height') =>
		/\d\d/.test(style?.[`min-${name}` as 'minWidth']) ? 2 : +(style?.[name] || get(el, name) || '2').replace('px', '')
	const [width, height] = [size('width'), size('height')]
	if ((width <= 1 && height <= 1) || width === 0 || height === 0) return 'tiny'
	return has(el, 'hidden') || style?.display === 'none' || style?.visibility === 'hidden' || style?.opacity === '0' ? 'hidden' : ''
}

/** The addresses in an attribute's value. */
function references(attribute: string, value: string): string[] {
	if (attribute.endsWith('srcset')) return [...value.matchAll(/\s*([^\s,]\S*[^\s,])(?:\s[^,]*)?(?:,|$)/g)].map((m) => m[1] as string)
	return /ping|values/.test(attribute) ? value.split(/[\s;]+/) : [value]
}

/** What comes before an address in CSS, and the address, which may begin with a quote. */
const cssURL = /(url\(\s*|@import\s*(?=["']))("[^"]*|'[^']*|[^)\s]*)/gi
const unquoted = (address = ''): string => address.replace(/^["']/, '')

/** Why some CSS may not be used as it is: the first address in it that may not be asked for. */
export const styleHolds = (css: string): Decision | undefined =>
	being('now', () => {
		for (const m of css.matchAll(cssURL)) {
			const d = judge(unquoted(m[2]))
			if (!allowed(d)) return d
		}
		return
	})

/** CSS without the addresses that may not be asked for. */
export const emptied = (css: string): string =>
	being('now', () => css.replace(cssURL, (found, before, address) => (allowed(judge(unquoted(address))) ? found : before + address.replace(unquoted(address), 'about:invalid'))))

/** A script is about to say how something looks. */
export function restyle(words: any, at: number | string): void {
	if (typeof words[at] === 'string' && /url\(|@import/i.test(words[at])) words[at] = emptied(words[at])
}

/** Notes what the text of a style element was to be, and returns what it may be now. */
export function styled(el: Element, css: string): string {
	const d = styleHolds(css)
	if (d) {
		set(el, heldCSS, css)
		label(el, { ...d, unsure: undefined })
		return emptied(css)
	}
	if (has(el, heldCSS)) {
		drop(el, heldCSS)
		unlabel(el)
	}
	return css
}

/** The types of scripts that browsers run. */
export const codeType = /^(?:module|(?:text|application)\/(?:x-)?(?:java|ecma|j|live)script.*)?$/i
const parkedType = /^text\/(plain|template)$/i

/** Why a value may not be put in an attribute now; undefined where it may. */
export function valueHolds(el: Element, attribute: string, value: unknown, rel?: string): Decision | undefined {
	if (!acts(el, attribute, rel)) return
	for (const reference of references(attribute, String(value))) {
		const d = objection(el, judge(reference, kindOf(el, rel), unseen(el)))
		if (d) return d
	}
	return
}

/** Elements that the visitor let load this once, with their vendors. */
export const freed = new WeakMap<Element, string>()

/** A decision about an element where it may not act by it. The category that the page itself gave it beats all rules. */
function objection(el: Element, d: Decision): Decision | undefined {
	const own = get(el, 'data-category') as Category
	const marked = categories.includes(own)
	if ((marked ? grants(own) : allowed(d)) || freed.get(el) === (d.vendor?.[0] ?? '')) return
	return marked ? { ...d, category: own } : d
}

const categories = [...optional, 'necessary', 'unclassified']

/** Why what is read of an element's attributes may not act now. */
function valuesHold(el: Element, read: typeof get): Decision | undefined {
	for (const attribute of actingOf(el)) {
		const value = read(el, attribute)
		const d = value === null ? undefined : valueHolds(el, attribute, value)
		if (d) return d
	}
	return
}

/** Why an element as it is may not act now; undefined where it may. */
export function holds(el: Element, code?: string): Decision | undefined {
	const d = valuesHold(el, get)
	if (d) return d
	if (isScript(el) && !has(el, 'src') && codeType.test(get(el, 'type') ?? '')) {
		const d = objection(el, judgeCode(code ?? el.textContent ?? ''))
		if (d) return d
	}
	return isStyle(el) ? styleHolds(el.textContent ?? '') : undefined
}

/** Elements that are held until it is known whether they may act, in the order in which they came. */
export const waiting = new Map<Element, Promise<void>>()

/** Holds an element: what would act is renamed, marks say why. */
export function hold(el: Element, d: Decision): void {
	park(el, d)
	if (d.unsure) {
		waiting.set(el, learn(d.unsure).then(reconsider))
		return
	}
	waiting.delete(el)
	box(el)
	const address = keptAddress(el)
	if (address) count(address, kindOf(el) ?? 'other', 'held')
}

/** Frames in which a box is shown, with what the page has of them in srcdoc. */
export const boxed = new WeakSet<Element>()

/** Whether something fires load without having loaded what it is for, or a box: a frame that is held. */
export const hollow = (el: unknown): boolean => isElement(el) && kept(el, 'src') !== null && !boxed.has(el)

let boxes: Promise<(el: Element) => void> | undefined

/** Has boxes shown for an element that is held, and for what else of it can be seen; see boxes.ts. Without one, functions stand in already. */
export function box(el?: Element): void {
	if (el && waiting.has(el)) return
	boxes ??= import(element.src.replace(/guard([^/]*)$/, 'boxes$1')).then((script) => script.default({ allowedFor, boxed, element, isHeld, listen, nativeFetch, parts, set, trust, unseen }))
	void boxes.then((show) => el && show(el), () => {})
}

/** Lets those that wait act, or has them held, as far as it is known by now. */
function reconsider(): void {
	for (const el of waiting.keys()) {
		const d = isHeld(el) ? valuesHold(el, kept) : undefined
		if (d?.unsure) continue
		waiting.delete(el)
		if (d) {
			hold(el, d)
			if (el.localName === 'img') fail(el)
		} else if (isHeld(el)) restore(el)
	}
}

/** Does what hold does without counting it. */
export function park(el: Element, d: Pick<Decision, 'category' | 'vendor' | 'never' | 'unsure'>): void {
	for (const attribute of actingOf(el)) {
		const value = get(el, attribute)
		if (value !== null && acts(el, attribute)) keep(el, attribute, value)
	}
	if (isScript(el) && !isHeld(el)) {
		if (el.async && !has(el, 'async')) wasAsync.add(el)
		const type = get(el, 'type')
		if (type !== null) set(el, held + 'type', type)
		set(el, 'type', 'text/plain')
	}
	// A style sheet stays, as scripts hold on to it, without what it may not ask for.
	if (isStyle(el)) setText(el, styled(el, el.textContent ?? ''))
	label(el, d)
}

/** Says on an element why it is held. */
export function label(el: Element, d: Pick<Decision, 'category' | 'vendor' | 'never' | 'unsure'>): void {
	set(el, heldCategory, d.unsure ? 'unknown' : d.never ? 'never' : d.category === 'unclassified' ? 'marketing' : d.category)
	if (d.vendor) set(el, heldVendor, d.vendor[0])
	else drop(el, heldVendor)
}

function unlabel(el: Element): void {
	drop(el, heldCategory)
	drop(el, heldVendor)
}

/** Scripts that a script made and that wait for no other: what HTML calls force async. */
export const wasAsync = new WeakSet<Element>()

/** Sets an attribute under its held name. */
export function keep(el: Element, attribute: string, value: unknown): void {
	if (typeof value === 'object' && value) trusted.set(el, { ...trusted.get(el), [attribute]: value })
	set(el, held + attribute, String(value))
	drop(el, attribute)
}

/** The value that an attribute has while it is held; null where it is not. */
export const kept = (el: Element, attribute: string): string | null => get(el, held + attribute)

/** The address that an element has while it is held. */
export const keptAddress = (el: Element): string | null => kept(el, 'src') ?? kept(el, 'href') ?? kept(el, 'data')

/** Forgets a held value that the page has replaced or removed, and the marks with the last one. */
export function forget(el: Element, attribute: string): void {
	if (kept(el, attribute) === null) return
	drop(el, held + attribute)
	if (actingOf(el).every((a) => kept(el, a) === null)) restore(el)
}

/** Whether the visitor agreed to what an element is held for. */
export const released = (el: Element): boolean => allowedFor(get(el, heldCategory) ?? get(el, 'data-category') ?? '', get(el, heldVendor) ?? '')

/** Makes a held element whole, out of its box: it acts at once, where its kind does. */
export function restore(el: Element): void {
	unbox(el)
	unlabel(el)
	const names = el.getAttributeNames().filter((name) => name.startsWith(held))
	if (boxed.delete(el)) drop(el, 'srcdoc')
	if ((isScript(el) || el.localName === 'style') && parkedType.test(get(el, 'type') ?? '')) drop(el, 'type')
	// What makes the request comes last, when all that bears on it is back.
	names.sort((a, b) => +/(src|href|data)$/.test(a) - +/(src|href|data)$/.test(b))
	for (const name of names) {
		const attribute = name.slice(held.length).replace('xlink-', 'xlink:')
		const value = trusted.get(el)?.[attribute] ?? get(el, name)
		drop(el, name)
		if (name === heldCSS) setText(el, value)
		else set(el, attribute, typeof value === 'string' ? trust(sink(el, attribute), value) : value)
	}
}

/** What Trusted Types asks for in an attribute of an element; undefined where a string will do. */
function sink(el: Element, attribute: string): keyof Policy | undefined {
	if (/^(script|embed|object)$/.test(el.localName) && /src|href|data/.test(attribute)) return 'createScriptURL'
	return attribute === 'srcdoc' ? 'createHTML' : /^on/.test(attribute) ? 'createScript' : undefined
}

interface Policy {
	createScriptURL(s: string): unknown
	createHTML(s: string): unknown
	createScript(s: string): unknown
}
type Trust = { trustedTypes?: { createPolicy(name: string, rules: Policy): Policy } }
let policy: Policy | undefined
let asked = false

/** The page's own markup, addresses and code in the form that its Trusted Types policy wants, where it lets us have one. */
export function trust(kind: keyof Policy | undefined, value: string): unknown {
	if (!asked) {
		asked = true
		const same = (s: string) => s
		try {
			policy = (self as Trust).trustedTypes?.createPolicy('askfirst', { createScriptURL: same, createHTML: same, createScript: same })
		} catch {
			// The page allows no policy of that name.
		}
	}
	return kind && policy ? policy[kind](value) : value
}

/**
 * Looks through what is about to enter a document: elements that may not act
 * are held, and held ones that may by now are made whole. Reports whether
 * anything changed.
 */
export function admit(root: Node): boolean {
	let changed = isElement(root) && look(root)
	if (root.firstChild && 'querySelectorAll' in root) for (const el of all(root as ParentNode, actors)) changed = look(el) || changed
	return changed
}

function look(el: Element): boolean {
	if (/^askfirst-/.test(el.localName) && el.isConnected) attach(el)
	if (el.id === '_R_' || (document.readyState === 'complete' && el.firstElementChild && el.matches(hydrated))) unwrap()
	if (isHeld(el)) {
		if (el.isConnected && live(el)) return false
		// A script that keeps its place among others cannot wait.
		if (waiting.has(el) && isScript(el) && !el.async) being('now', reconsider)
		if (!isHeld(el)) return true
		box(el)
		if (!released(el)) return false
		restore(el)
		return true
	}
	// In the page it has asked for what its style names already.
	const style = el.isConnected ? null : get(el, 'style')
	const harmless = style && emptied(style)
	if (harmless !== style) set(el, 'style', harmless)
	const d = holds(el)
	if (d) hold(el, d)
	const shown = el.localName === 'iframe' && !boxed.has(el) && get(el, 'srcdoc')
	const safe = shown && srcdoc(el, shown)
	if (safe !== shown) set(el, 'srcdoc', safe)
	return isHeld(el) || harmless !== style
}

/** Tells the listeners of an image that is no part of any document that it failed, as a blocked one does. */
export function fail(el: Element): void {
	if (!waiting.has(el)) later(() => {
		if (!el.isConnected && isHeld(el)) el.dispatchEvent(new Event('error'))
	})
}

/** Moves an element out of its placeholder, which goes. */
function unbox(el: Element): void {
	const box = el.parentElement
	if (box?.localName !== 'askfirst-placeholder' || !box.parentNode) return
	insert(box.parentNode, el, box)
	remove(box)
}

/**
 * The boxes in what a framework will find again, once it runs, element for element
 * as its server wrote it. Roots of React's and Vue's often have names that begin with
 * two underscores. What Angular hydrates is marked ngh, and Solid's data-hk. Where React
 * takes up a whole document there is a script with the id _R_, or React Router's
 * entry.client. Astro's router brings further islands once the page is there.
 */
const hydrated = ':is(#root,#app,[id^=__],astro-island,[ngh],[data-hk],[data-server-rendered],:has(#_R_,[href*="entry.client-"])) askfirst-placeholder'

/**
 * Takes boxes out of what a framework hydrates before it does: what would be in
 * frames is shown within these. React finds its links by their addresses.
 */
export function unwrap(): void {
	for (const link of all(document, '[data-askfirst-href]')) link.getAttribute = (name) => kept(link, name) ?? get(link, name)
	for (const host of all(document, hydrated)) {
		for (const el of host.children) {
			if (isHeld(el)) {
				unbox(el)
				box(el)
			}
		}
		remove(host)
	}
}
